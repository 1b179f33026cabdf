"""The command before a change of image: run once in the old container, proved by its file, or nothing is touched."""

from dataclasses import replace

import pytest

from supervisor.facts import Before, Needs
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.lab.files import SimFile
from supervisor.ports import ExecResult
from supervisor.verdicts import Reason
from tests.support.runner import Killed, sim_box

ONE = SimImage(tags=("db:1",), run=Behaviour(healthy_after=1.0))
TWO = SimImage(tags=("db:2",), config={"Env": ["V=2"]}, run=Behaviour(healthy_after=1.0))
FILE = "/backup/db.dump"
DUMP = ("pg_dump", "-f", FILE)


@pytest.fixture
def box():
    with sim_box() as made:
        made.one, made.two = made.engine.add_image(ONE), made.engine.add_image(TWO)
        made.engine.human_run("db", "db:1", policy="always")
        made.let(3.0)
        made.ran = []
        made.wrote, made.said = SimFile(b"rows", mtime=0), ExecResult(0, "done\npassword=hunter2")

        async def run(key, argv, limit):
            made.ran.append((key, argv, limit))
            if made.wrote is not None:
                fresh = made.wrote if made.wrote.mtime else replace(made.wrote, mtime=int(made.clock.wall()))
                made.engine.world.get(key).files.put(FILE, fresh)
            return made.said

        made.engine.exec = run
        yield made


def plan(box, image):
    before = Before(DUMP, 60.0, FILE)
    service = replace(box.service("db", proved_image=box.one), needs=Needs(startup=30.0, before=before))
    return box.plan("phoenix", service, image)


def test_it_runs_in_the_old_one_while_it_serves_and_its_proof_is_kept_without_secrets(box):
    made = plan(box, box.two)
    ended = box.run(box.core.run(made))
    assert ended.outcome.ok, ended
    assert box.ran == [(made.container_id, DUMP, 60.0)]
    assert box.core.asked.index("before") < box.core.asked.index("create") < box.core.asked.index("stop")
    kept = box.core_data()["backup"]
    assert (kept["exit_code"], kept["file"]) == (0, FILE)
    assert kept["output"] == ["done", "password=***"]


def test_the_same_image_needs_no_backup(box):
    assert box.run(box.core.run(plan(box, box.one))).outcome.ok
    assert box.ran == []


@pytest.mark.parametrize(
    ("said", "wrote", "words"),
    [
        (ExecResult(3, "disk full"), SimFile(b"x"), "exit code 3"),
        (ExecResult(127, "", "no such program"), SimFile(b"x"), "could not run: no such program"),
        (ExecResult(0, ""), None, f"there is no file {FILE}"),
        (ExecResult(0, ""), SimFile(b""), f"{FILE} is empty"),
        (ExecResult(0, ""), SimFile(b"old rows", mtime=1000), "older than its start"),
        (ExecResult(0, ""), SimFile(kind="folder"), f"there is no file {FILE}"),
    ],
)
def test_whatever_is_wrong_with_it_is_said_and_nothing_is_touched(box, said, wrote, words):
    box.said, box.wrote = said, wrote
    ended = box.run(box.core.run(plan(box, box.two)))
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["why"] == Reason.BACKUP_FAILED.value
    assert words in ended.outcome.text
    assert "Nothing was touched" in ended.outcome.text
    assert box.engine.writes == []
    assert box.engine.container("db").running


def test_one_that_does_not_run_has_no_backup_to_offer(box):
    made = plan(box, box.two)
    box.engine.human_stop("db")
    box.let(20.0)
    ended = box.run(box.core.run(made))
    assert ended.data["why"] == Reason.BACKUP_FAILED.value
    assert (box.ran, box.engine.writes) == ([], [])


def test_a_kill_in_the_middle_ends_the_plan_and_the_next_one_runs_it_anew(box):
    plain, killed = box.engine.exec, []

    async def die(key, argv, limit):
        await plain(key, argv, limit)
        killed.append(key)
        raise Killed("exec")

    box.engine.exec = die
    with pytest.raises(Killed):
        box.run(box.core.run(plan(box, box.two)))
    box.engine.exec = plain
    (ended,) = box.run(box.core.recover())
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert box.engine.writes == []
    assert box.run(box.core.run(replace(plan(box, box.two), id=2))).outcome.ok
    assert len(box.ran) == 2
