"""Bugs planted in what is done to slots. From: planted.py, whose table names them. Each function is one patch; its
docstring is what people read.
"""

import math
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from supervisor.actions.swap import before, drain, measuring, ready, serve, swap, trial
from supervisor.actions.swap.sides import box_of
from supervisor.core.standins import StandIns
from supervisor.core.trials import Trials
from supervisor.facts import Completion, Identity, ServerLook
from supervisor.incidents import slots as incidents
from supervisor.lab.minds import SENSE
from supervisor.slots import failover, judge, residency, state
from supervisor.slots.nogo import NoGos


def memory_not_waited_for() -> Any:
    """A candidate is started as soon as the container of the old model has ended."""

    async def freed(*_given: Any, **_named: Any) -> str:
        return ""

    return patch.object(swap, "freed", freed)


def both_at_once() -> Any:
    """The candidate is started before the old model was stopped, or its memory was looked at."""
    put_away = serve.put_away

    async def later(hand: Any, both: Any, part: Any, step: str, *more: Any) -> str:
        return "It will be." if step == "stop" else await put_away(hand, both, part, step, *more)

    async def freed(*_given: Any, **_named: Any) -> str:
        return ""

    return _all({"supervisor.actions.swap.swap.put_away": later, "supervisor.actions.swap.swap.freed": freed})


def plain_yes_is_ready() -> Any:
    """A model counts as ready once its server says that it is loaded."""

    async def answer(*_given: Any, **_named: Any) -> Completion:
        return Completion(SENSE, 0.1, 0.1, 1)

    return patch.object(ready, "_answer", answer)


def busy_is_idle() -> Any:
    """What nobody knows counts as idle."""
    in_flight = drain.in_flight

    async def count(*given: Any, **named: Any) -> tuple[int, str]:
        found, text = await in_flight(*given, **named)
        return found or 0, text

    return patch.object(drain, "in_flight", count)


def no_go_forgotten() -> Any:
    """That a model failed is not remembered."""
    return patch.object(NoGos, "failed", lambda *_given: None)


def canaries_unread() -> Any:
    """Whatever a model answers to its canaries is right."""
    return patch.object(measuring, "right", lambda *_given: True)


def policy_kept() -> Any:
    """The model that left keeps its restart policy."""
    put_away = serve.put_away

    async def as_it_was(hand: Any, both: Any, part: Any, *more: Any) -> str:
        before = await box_of(hand, part)
        said = await put_away(hand, both, part, *more)
        if before is not None and before.running:
            await hand.engine.set_policy(before.id, before.restart_policy)
        return said

    both = {"supervisor.actions.swap.swap.put_away": as_it_was, "supervisor.actions.swap.back.put_away": as_it_was}
    return _all(both)


def handed_back_against_a_rule() -> Any:
    """The first choice is tried again though a rule holds it down."""
    return patch.object(StandIns, "_held_down", lambda *_given: False)


def door_left_shut() -> Any:
    """A gate that a new process opened is not told who holds the slot."""
    return patch("supervisor.lab.house.obey", lambda *_given: None)


def probation_unmeasured() -> Any:
    """What a measurement in probation says is not looked at."""
    return patch.object(Trials, "measured", lambda *_given: None)


def committed_unasked() -> Any:
    """The commit is asked for before the canaries are."""
    measured = trial.measured

    async def first(hand: Any, both: Any, *more: Any) -> str:
        verdict = ""
        if hand.has("commit") and "commit" not in hand.begun and hand.has("canary"):
            await hand.step("commit")
            verdict = judge.GO
        return verdict or await measured(hand, both, *more)

    return patch.object(trial, "measured", first)


def way_back_unverified() -> Any:
    """The one that comes back is believed to be there once it was started."""

    async def there(*_given: Any, **_named: Any) -> Any:
        return ready.Ready(Identity(), Completion(SENSE, 0.1, 0.1, 1), 1.0, 1.0, ServerLook("loaded", "it is"))

    return patch("supervisor.actions.swap.back.ready.ready", there)


def busy_put_away() -> Any:
    """Who works on requests may be put away for want of use, or of room, and is cut."""
    stays, quiet = residency.stays, before.quiet

    def idle(slot: Any, one: Any, *more: Any) -> Any:
        return stays(slot, replace(one, in_flight=0), *more)

    async def cut(*given: Any, **named: Any) -> None:
        await quiet(*given, **{**named, "cut": True})

    return _all({"supervisor.slots.residency.stays": idle, "supervisor.actions.swap.before.quiet": cut})


def woken_beside() -> Any:
    """One that sleeps may be woken beside the one that holds the slot."""
    already = incidents._already

    def unseen(intent: Any, *more: Any) -> Any:
        return already(intent, *more) if intent.verb != "wake" else None

    return patch.object(incidents, "_already", unseen)


def handed_back_at_once() -> Any:
    """The first choice is tried again and again, not once per window."""
    return patch.object(failover, "hand_back_at", lambda *_given: 0.0)


def stood_in_for_a_person() -> Any:
    """Another model takes the place of one that a person stopped."""
    return patch.object(failover, "stays_down", lambda *_given: False)


def left_to_loop() -> Any:
    """A bad candidate that was to sleep is let be where its server does not answer."""
    return patch("supervisor.actions.swap.back.out_of_the_way", serve.put_away)


def older_than_its_start() -> Any:
    """What model servers say after the wall clock was set back is taken for older than their start."""
    stands = state._stands
    return patch.object(state, "_stands", lambda seen, *more: stands(replace(seen, now=math.inf), *more))


class _all:
    """Several patches as one."""

    def __init__(self, named: dict[str, Any]) -> None:
        self._patches = [patch(name, value) for name, value in named.items()]

    def __enter__(self) -> None:
        for one in self._patches:
            one.start()

    def __exit__(self, *_why: object) -> None:
        for one in self._patches:
            one.stop()
