"""A part at our edge in trouble: it is said in the status, counted, and rules can see it."""

from supervisor.facts import EdgeState
from tests.sim.stage import Stage, play


def test_trouble_at_an_edge_is_shown_until_it_is_over_and_what_was_lost_is_counted() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        core = stage.life.core

        def tell(text: str, **counts: int) -> None:
            core.submit(EdgeState(core.clock.wall(), core.clock.mono(), "recorder", text, counts))

        tell("The recorder cannot write; free some disk space.", recorder_dropped=7)
        await stage.until(
            lambda: "The recorder cannot write; free some disk space." in stage.snapshot.problems, 5, "it said"
        )
        assert stage.snapshot.status == "degraded"
        assert stage.snapshot.counts["recorder_dropped"] == 7
        await stage.world.run(61)
        shown = {dict(labels).get("kind"): value for labels, value in core.metrics(core.clock.wall())}
        assert shown["recorder_dropped"] == 7
        tell("")
        await stage.until(lambda: not stage.snapshot.problems, 5, "it over")
        assert stage.snapshot.status == "ok"

    play(story)
