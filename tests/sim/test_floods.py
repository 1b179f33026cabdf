"""Outages of the broker and floods of events, with the whole daemon: few messages, and nobody is left in the dark."""

from typing import Any

from supervisor.bus.delivery.shedding import Bounds
from supervisor.journal import Batch
from supervisor.lab.engine import Behaviour
from tests.sim.stage import Stage, play, read

NAME = "box-oracle-1"
RULES = """
groups:
- name: mine
  rules:
  - alert: Sick
    expr: resurgam_container_unhealthy == 1
    labels: {severity: warning}
  - alert: Grave
    expr: resurgam_container_unhealthy == 1
    for: 1s
    labels: {severity: critical}
"""


def _read() -> Any:
    return read({"mine.yaml": RULES}, mode="observe")


async def _listening(stage: Stage) -> None:
    """A service with a health check, and a listener that has heard that it is sick."""
    stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
    await stage.up()
    await stage.begin()
    await stage.world.run(30)
    stage.engine.set_health(NAME, "unhealthy")
    await stage.until(lambda: len(stage.heard("alert.firing")) >= 2, 120, "both alerts")


async def _much(stage: Stage, times: int) -> None:
    """Much happens: sick and well, critical alerts among it, and people pause and resume."""
    for number in range(times):
        stage.engine.set_health(NAME, "healthy" if number % 2 == 0 else "unhealthy")
        for verb in ("pause", "resume"):
            assert (await stage.ask(verb, reason="a test")).verdict.ok
        await stage.world.run(20)


def _dies_at(stage: Stage, kind: str) -> None:
    """The daemon is killed at the commit of the first row of this kind."""
    disk, commit = stage.world.disk, stage.world.disk.commit

    def fatal(batch: Batch) -> None:
        if any(row.kind == kind for row in batch.rows):
            stage.world.kill_at = frozenset({stage.world.points + 1})
        commit(batch)

    disk.commit = fatal  # type: ignore[method-assign]


def test_an_outage_ends_in_a_digest_and_a_kill_before_it_is_durable_loses_nothing() -> None:
    async def story(stage: Stage) -> None:
        await _listening(stage)
        stage.world.broker.kill()
        await _much(stage, 41)
        stage.engine.set_health(NAME, "healthy")
        await stage.world.run(90)
        _dies_at(stage, "daemon.digest")
        stage.world.broker.start()
        await stage.until(lambda: stage.world.lives == 2, 120, "kill at the digest")
        assert not stage.rows("daemon.digest")
        await stage.until(lambda: stage.heard("daemon.digest"), 120, "digest")
        await stage.world.run(60)
        assert stage.world.disk.delivery_counts()["waiting"] == 0
        assert stage.world.disk.delivery_counts()["digested"] > 100
        assert stage.alert("Sick") is None
        stage.holds()

    play(story, _read())


def test_what_is_too_much_is_given_up_and_said_and_nothing_critical_is_among_it() -> None:
    async def story(stage: Stage) -> None:
        await _listening(stage)
        stage.world.broker.kill()
        assert stage.life.telling.pump is not None
        stage.life.telling.pump._keeper._shedder._bounds = Bounds(rows=60)
        await _much(stage, 25)
        await stage.until(lambda: stage.rows("daemon.shed"), 60, "row that says so")
        stage.engine.set_health(NAME, "healthy")
        await stage.world.run(30)
        stage.world.broker.start()
        await stage.until(lambda: stage.heard("daemon.shed"), 120, "message")
        await stage.world.run(60)
        counts = stage.world.disk.delivery_counts()
        assert counts["waiting"] == 0
        assert counts["shed"] > 5
        assert stage.life.core.snapshot.bus is not None
        assert stage.life.core.snapshot.bus.shed == counts["shed"]
        stage.holds()

    play(story, _read())


def test_a_flood_is_told_in_a_few_messages_while_it_lasts() -> None:
    async def story(stage: Stage) -> None:
        await _listening(stage)
        before = len(stage.world.broker.taken)
        for _ in range(60):
            for verb in ("pause", "resume"):
                await stage.ask(verb, reason="a test")
        await stage.world.run(30)
        assert 1 <= len(stage.heard("daemon.digest")) <= 8
        assert len(stage.heard("daemon.paused")) < 20
        assert len(stage.world.broker.taken) > before
        assert stage.world.disk.delivery_counts()["waiting"] == 0
        stage.engine.set_health(NAME, "healthy")
        await stage.world.run(60)
        stage.holds()

    play(story, _read())
