"""`resurgam doctor`: what it says about memory on a machine, with a daemon and without one."""

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from supervisor import views
from supervisor.cli import doctor, doctor_machine
from supervisor.cli.doctor_machine import WATCH_ONLY, Finding, Rights
from supervisor.cli.main import main
from supervisor.config.settings import Settings
from supervisor.facts import Json, MemorySource
from supervisor.kernel.groups import ROOT
from supervisor.kernel.host import Machine
from supervisor.kernel.pressure import MACHINE, Armed, Spec
from supervisor.kernel.watches import Cannot
from tests.support.boxes import box
from tests.support.budgets import GIB, owners
from tests.support.house import served

EVERYTHING = 1 << 1 | 1 << 34 | 1 << 24
MEMINFO = b"MemTotal: 402653184 kB\nMemAvailable: 73400320 kB\nSwapTotal: 67108864 kB\nSwapFree: 67108864 kB\n"


class Files:
    """A Tree of given files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = {"/proc/meminfo": MEMINFO, "/proc/vmstat": b"oom_kill 0\n", "/proc/swaps": b"Filename\n"} | files
        self.open: set[str] = set()

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.open.add(path)
        return self.files[path]

    def write(self, path: str, data: bytes) -> None:
        raise AssertionError("a doctor writes nothing")

    def names(self, path: str) -> tuple[str, ...]:
        depth = len(path.split("/"))
        return tuple(sorted({name.split("/")[depth] for name in self.files if name.startswith(f"{path}/")}))

    def exists(self, path: str) -> bool:
        return path in self.files

    def writable(self, path: str) -> bool:
        return True

    def forget(self, prefixes: Iterable[str]) -> None:
        self.open -= {path for path in self.open if path.startswith(tuple(prefixes))}


SECOND = {f"{ROOT}/cgroup.controllers": b"cpuset cpu io memory pids\n"}
FIRST = {f"{ROOT}/memory/memory.usage_in_bytes": b"1\n"}


def status(uid: int, capabilities: int) -> bytes:
    return f"Name:\tresurgam\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{capabilities:016x}\n".encode()


def process(pid: int, comm: str, *words: str) -> dict[str, bytes]:
    return {f"/proc/{pid}/comm": f"{comm}\n".encode(), f"/proc/{pid}/cmdline": "\0".join((comm, *words)).encode()}


def levels(found: Iterable[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in found}


# ---------------------------------------------------------------- one part each


def test_version_2_is_well_and_version_1_says_how_to_have_it() -> None:
    assert doctor_machine.groups(Files(SECOND)) == (2, Finding("control groups", "ok", "version 2"))
    version, said = doctor_machine.groups(Files(FIRST))
    assert (version, said.level) == (1, "note")
    assert "systemd.unified_cgroup_hierarchy=1" in said.cure
    _version, both = doctor_machine.groups(Files(FIRST | {f"{ROOT}/unified/cgroup.controllers": b"\n"}))
    assert "tells the pressure of each container" in both.text
    assert doctor_machine.groups(Files({}))[0] == 0
    assert doctor_machine.groups(Files({f"{ROOT}/cgroup.controllers": b"cpu io\n"}))[0] == 0


def test_verbs_that_need_version_2_say_so_and_the_others_work() -> None:
    root = Rights(0, EVERYTHING, "the daemon")
    assert set(levels(doctor_machine.verbs(2, root, True)).values()) == {"ok"}
    first = levels(doctor_machine.verbs(1, root, False))
    assert [name for name, level in first.items() if level == "ok"] == ["freeze, thaw", "raise-limit"]
    lowly = levels(doctor_machine.verbs(2, Rights(990, 0, "the daemon"), True))
    assert [name for name, level in lowly.items() if level == "ok"] == ["drop-cache"], "it only reads"
    user = levels(doctor_machine.verbs(2, Rights(990, 1 << 1, "the daemon"), True))
    assert user["freeze, thaw"] == "ok", "with the right to write root's files it need not be root"
    assert not any(one.level == "ok" for one in doctor_machine.verbs(0, root, False))


def test_rights_that_are_missing_are_named_with_the_file_that_takes_them_away() -> None:
    whole, none = Rights(990, EVERYTHING, "the daemon"), Rights(990, 0, "the daemon")
    assert doctor_machine.rights(whole, False).level == "ok"
    lost = doctor_machine.rights(none, False)
    assert lost.level == "finding"
    assert all(name in lost.text for name in ("CAP_SYSLOG", "CAP_SYS_RESOURCE", "CAP_DAC_OVERRIDE"))
    slow = doctor_machine.rights(Rights(0, EVERYTHING & ~(1 << 24), "the daemon"), False)
    assert slow.level == "note", "everything works, and pressure is told a second later"
    meant = doctor_machine.rights(none, True)
    assert meant.level == "note", "the owner wants it so"
    assert WATCH_ONLY in meant.cure
    assert doctor_machine.rights(Rights(1000, 0, "this command"), False).level == "note"
    assert doctor_machine.rights(None, False).level == "unknown"


def test_the_rights_of_a_process_are_read_of_it() -> None:
    tree = Files({"/proc/77/status": status(990, 1 << 34), "/proc/self/status": status(0, 0)})
    assert doctor_machine.rights_of(tree, 77, "the daemon") == Rights(990, 1 << 34, "the daemon")
    assert doctor_machine.rights_of(tree, 0, "this command") == Rights(0, 0, "this command")
    assert doctor_machine.rights_of(tree, 78, "the daemon") is None
    assert doctor_machine.rights_of(Files({"/proc/77/status": b"odd"}), 77, "the daemon") is None
    assert not tree.open


def test_another_killer_is_named_with_how_to_spare_the_model() -> None:
    tree = Files(process(9, "dockerd") | process(812, "earlyoom", "-r", "60") | process(31, "systemd-oomd"))
    oomd, earlyoom = doctor_machine.killers(tree)
    assert (oomd.level, earlyoom.level) == ("note", "finding")
    assert "pid 812" in earlyoom.text
    assert "oom_score_adj: -500" in earlyoom.cure
    assert "ManagedOOMPreference=avoid" in oomd.cure
    assert not tree.open, "a thousand processes are not a thousand open files"
    (told,) = doctor_machine.killers(Files(process(812, "earlyoom", "--avoid=^llama-server$")))
    assert (told.level, told.cure) == ("note", "")
    (calm,) = doctor_machine.killers(Files(process(1, "earlyoom-exporter")))
    assert calm.level == "ok"


@pytest.mark.parametrize(
    ("declared", "total", "level"),
    [(0, 0, "ok"), (0, 64, "ok"), (64, 64, "ok"), (64, 62, "ok"), (64, 32, "finding"), (64, 0, "finding")],
)
def test_swap_is_compared_with_what_was_declared(declared: float, total: float, level: str) -> None:
    assert "are declared" not in doctor_machine.swap(0.0, 0.0).text
    assert "64 GB are declared" in doctor_machine.swap(64e9, 0.0).text, "as it was written"
    found = doctor_machine.swap(declared * GIB, total * GIB)
    assert found.level == level
    assert bool(found.cure) == (level == "finding")


def test_a_source_nobody_can_do_anything_about_is_no_finding() -> None:
    found = doctor_machine.of_sources(
        (
            MemorySource("meminfo", True, "It is read."),
            MemorySource("kernel-log", False, "It may not be read.", "Give it CAP_SYSLOG."),
            MemorySource("thresholds", False, "Version 2 has none."),
        )
    )
    assert levels(found) == {"source meminfo": "ok", "source kernel-log": "finding", "source thresholds": "note"}


def test_without_a_daemon_each_source_is_tried() -> None:
    tree = Files({})
    del tree.files["/proc/vmstat"]
    reading, writing = os.pipe()
    os.close(writing)
    found = doctor_machine.sources(
        tree, Machine(tree), lambda path: Armed(reading, Spec(1, 2_000_000)), lambda: Cannot("No.", "Ask.")
    )
    assert [(one.name, one.live) for one in found] == [
        ("meminfo", True),
        ("vmstat", False),
        ("swaps", True),
        ("pressure", True),
        ("kernel-log", False),
    ]
    assert found[3].text == "It tells within 2 s."
    with pytest.raises(OSError, match="Bad file"):
        os.close(reading)  # the trigger is not left behind


def test_a_trigger_that_is_refused_says_why() -> None:
    tree = Files({})
    asked: list[str] = []

    def no(path: str) -> Cannot:
        asked.append(path)
        return Cannot("This kernel does not measure pressure.", "Put psi=1 on its command line.")

    found = {one.name: one for one in doctor_machine.sources(tree, Machine(tree), no, lambda: None)}
    assert asked == [MACHINE]
    assert (found["pressure"].live, found["pressure"].cure) == (False, "Put psi=1 on its command line.")
    assert found["kernel-log"].live


# ---------------------------------------------------------------- all together


def test_with_a_daemon_its_own_word_counts() -> None:
    sources = (MemorySource("kernel-log", False, "It may not be read.", "Give it CAP_SYSLOG."),)
    told: Json = views.status_document(box(budget=replace(owners(), swap_total=0.0), sources=sources))
    tree = Files(SECOND | {"/proc/77/status": status(990, EVERYTHING)})
    found = doctor.look(Settings(), told, 77, tree)
    seen = levels(found)
    assert [check for check in seen if check.startswith("source")] == ["source kernel-log", "source docker"]
    assert (seen["daemon"], seen["source kernel-log"], seen["swap"]) == ("ok", "finding", "finding")
    assert (seen["rights"], seen["fuse, unfuse"]) == ("ok", "ok")


def test_the_engines_own_word_of_kills_is_a_source_like_any_other() -> None:
    up = box().engines[0]
    for state, level in ((up, "ok"), (replace(up, up=False, text="The engine docker does not answer."), "note")):
        told: Json = views.status_document(box(engines=(state,)))
        (said,) = [one for one in doctor.look(Settings(), told, 0, Files({})) if one.check == "source docker"]
        assert said.level == level
        assert "killed" in said.text


def test_what_the_daemon_says_is_wrong_is_a_finding() -> None:
    told = views.status_document(box(problems=("The journal cannot be written.",)))
    found = doctor.look(Settings(), told, 0, Files({}))
    assert found[0] == Finding("daemon", "finding", "The journal cannot be written.")
    assert levels(found)["rights"] == "unknown", "nobody said which process it is"


def test_a_daemon_that_does_not_answer_us_is_no_finding_of_its_own() -> None:
    found = doctor.look(Settings(), None, 0, Files({}), "you may not use the control socket; use sudo")
    assert (found[0].level, found[0].text) == ("unknown", "you may not use the control socket; use sudo")


def test_what_is_no_linux_is_left_to_the_daemon() -> None:
    tree = Files({})
    tree.files.clear()
    (said,) = doctor_machine.sources(tree, Machine(tree))
    assert (said.live, said.cure) == (False, "")
    assert doctor_machine.killers(tree)[0].level == "ok"


def test_without_a_daemon_the_machine_is_looked_at_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resurgam.yaml"
    file.write_text(f"host: box\nstate_dir: {tmp_path}/state\nmemory: {{swap: 900TiB}}\n")
    file.chmod(0o600)
    assert main(["doctor", "--config", str(file), "--socket", str(tmp_path / "none"), "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    found = {one["check"]: one for one in document["findings"]}
    assert document["ok"] is False
    assert found["daemon"]["text"].startswith("no daemon answers")
    assert found["swap"]["level"] == "finding"
    assert "swapon -a" in found["swap"]["cure"]
    assert {"source meminfo", "control groups", "another killer"} <= found.keys()


def test_beside_a_daemon_it_says_so_in_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "resurgam.yaml"
    file.write_text("host: box\n")
    file.chmod(0o600)
    sources = (MemorySource("kernel-log", False, "It may not be read.", "Give it CAP_SYSLOG."),)
    with served(box(budget=owners(), sources=sources)) as daemon:
        assert main(["doctor", "--config", str(file), "--socket", str(daemon.socket)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok  daemon")
    place = next(number for number, line in enumerate(lines) if "source kernel-log" in line)
    assert lines[place].startswith("!")
    assert lines[place + 1].strip() == "Give it CAP_SYSLOG."
    assert "finding" in lines[-1]
