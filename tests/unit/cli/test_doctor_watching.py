"""What `resurgam doctor` says about probes, scrapes and disks."""

import errno
import os
import threading
from pathlib import Path

import pytest

from supervisor import views
from supervisor.cli import doctor_watching
from supervisor.config.settings import Settings
from tests.support.gpu_shown import probe, shown, target

GIB = 1 << 30


def test_probes_that_fail_or_cannot_be_asked_are_findings() -> None:
    silent = probe("router", service="", ok=False, failing=True, text="nothing listens on 10.0.0.3:80")
    broken = probe("db", ok=False, broken=True, text="no such tool: pg_isready")
    status = views.status_document(shown(probes=(silent, broken, probe(), probe("llm", asleep=True))))
    first, second, rest = doctor_watching.of_probes(status)
    assert (first.level, first.text) == (
        *("finding", "router does not answer http://:8000/health: nothing listens on 10.0.0.3:80"),
    )
    assert (second.level, second.text) == ("finding", "db cannot be asked: no such tool: pg_isready")
    assert (rest.level, rest.text) == ("ok", "2 probes answered well"), "a model that is put away is well"
    assert doctor_watching.of_probes(None) == ()


def test_targets_that_are_down_are_findings_and_what_is_left_out_is_a_note() -> None:
    down = target("vllm", up=False, text="nothing listens on 10.0.0.3:9100")
    partly = target("node", left_out=3, text="3 samples are left out")
    fresh = target("kpi", up=False, at=0.0)
    status = views.status_document(shown(targets=(down, partly, fresh)))
    found = [(one.level, one.text) for one in doctor_watching.of_targets(status)]
    assert found == [
        ("finding", "vllm (vllm:9100) is down: nothing listens on 10.0.0.3:9100"),
        ("note", "node (node:9100): 3 samples are left out"),
        ("ok", "1 target up"),
    ]


def full(left: int, total: int = 400 * GIB, entries: int = 1000, number: int = 0) -> os.statvfs_result:
    return os.statvfs_result(
        (4096, 4096, total // 4096, left // 4096, left // 4096, 1000, entries, entries, 0, 255, number)
    )


@pytest.mark.parametrize(
    ("looked", "level"),
    [
        (full(100 * GIB), "ok"),
        (full(15 * GIB), "finding"),
        (full(21 * GIB, 4000 * GIB), "ok"),
        (full(15 * GIB, 100 * GIB), "ok"),
        (full(100 * GIB, entries=20), "finding"),
    ],
)
def test_a_disk_is_full_as_the_rules_have_it(looked: os.statvfs_result, level: str, tmp_path: Path) -> None:
    found = doctor_watching.of_disks(Settings(state_dir=tmp_path), lambda folder: looked)
    assert {one.level for one in found} == {level}


def test_each_disk_is_told_once_and_a_folder_that_is_not_there_is_none(tmp_path: Path) -> None:
    asked: list[str] = []

    def see(folder: str) -> os.statvfs_result:
        asked.append(folder)
        if folder == doctor_watching.ENGINE:
            raise FileNotFoundError(folder)
        return full(100 * GIB, number=7)

    settings = Settings.model_validate(
        {"state_dir": tmp_path, "disk": {"folders": ["/models"]}, "services": {"llm": {"weights": ["/models/llm"]}}}
    )
    (said,) = doctor_watching.of_disks(settings, see)
    assert said.text == f"100 GiB of 400 GiB are left where {tmp_path} is"
    assert asked == [str(tmp_path), doctor_watching.ENGINE, "/models", "/models/llm"]


def test_a_disk_that_cannot_be_looked_at_says_why(tmp_path: Path) -> None:
    def see(folder: str) -> os.statvfs_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert doctor_watching.of_disks(Settings(state_dir=tmp_path), see)[0].text.endswith("Input/output error")


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_watching, "LATE", 0.01)
    never = threading.Event()
    try:

        def see(folder: str) -> os.statvfs_result:
            never.wait(60)
            return full(GIB)

        found = doctor_watching.of_disks(Settings(state_dir=tmp_path), see)
    finally:
        never.set()
    assert all("does not answer" in one.text and one.level == "finding" for one in found)
