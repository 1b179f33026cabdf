"""A command over the bus that is about a slot: `if_rev` is the slot's own, by whatever name it is called."""

import pytest

from supervisor.facts import Command, Decision
from supervisor.facts.slots import UNLOADED
from supervisor.verdicts import Reason
from tests.support.slot_desk import Slots, looks


def asked(slots: Slots, verb: str, target: str, rev: int) -> Decision:
    fact = Command(
        slots.wall, slots.mono, verb, target, {}, "bus:homeassistant", "bus", id=f"{verb}{target}{rev}", if_rev=rev
    )
    batch = slots.journal.batch()
    slots.core.begin(batch, slots.wall, slots.mono)
    found = slots.core.mail.answer(slots.core, fact)
    slots.core.finish()
    slots.core.effects, slots.core.replies = [], []
    slots.journal.commit(batch)
    return found


@pytest.fixture
def slots() -> Slots:
    found = Slots(commands={"principals": {"homeassistant": {"verbs": ["swap", "bench"]}}})
    found.listed()
    found.models(v32=looks(), mxfp4=looks(UNLOADED))
    return found


@pytest.mark.parametrize("word", ["oracle", "slot:oracle"])
def test_what_has_not_changed_is_obeyed_and_what_has_is_refused(slots: Slots, word: str) -> None:
    rev = slots.core.revisions.get("slot:oracle", 0)
    late = asked(slots, "bench", word, rev + 1)
    assert late.verdict.reason is Reason.STALE
    assert "since you looked at slot:oracle" in late.verdict.text
    assert late.rev == rev
    assert asked(slots, "bench", word, rev).verdict.reason is not Reason.STALE


def test_a_slot_that_there_is_none_has_no_revision(slots: Slots) -> None:
    found = asked(slots, "bench", "executor", 0)
    assert found.verdict.reason is Reason.NO_TARGET
