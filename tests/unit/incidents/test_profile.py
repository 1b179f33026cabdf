"""The safe profile in the guard: what makes no sense is refused, with what to do instead."""

from dataclasses import replace

import pytest

from supervisor.facts import Intent, Needs, SafeProfile, Service
from supervisor.incidents.guard import LASTING
from supervisor.incidents.profile import refused
from supervisor.verdicts import Reason
from tests.support.incidents import container, service

PLAIN = service("oracle", container=container(key="c", name="oracle"))
ABLE = replace(PLAIN, needs=Needs(safe=SafeProfile({"A": "1"})))


def asks(profile: str, verb: str = "phoenix", **more: object) -> Intent:
    return Intent(verb, "oracle", {"profile": profile} if profile else {}, "a test", "uid:0", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("intent", "of", "reason"),
    [
        (asks("careful"), ABLE, Reason.BAD_PARAMETER),
        (asks("safe", document={"image": "x"}), ABLE, Reason.BAD_PARAMETER),
        (asks("safe"), PLAIN, Reason.UNSUPPORTED),
        (asks("safe"), replace(ABLE, profile="safe"), Reason.ALREADY_DONE),
        (asks("normal"), ABLE, Reason.ALREADY_DONE),
    ],
)
def test_what_makes_no_sense_is_refused(intent: Intent, of: Service, reason: Reason) -> None:
    found = refused(intent, of)
    assert found is not None
    assert found.reason is reason


def test_who_declares_none_is_told_what_to_declare_and_the_ladder_goes_on() -> None:
    found = refused(asks("safe"), PLAIN)
    assert found is not None
    assert "safe: {env:" in found.text
    assert found.reason in LASTING


@pytest.mark.parametrize(
    ("intent", "of"),
    [
        (asks("safe"), ABLE),
        (asks("normal"), replace(PLAIN, profile="safe")),
        (asks(""), PLAIN),
        (asks("safe", "restart"), PLAIN),
    ],
)
def test_everything_else_may_be(intent: Intent, of: Service) -> None:
    assert refused(intent, of) is None
