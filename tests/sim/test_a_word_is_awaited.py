"""While a plan waits for a person's word, a day perhaps, nobody else's trouble waits with it."""

from supervisor.lab.engine import Behaviour
from tests.sim.stage import CRASHES, OWNED, Stage, play

DATA = {**OWNED, "resurgam.stateful": "true"}


async def waiting(stage: Stage) -> None:
    """A project of two, app after db; db keeps state, and is at a way back for which a person must say yes."""
    stage.image("local/db:1", Behaviour(healthy_after=1.0))
    stage.image("local/app:1", Behaviour(healthy_after=1.0))
    await stage.up("db", DATA)
    await stage.up("app", {**OWNED, "com.docker.compose.depends_on": "db:service_started:false"})
    await stage.begin()
    await stage.world.run(90)
    stage.image("local/db:1", Behaviour(exit_after=2.0, exit_code=1))
    await stage.world.run(1)
    answer = await stage.ask("phoenix", "box", image="current")
    assert answer.verdict.ok, answer.verdict.text
    await stage.until(lambda: stage.snapshot.approvals, 60, "question")


def test_the_other_services_of_a_project_are_healed_meanwhile() -> None:
    async def story(stage: Stage) -> None:
        await waiting(stage)
        await stage.moved("app", CRASHES)
        await stage.until(lambda: [row for row in stage.ended() if row.subject == "box.app"], 300, "healing of app")
        box = stage.box("box-app-1")
        assert box is not None
        assert box.running
        assert stage.snapshot.approvals, "the question is still open"

    play(story)


def test_who_queues_for_the_same_service_holds_up_nobody_else_either() -> None:
    async def story(stage: Stage) -> None:
        await waiting(stage)
        assert (await stage.ask("restart", "box.db")).verdict.ok, "it queues"
        await stage.moved("app", CRASHES)
        await stage.until(lambda: [row for row in stage.ended() if row.subject == "box.app"], 300, "healing of app")
        box = stage.box("box-app-1")
        assert box is not None
        assert box.running

    play(story)


def test_after_the_word_the_rollout_ends_and_nothing_stays_locked() -> None:
    async def story(stage: Stage) -> None:
        await waiting(stage)
        await stage.world.run(600)
        await stage.ask("approve", stage.snapshot.approvals[0].id)
        await stage.until(lambda: not stage.space("rollout") and not stage.space("plan"), 300, "end of the rollout")
        assert stage.ended()[-1].kind == "action.rolled_back"
        db, app = stage.box("box-db-1"), stage.box("box-app-1")
        assert db is not None
        assert app is not None
        assert (db.running, app.running) == (True, True)
        stage.holds()

    play(story)
