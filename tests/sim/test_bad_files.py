"""Broken files: rule files as an editor or an attacker leaves them, a journal as a bad disk leaves it.

One clear message with its place, the good files count, and after a lost journal nothing disruptive is done.
"""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import caution
from supervisor.core.reading import read_rules
from supervisor.journal import Journal
from supervisor.verdicts import Reason
from tests.sim.stage import Stage, play, read

# ---------------------------------------------------------------- rule files

FINE = "groups: [{name: g, rules: [{alert: Fine, expr: vector(1)}]}]\n"
BAD_FILES: dict[str, tuple[str, str]] = {
    "yaml": ("groups:\n- name: [a\n", r"bad.yaml:\d+:\d+: "),
    "tabs": ("groups:\n\t- name: a\n", r"bad.yaml:2:1: "),
    "twice": ("groups: []\ngroups: []\n", r"bad.yaml:2:1: .*groups"),
    "unknown": ("groups:\n- name: g\n  rulez: []\n", r"bad.yaml:3:3: .*rulez.*rules"),
    "function": (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: incraese(up[5m])\n",
        r"bad.yaml:5:\d+: .*incraese",
    ),
    "regex": ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up{a=~'('}\n", r"bad.yaml:5:\d+: "),
    "alias": ("groups: *a\n", r"bad.yaml:1:\d+: "),
    "tag": ("groups: !!python/object/apply:os.system ['true']\n", r"bad.yaml:1:\d+: "),
    "number": ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    for: 5x\n", r"bad.yaml:6:\d+: "),
    "list": ("- 1\n", r"bad.yaml:1:1: "),
    "huge": ("# " + "x" * 4_200_000 + "\n", r"bad.yaml:0:0: .*4 MiB"),
    "bytes": ("groups: \udcff\n", r"bad.yaml:0:0: .*UTF-8"),
}


def rules_of(folder: Path, uid: int | None = None) -> tuple[list[str], list[str]]:
    """(names of the rules that count, texts about files that do not)."""
    loaded = read_rules(Settings(rules=(str(folder),), state_dir=folder), uid)
    return [rule.name for rule in loaded.rules.rules], [health.text for health in loaded.rules.health if health.text]


@pytest.mark.parametrize(("text", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_rule_file_is_left_out_with_its_place_and_the_good_one_counts(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "good.yaml").write_text(FINE)
    (tmp_path / "bad.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    names, said = rules_of(tmp_path)
    assert names == ["Fine"]
    assert len(said) == 1
    assert len(said[0]) < 2000
    pytest.importorskip("re").search(words, said[0])
    assert_matches(words, said[0])


def assert_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o664])
def test_a_rule_file_that_others_may_write_is_not_obeyed(tmp_path: Path, mode: int) -> None:
    (tmp_path / "good.yaml").write_text(FINE)
    (tmp_path / "bad.yaml").write_text(FINE.replace("Fine", "Evil"))
    (tmp_path / "bad.yaml").chmod(mode)
    names, said = rules_of(tmp_path, tmp_path.stat().st_uid)
    assert names == ["Fine"]
    assert len(said) == 1
    assert "chmod" in said[0]


def test_a_folder_that_others_may_write_to_is_not_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "bad.yaml").write_text(FINE)
    folder.chmod(0o777)
    names, said = rules_of(folder, tmp_path.stat().st_uid)
    assert names == []
    assert said


def test_a_bad_file_at_the_start_is_named_in_the_status_and_raised_and_the_rest_works() -> None:
    bad = read({"a-bad.yaml": "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: nope(up)\n"})

    async def story(stage: Stage) -> None:
        good = await stage.proved()
        assert any("a-bad.yaml:5:" in text and "nope" in text for text in stage.snapshot.problems)
        assert stage.rows("daemon.rules_bad"), "and it is an event people are told of"
        await stage.moved()
        await stage.until(stage.ended, 60, "end of the phoenix")
        assert stage.box().image_id == good  # type: ignore[union-attr]

    play(story, bad)


# ---------------------------------------------------------------- the journal


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)


def newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()


async def dies(stage: Stage) -> None:
    """SIGKILL of a daemon whose journal is a file."""
    await stage.life.die()
    stage.world.life = None
    stage.world.disk.close()


@pytest.mark.parametrize("harm", [spoil, newer])
def test_a_lost_journal_means_caution_until_a_person_says_resume(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = tmp_path / "journal.db"

    async def story(stage: Stage) -> None:
        stage.world.disk = Journal.open(path, stage.clock)
        await stage.proved()
        await stage.moved()
        await stage.until(lambda: any("start" in plan.begun for plan in stage.plans()), 60, "start", step=0.002)
        await dies(stage)
        harm(path)
        size = path.stat().st_size
        stage.world.disk = Journal.open(path, stage.clock)
        caution(stage.world.disk, stage.clock)
        aside = stage.world.disk.set_aside
        assert aside is not None
        assert aside.stat().st_size == size, "set aside, never overwritten"
        boxes = stage.names()
        writes = len(stage.engine.writes)

        await stage.begin()
        await stage.world.run(20)
        assert any(str(aside) in text and "resurgam resume" in text for text in stage.snapshot.problems)
        assert stage.heard("daemon.mode")
        assert (await stage.ask("restart")).verdict.reason is Reason.OBSERVE_MODE
        await stage.world.run(1800)
        await dies(stage)
        stage.world.disk = Journal.open(path, stage.clock)
        await stage.begin()
        await stage.world.run(1800)
        assert stage.snapshot.mode == "observe", "a restart does not forget it"
        assert len(stage.engine.writes) == writes
        assert stage.names() == boxes, "nothing of what we made is deleted"

        assert (await stage.ask("resume", "*")).verdict.ok
        assert stage.snapshot.mode == "heal"
        assert (await stage.ask("restart")).verdict.ok
        await dies(stage)

    play(story)
