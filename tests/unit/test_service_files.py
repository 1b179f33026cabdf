"""The service files start the daemon and its broker, feed the watchdog, and stay as hardened as they were."""

import os
import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.daemon import STOP_DEADLINE

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "resurgam.service"
BROKER = ROOT / "systemd" / "resurgam-broker.service"
WATCH_ONLY = ROOT / "systemd" / "resurgam.service.d" / "watch-only.conf"
PLIST = ROOT / "launchd" / "io.github.resurgam.plist"
BROKER_PLIST = ROOT / "launchd" / "io.github.resurgam.broker.plist"


RIGHTS = "CAP_SYSLOG CAP_SYS_RESOURCE CAP_DAC_OVERRIDE"
"""what the sources and verbs of memory need: the kernel's log, short pressure windows, control groups"""
OF_MEMORY = ("CapabilityBoundingSet", "AmbientCapabilities", "ProtectControlGroups", "ProtectKernelLogs")
"""the keys of those rights: nobody else in the house has them"""


GPUS = ("char-nvidia rw", "char-nvidiactl rw", "char-nvidia-frontend rw")
"""the groups of /dev/nvidia0 and /dev/nvidiactl in /proc/devices, of newer and of older drivers: all that NVML opens"""


def unit(path: Path = UNIT) -> dict[str, list[str]]:
    """Every key of a unit with all its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def merged(path: Path, drop_in: Path) -> dict[str, list[str]]:
    """A unit's keys with those of a drop-in: systemd takes an empty value as `forget what was said so far`."""
    found = unit(path)
    for key, values in unit(drop_in).items():
        for value in values:
            found[key] = [] if value == "" else [*found.get(key, []), value]
    return found


def analyze(*arguments: str) -> tuple[int, str]:
    """systemd-analyze's verdict. Under CI it must be there; elsewhere, where it is not installed, the keys asserted
    here are all that is checked."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not os.environ.get("CI"), "`.ci/setup parts` installs systemd-analyze (Debian's package systemd)"
        return 0, ""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_unit_runs_the_daemon_and_lets_systemd_watch_it() -> None:
    keys = unit()
    assert keys["Type"] == ["notify"]
    assert keys["ExecStart"][0].split("/")[-1] == "resurgam run"
    assert int(keys["WatchdogSec"][0]) >= 10, "the core turns once a second; a busy box needs room"
    assert keys["Restart"] == ["always"]
    assert "kill -HUP $MAINPID" in keys["ExecReload"][0]
    assert not keys["ExecReload"][0].startswith("/bin/kill"), "a minimal Debian has no /bin/kill"


def test_the_unit_gives_the_daemon_longer_than_it_needs_to_end() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > STOP_DEADLINE
    assert unit()["KillMode"] == ["mixed"], "a broker of ours must live to carry the last message"


def test_the_unit_keeps_what_is_needed_and_drops_the_rest() -> None:
    keys = unit()
    assert "docker" in keys["SupplementaryGroups"][0].split()
    assert keys["CapabilityBoundingSet"] == keys["AmbientCapabilities"] == [RIGHTS], (
        "for memory; nothing else needs any"
    )
    assert (keys["ProtectControlGroups"], keys["ProtectKernelLogs"]) == (["no"], ["no"])
    assert "/dev/kmsg r" in keys["DeviceAllow"], "the kernel's log is read, never written"
    assert not [device for device in keys["DeviceAllow"] if "char-mem" in device], "that would be /dev/mem, too"
    assert keys["PrivateDevices"] == ["no"], "of a private /dev NVML says that there are no GPUs, without an error"
    assert keys["DevicePolicy"] == ["closed"]
    assert set(keys["DeviceAllow"]) == {*GPUS, "/dev/kmsg r"}
    assert keys["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert "PrivateNetwork" not in keys, "probes and brokers need the network"
    assert "ProtectProc" not in keys, "the host's memory is read from /proc"
    for key in (
        "NoNewPrivileges",
        "PrivateTmp",
        "ProtectKernelModules",
        "RestrictNamespaces",
        "MemoryDenyWriteExecute",
    ):
        assert keys[key] == ["yes"], key
    assert (keys["ProtectSystem"], keys["StateDirectoryMode"], keys["UMask"]) == (["strict"], ["0700"], ["0077"])


def test_the_daemon_may_keep_the_files_of_many_containers_open() -> None:
    """About ten of each container: memory, pressure, events, thresholds. systemd's default is 1024."""
    assert int(unit()["LimitNOFILE"][0]) >= 500 * 10 + 1024


