"""A decider in the hand of a test: facts go in, turn by turn, and nothing runs beside it."""

from dataclasses import replace
from typing import Any

from supervisor.core.decider import Decider
from supervisor.facts import Container, EngineState, Sweep
from supervisor.journal import Journal


class Turns:
    """Turns of `core`, each some seconds after the one before. `rows`: the kinds of all rows until now."""

    core: Decider
    journal: Journal
    every = 5.0

    def begin(self, core: Decider, journal: Journal, wall: float, mono: float) -> None:
        """From this instant on."""
        self.core, self.journal, self.wall, self.mono = core, journal, wall, mono
        self.rows: list[str] = []

    def turn(self, *facts: Any, seconds: float | None = None) -> None:
        """One turn with these facts, of its instant."""
        step = self.every if seconds is None else seconds
        self.wall, self.mono = self.wall + step, self.mono + step
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        for fact in facts:
            self.core.take(replace(fact, at=self.wall, mono=self.mono), None)
        self.core.finish()
        self.core.effects.clear()
        self.core.replies.clear()
        self.rows += [row.kind for row in batch.rows]
        self.journal.commit(batch)

    def listed(self, *containers: Container) -> None:
        """The engine answers, and has these."""
        self.turn(EngineState(0, 0, "docker", True, "up", "life", "20.10"), Sweep(0, 0, "docker", containers))
