"""The watcher of request files: its patience, what it asks, and a folder full of traps."""

import asyncio
import os
from pathlib import Path

import pytest

from supervisor.config.settings import RequestSettings
from supervisor.facts import Command, Decision, Intent
from supervisor.lab.loop import SimLoop
from supervisor.lab.requests import SimFolder
from supervisor.signals.request_file import RequestWatch, SharedFolder
from supervisor.verdicts import Reason, Verdict, no, yes

ENTRY = RequestSettings(folder="/srv/state", project="box", grace="10s")  # type: ignore[arg-type]


class Core:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts, self.asked = list(verdicts), list[Command]()
        self.verb = "phoenix"

    async def ask(self, fact: Command) -> Decision:
        self.asked.append(fact)
        verdict = self.verdicts.pop(0) if self.verdicts else yes("Plan 1 was started.")
        return Decision(fact.at, Intent(self.verb, fact.target, fact.params, "", ""), verdict, 1)


def watching(
    core: Core, folder: SimFolder, seconds: float, at: float = 0.0, entry: RequestSettings = ENTRY
) -> RequestWatch:
    """Let a watch look for so long; a request is written `at` seconds after the beginning."""
    loop = SimLoop()

    async def story() -> RequestWatch:
        watch = RequestWatch(entry, folder, core.ask, loop.clock)
        task = asyncio.ensure_future(watch.run())
        await asyncio.sleep(at)
        if not folder.removed and folder.file is None:
            folder.request(loop.clock.wall())
        await asyncio.sleep(seconds)
        task.cancel()
        return watch

    return loop.run_until_complete(story())


def test_it_asks_for_the_project_once_after_its_grace() -> None:
    core, folder = Core(), SimFolder("/srv/state/restart-requested")
    watching(core, folder, 9.5)
    assert core.asked == []
    watching(core, folder, 60)
    [asked] = core.asked
    assert (asked.verb, asked.target, dict(asked.params)) == ("phoenix", "project:box", {"image": "current"})
    assert (asked.principal, asked.door) == ("request:box", "file")
    assert asked.id.startswith("/srv/state/restart-requested|1:1:")
    assert folder.file is None


@pytest.mark.parametrize("reason", [Reason.NOT_READY, Reason.JOURNAL_FAILED, Reason.ENGINE_ABSENT, Reason.STOPPING])
def test_what_cannot_be_decided_yet_is_asked_again_later(reason: Reason) -> None:
    core, folder = Core(no(reason, "not now")), SimFolder("f")
    watching(core, folder, 20)
    assert len(core.asked) == 1
    assert folder.file is not None
    core.asked.clear()
    core.verdicts = [no(reason, "not now")]
    watching(core, folder, 40)
    assert len(core.asked) == 2
    assert folder.file is None


def test_a_core_that_is_too_busy_is_asked_again() -> None:
    core, folder = Core(no(Reason.BUSY, "Too many commands wait already.")), SimFolder("f")
    core.verb = ""
    watching(core, folder, 20)
    assert folder.file is not None


def test_a_refusal_ends_the_request() -> None:
    core, folder = Core(no(Reason.PAUSED, "paused")), SimFolder("f")
    watching(core, folder, 120)
    assert len(core.asked) == 1
    assert folder.file is None


def test_without_grace_it_asks_at_the_first_look() -> None:
    core, folder = Core(), SimFolder("f")
    watching(core, folder, 1.5, entry=ENTRY.model_copy(update={"grace": 0.0}))
    assert len(core.asked) == 1


def test_whoever_writes_it_again_and_again_is_not_heard_more_often_than_every_few_seconds() -> None:
    core, folder, loop = Core(), SimFolder("f"), SimLoop()

    async def story() -> None:
        watch = RequestWatch(ENTRY.model_copy(update={"grace": 0.0}), folder, core.ask, loop.clock)
        task = asyncio.ensure_future(watch.run())
        for _ in range(60):
            folder.request(loop.clock.wall())
            await asyncio.sleep(1)
        task.cancel()

    loop.run_until_complete(story())
    assert 10 <= len(core.asked) <= 13


def test_a_file_that_was_written_too_long_ago_is_refused_by_the_door_itself() -> None:
    core, folder = Core(no(Reason.STALE, "old")), SimFolder("f")
    folder.request(SimLoop().clock.wall() - 601)
    watching(core, folder, 30)
    [asked] = core.asked
    assert asked.refused is not None
    assert asked.refused.reason is Reason.STALE


# ------------------------------------------------------------ a real folder


def real(folder: Path) -> SharedFolder:
    return SharedFolder(
        RequestSettings(folder=str(folder), project="box", compose="c.yml"), lambda path: {"path": path}
    )


def test_a_plain_file_is_a_request_and_is_removed(tmp_path: Path) -> None:
    shared, file = real(tmp_path), tmp_path / "restart-requested"
    assert asyncio.run(shared.look()) is None
    file.touch()
    found = asyncio.run(shared.look())
    assert found is not None
    assert found.is_file
    assert found.written == pytest.approx(file.stat().st_mtime)
    asyncio.run(shared.remove(found))
    assert not file.exists()
    assert asyncio.run(shared.compose()) == {"path": f"{tmp_path}/c.yml"}


def test_a_request_written_anew_is_another_one_and_is_not_removed_for_the_first(tmp_path: Path) -> None:
    shared, file = real(tmp_path), tmp_path / "restart-requested"
    file.touch()
    first = asyncio.run(shared.look())
    os.utime(file, (1, 1))
    second = asyncio.run(shared.look())
    assert first is not None
    assert second is not None
    assert first.identity != second.identity
    asyncio.run(shared.remove(first))
    assert file.exists()


def test_links_pipes_and_folders_are_no_requests_and_nothing_behind_them_is_touched(tmp_path: Path) -> None:
    shared, file, other = real(tmp_path), tmp_path / "restart-requested", tmp_path / "other"
    other.touch()
    for make in (lambda: os.symlink(other, file), lambda: os.mkfifo(file), lambda: os.mkdir(file)):
        make()
        found = asyncio.run(shared.look())
        assert found is not None
        assert not found.is_file
        asyncio.run(shared.remove(found))
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        assert not os.path.lexists(file)
        assert other.exists()


def test_a_folder_that_is_not_there_or_not_ours_holds_no_request(tmp_path: Path) -> None:
    assert asyncio.run(real(tmp_path / "gone").look()) is None
    tmp_path.joinpath("file").touch()
    assert asyncio.run(real(tmp_path / "file").look()) is None


def test_whoever_is_refused_again_and_again_is_heard_ever_more_seldom() -> None:
    core, folder = Core(*[no(Reason.BAD_PARAMETER, "no")] * 1000), SimFolder("f")
    loop = SimLoop()

    async def story() -> int:
        watch = RequestWatch(ENTRY.model_copy(update={"grace": 0.0}), folder, core.ask, loop.clock)
        task = asyncio.ensure_future(watch.run())
        for _ in range(3600):
            folder.request(loop.clock.wall())
            await asyncio.sleep(1.0)
        many = len(core.asked)
        folder.file = None
        await asyncio.sleep(3600)  # a fresh one after a quiet hour is heard at once
        core.asked.clear()
        folder.request(loop.clock.wall())
        await asyncio.sleep(3)
        task.cancel()
        assert len(core.asked) == 1
        return many

    assert 3 < loop.run_until_complete(story()) < 25
