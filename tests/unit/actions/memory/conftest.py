"""A box with one running service, and hands on its memory."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from supervisor.facts import Needs
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.verbs import VERBS
from tests.support.groups import GIB, Groups
from tests.support.runner import Point, SimBox, sim_box


class MemoryBox:
    """One service `leak` that uses 6 GiB of its 4."""

    def __init__(self, box: SimBox) -> None:
        self.box, self.engine = box, box.engine
        box.engine.add_image(SimImage(tags=("leak:1",), run=Behaviour(healthy_after=1.0)))
        box.engine.human_run("leak", "leak:1", policy="always")
        box.let(3.0)
        self.id = box.engine.container("leak").id
        self.groups = box.core.groups = Groups(self.alive)
        self.groups.set(self.id, anon=6 * GIB, file=GIB, usage=7 * GIB)
        box.core.runner = box.core.fresh()

    def alive(self, key: str) -> bool:
        box = self.engine.container(key)
        return box is not None and box.running

    def plan(self, verb: str, needs: Needs | None = None, by: str = "uid:0", found=None, **params: str):
        """A plan as the core would build it, with its defaults."""
        service = self.box.service("leak", needs=needs or Needs(memory=int(4 * GIB)))
        made = self.box.plan(verb, service, **VERBS[verb].check(params))
        return replace(made, by=by, found={**made.found, **(found or {})})

    def run(self, plan):
        """Its end."""
        return self.box.run(self.box.core.run(plan))

    def done(self, verb: str, **params):
        """Plan it, run it; its end."""
        return self.run(self.plan(verb, **params))

    @property
    def now(self):
        """Its memory."""
        return self.groups.of(self.id)

    @property
    def wrote(self) -> list[str]:
        """What was written to the kernel, in order."""
        return [operation for operation, _key, _value in self.groups.writes]


@pytest.fixture
def box():
    with sim_box() as made:
        yield MemoryBox(made)


@pytest.fixture
def killed_at():
    """A box that is killed at the so many-th place; use as a context."""

    @contextmanager
    def at(number: int):
        point = Point()
        with sim_box(point) as made:
            box = MemoryBox(made)
            point.at, point.count = number, 0
            box.groups.on_call = lambda op, _key, when: point.pass_by(f"{op} {when}")
            yield box, point

    return at
