"""SIGKILL of the daemon in the midst of a swap of real model servers: the next start ends it on one verified model.

One swap is good, one goes back since its model is too slow. An undisturbed run of each gives the points (every commit
of the journal, every write of the engine); then some of them, one per step, get a box of their own: a slot, two model
servers, a daemon that dies there, and callers all the while. All points: RESURGAM_SOAK=1.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.errors import DaemonAbsent
from tests.support.daemon import ENDS, Hands, Nursery, hands, until
from tests.support.gguf_models import tiny
from tests.support.openloop import BUSY, OK, OTHER
from tests.support.swap_box import POLICY, SLOT, Entrant, SwapBox

pytestmark = pytest.mark.real

AT_ONCE = 5
GATES = 18_960
"""the ports of the gates, from here on"""
SOAK = bool(os.environ.get("RESURGAM_SOAK"))
GOOD, SLOW = "good", "slow"
CRITERIA = {GOOD: {"tokens": 16}, SLOW: {"tokens": 16, "at-least": 900_000}}
POINTS = {
    GOOD: (
        "after commit begin drain",
        "before write stop",
        "after write stop",
        "after commit begin freed",
        "before write start",
        "after write start",
        "after commit begin bench",
        "after commit begin commit",
        "after commit begin tidy",
    ),
    SLOW: ("after commit begin back_stop", "after write stop#2", "after write start#2", "after commit begin back_open"),
}
"""where it is killed, in what order they come"""
SETTLED = "after commit begin commit"
"""from here on it is the new model's"""
NEVER = "before commit action.planned"
"""killed there, nobody has ever heard of the swap"""
CALM = 12
"""whole answers in a row that callers get at the end"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the plays share."""

    person: Hands
    nursery: Nursery
    folder: Path

    def box(self, number: int, kind: str) -> SwapBox:
        """A slot that `one` holds, and `two` beside it."""
        one, two = (Entrant(name, self.folder / f"{name}.gguf") for name in ("one", "two"))
        slot = {"criteria": CRITERIA[kind], "probation": "0s"}
        return SwapBox(self.person, GATES + number, (one, two), slot, word=f"p{number:03}", nursery=self.nursery)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder, nursery = tmp_path_factory.mktemp("models"), Nursery()
    tiny(folder / "one.gguf")
    tiny(folder / "two.gguf", seed=1)
    try:
        with hands("sk") as person:
            yield Stage(person, nursery, folder)
    finally:
        nursery.close()


def passed(stage: Stage, number: int, kind: str) -> list[str]:
    """An undisturbed swap; its points, in order: of a commit with several names the first."""
    box = stage.box(number, kind)
    try:
        box.make()
        box.start()
        row = box.ended(box.ask(to="two"))
        assert row["kind"] == ("action.verified" if kind == GOOD else "action.rolled_back"), box.said()
        return box.daemon.record.read_text().replace(" | ", "\n").splitlines()
    finally:
        box.close()


def play(stage: Stage, number: int, kind: str, point: str) -> str:
    """Killed there, and started again. What was wrong then; '' for nothing."""
    box = stage.box(number, kind)
    try:
        box.make()
        box.start(point)
        with box.load(rate=8.0) as load:
            with contextlib.suppress(DaemonAbsent):  # it may die before it answers
                box.daemon.command("swap", SLOT, to="two")
            code = box.daemon.ended(60)
            if code != -signal.SIGKILL:
                return f"{point}: it ended by itself ({code}): {box.daemon.said()}"
            began = time.monotonic()
            box.start_again()
            wrong = _rests(box, kind, point)
            answers = len(load.answers)
            until(lambda: len(load.answers) >= answers + CALM, 60, "callers go on")
        late = [one for one in load.answers if one.due > began]
        wrong += [f"a caller was sent away: {one.text}" for one in late if one.kind in (BUSY, OTHER)]
        wrong += [f"a caller had no answer in the end: {one}" for one in late[-CALM:] if one.kind != OK]
        return f"{kind} {point}: {wrong}\n  {box.said()}" if wrong else ""
    except Exception as err:
        return f"{kind} {point}: {type(err).__name__}: {err}\n  {box.said()}"
    finally:
        box.close()


def _rests(box: SwapBox, kind: str, point: str) -> list[str]:
    """Wait until no plan is open and somebody holds the slot; what is wrong then."""

    def rest() -> bool:
        status = box.daemon.status() or {"plans": [""]}
        return not status["plans"] and bool(box.slot().get("holder")) and bool(box.asked())

    until(rest, 60, lambda: f"it comes to rest: {box.said()}")
    holder, wrong = str(box.slot()["holder"]), []
    ends = [row for row in box.daemon.rows("action") if row["kind"] in ENDS and row["body"].get("verb") == "swap"]
    if len(ends) != 1 and point != NEVER:
        wrong.append(f"{len(ends)} ends of one swap")
    if box.running() != [holder]:
        wrong.append(f"{holder} holds it, and these run: {box.running()}")
    if box.asked() != holder:
        wrong.append(f"{holder} holds it, and {box.asked()} answers")
    if box.policy(holder) != POLICY:
        wrong.append(f"the policy of {holder} is {box.policy(holder)}")
    if box.leftovers():
        wrong.append(f"left over: {box.leftovers()}")
    other = "two" if holder == "one" else "one"
    begun = [row["body"]["step"] for row in box.daemon.rows("action.begin")]
    if "stop" in begun and box.policy(other) != "no":
        wrong.append(f"{other} would come back at the next boot")
    order = POINTS[kind]
    settled = kind == GOOD and point in order and order.index(point) >= order.index(SETTLED)
    if holder != "two" and settled:
        wrong.append("the commit was durable, and it went back")
    if holder != "one" and kind == SLOW:
        wrong.append("a model that did not do holds it")
    return wrong


def test_killed_at_any_step_it_ends_on_one_verified_model(stage: Stage) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = {kind: pool.submit(passed, stage, number, kind) for number, kind in enumerate((GOOD, SLOW))}
        known = {kind: each.result() for kind, each in told.items()}
        missing = [point for kind, points in POINTS.items() for point in points if point not in known[kind]]
        assert not missing, (missing, known)
        plays = [(kind, point) for kind in POINTS for point in (known[kind] if SOAK else POINTS[kind])]
        runs = [pool.submit(play, stage, number + 2, *each) for number, each in enumerate(plays)]
        wrong = [each for each in (run.result() for run in runs) if each]
    assert not wrong, f"{len(wrong)} of {len(plays)} points:\n" + "\n".join(wrong)