def test_the_broker_is_a_unit_of_its_own_that_needs_no_engine() -> None:
    keys, ours = unit(BROKER), unit()
    assert keys["ExecStart"][0].split("/")[-1] == "resurgam bus serve"
    assert keys["Type"] == ["exec"], "not every mosquitto was built to tell systemd that it is ready"
    assert keys["Restart"] == ["always"]
    assert keys["Before"] == ["resurgam.service"]
    assert "SupplementaryGroups" not in keys, "whoever may use the engine's socket is root in effect"
    for key in ("User", "Group", "StateDirectory", "StateDirectoryMode", "ConfigurationDirectory", "UMask"):
        assert keys[key] == ours[key], f"{key}: the daemon reads its password in the folder that the broker writes"
    assert "RESURGAM_STATE_DIR=/var/lib/resurgam" in keys["Environment"]
    hardening = ("Protect", "Private", "Restrict", "SystemCall", "NoNew", "Capability", "Lock", "MemoryDeny")
    for key, value in ours.items():
        if key.startswith(hardening) and key not in ("PrivateDevices", *OF_MEMORY):
            assert keys[key] == value, key
    assert keys["PrivateDevices"] == ["yes"], "only the daemon looks at GPUs"
    assert [keys[key] for key in OF_MEMORY] == [[""], [""], ["yes"], ["yes"]], "only the daemon looks after memory"


@pytest.mark.parametrize("path", [UNIT, BROKER], ids=lambda path: path.name)
def test_systemd_understands_every_line(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(re.sub(r"ExecStart=\S+ .*", "ExecStart=/bin/true", path.read_text()))
    code, said = analyze("verify", "--recursive-errors=no", str(copy))
    assert (code, said) == (0, "")


def test_to_only_watch_gives_every_right_on_the_machine_back_and_changes_nothing_else() -> None:
    ours, less = unit(), merged(UNIT, WATCH_ONLY)
    changed = {key for key in less if [value for value in ours[key] if value] != less[key]}
    assert changed == {*OF_MEMORY, "DeviceAllow"}
    assert (less["CapabilityBoundingSet"], less["AmbientCapabilities"]) == ([], [])
    assert less["ProtectControlGroups"][-1] == less["ProtectKernelLogs"][-1] == "yes"
    assert less["DeviceAllow"] == list(GPUS), "GPUs are seen"


@pytest.mark.parametrize(
    ("path", "drop_in", "most"),
    [(UNIT, None, 3.2), (UNIT, WATCH_ONLY, 2.0), (BROKER, None, 1.7)],
    ids=["the daemon", "to only watch", "the broker"],
)
def test_the_unit_is_as_hardened_as_it_was(path: Path, drop_in: Path | None, most: float, tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    shutil.copy(path, units)
    if drop_in is not None:
        (units / drop_in.parent.name).mkdir()
        shutil.copy(drop_in, units / drop_in.parent.name)
    limit = f"--threshold={round(most * 10)}"
    code, said = analyze("security", "--offline=true", limit, f"--root={tmp_path}", path.name)
    assert code == 0, said


@pytest.mark.parametrize("path", [PLIST, BROKER_PLIST], ids=lambda path: path.name)
def test_the_plist_is_one_launchd_takes(path: Path) -> None:
    text = path.read_bytes()
    found = plistlib.loads(text)
    keys = re.findall(rb"^    <key>(\w+)</key>", text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(found), "launchd silently takes the last of two equal keys"
    types = {
        "Label": str,
        "ProgramArguments": list,
        "EnvironmentVariables": dict,
        "RunAtLoad": bool,
        "KeepAlive": dict if path == PLIST else bool,
        "ThrottleInterval": int,
        "ProcessType": str,
        "ExitTimeOut": int,
        "SoftResourceLimits": dict,
        "Umask": int,
        "StandardOutPath": str,
        "StandardErrorPath": str,
    }
    assert {key: type(value) for key, value in found.items()} == types
    assert path.stem == found["Label"]


def test_the_plist_runs_the_daemon_again_only_after_a_crash_and_at_full_speed() -> None:
    found = plistlib.loads(PLIST.read_bytes())
    assert found["ProgramArguments"][0].startswith("/"), "launchd searches no PATH"
    assert found["ProgramArguments"][1:] == ["run"]
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["ProcessType"] == "Interactive"
    assert found["Umask"] == 0o077
    assert "/opt/homebrew/sbin" in found["EnvironmentVariables"]["PATH"].split(":")


def test_the_brokers_plist_serves_the_broker_and_finds_homebrews() -> None:
    found = plistlib.loads(BROKER_PLIST.read_bytes())
    assert found["ProgramArguments"] == ["/opt/resurgam/bin/resurgam", "bus", "serve"]
    assert found["KeepAlive"] is True
    assert found["Umask"] == 0o077
    assert "/opt/homebrew/sbin" in found["EnvironmentVariables"]["PATH"].split(":")
