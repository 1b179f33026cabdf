"""What `resurgam doctor` says about probes, scrapes and disks.

From: the parts `probes` and `targets` of /v1/status, and statvfs of the folders that the configuration names. To:
findings for `cli/doctor.py`. A disk whose server is gone may hang whoever looks: each is looked at in a thread that
nobody waits long for.
"""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from supervisor.cli.doctor_machine import Finding
from supervisor.cli.output import counted
from supervisor.config.settings import Settings
from supervisor.facts import Json
from supervisor.units import speaker

ENGINE = "/var/lib/docker"
LATE = 3.0
"""seconds for one disk"""
LITTLE, SHARE = float(20 << 30), 0.05
"""bytes and share of a disk below which it counts as full, as DiskFull has it"""
ENTRIES = 0.03


def of_probes(status: Json | None) -> tuple[Finding, ...]:
    """One line for those that answer, and one each for the others."""
    probes = (status or {}).get("probes", ())
    found = []
    for one in probes:
        if one["state"] == "broken":
            cure = "Correct its `probe:`, or what it needs; until then only its container says how it is."
            found.append(Finding("probe", "finding", f"{one['name']} cannot be asked: {one['text']}", cure))
        elif one["state"] == "failing":
            found.append(Finding("probe", "finding", f"{one['name']} does not answer {one['address']}: {one['text']}"))
    well = [one for one in probes if one["state"] in ("well", "asleep")]
    if well:
        found.append(Finding("probe", "ok", f"{counted(len(well), 'probe')} answered well"))
    return tuple(found)


def of_targets(status: Json | None) -> tuple[Finding, ...]:
    """One line for those that are up, and one each for the others."""
    targets = (status or {}).get("targets", ())
    found = []
    for one in targets:
        named = f"{one['job']} ({one['instance']})"
        if not one["up"] and one["text"]:
            found.append(Finding("scrape", "finding", f"{named} is down: {one['text']}"))
        elif one["text"]:
            found.append(Finding("scrape", "note", f"{named}: {one['text']}"))
    up = [one for one in targets if one["up"]]
    if up:
        found.append(Finding("scrape", "ok", f"{counted(len(up), 'target')} up"))
    return tuple(found)


def of_disks(settings: Settings, see: Callable[[str], os.statvfs_result] = os.statvfs) -> tuple[Finding, ...]:
    """One line per disk that something here depends on."""
    found, seen = [], set()
    for folder in _folders(settings):
        looked = _aside(folder, see)
        if isinstance(looked, str):
            found.append(Finding("disk", "finding", f"{folder}: {looked}"))
            continue
        if looked is None or looked.f_fsid in seen or not looked.f_blocks:
            continue
        if looked.f_fsid:
            seen.add(looked.f_fsid)
        found.append(_disk(folder, looked))
    return tuple(found)


def _folders(settings: Settings) -> Iterable[str]:
    """In the order of what hurts most; each once."""
    weights = [str(one) for _name, entry in sorted(settings.services.items()) for one in entry.weights or ()]
    return dict.fromkeys([str(settings.state_dir), ENGINE, *map(str, settings.disk.folders), *weights])


def _disk(folder: str, looked: os.statvfs_result) -> Finding:
    total, left = float(looked.f_blocks * looked.f_frsize), float(looked.f_bavail * looked.f_frsize)
    said = f"{speaker(())(left)} of {speaker(())(total)} are left where {folder} is"
    if left < LITTLE and left / total < SHARE:
        return Finding("disk", "finding", said, "See what the engine could give back: docker system df -v")
    if looked.f_files and looked.f_favail / looked.f_files < ENTRIES:
        return Finding(
            "disk", "finding", f"{said}, and almost no file entries", "Look for folders with many small files."
        )
    return Finding("disk", "ok", said)


def _aside(folder: str, see: Callable[[str], os.statvfs_result]) -> os.statvfs_result | str | None:
    """What is seen, why not, or None where there is no such folder (it is made, or it is another machine's)."""
    answer: list[os.statvfs_result | str | None] = []

    def ask() -> None:
        try:
            answer.append(see(folder))
        except FileNotFoundError:
            answer.append(None)
        except OSError as err:
            answer.append(os.strerror(err.errno or 0))

    thread = threading.Thread(target=ask, daemon=True, name=f"disk {Path(folder).name}")
    thread.start()
    thread.join(LATE)
    return answer[0] if answer else "it does not answer; its disk, or its server, is gone"
