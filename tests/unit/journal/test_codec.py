"""Facts as JSON and back, also from another version of this program."""

import json
import math

import pytest

from supervisor.errors import JournalError
from supervisor.facts import Alert, Container, Incident, Intent, Needs, Plan, Service, Step, Wanted
from supervisor.journal.codec import dump, load
from supervisor.journal.rows import to_json
from supervisor.verdicts import Reason, no

PLAN = Plan(
    id=41,
    verb="phoenix",
    service="ai.oracle",
    engine="docker",
    params={"image": "last-known-good"},
    cause="it loops",
    by="playbook:restart-loop",
    created_at=5.5,
    op="a1b2",
    container_id="c1",
    name="oracle",
    locks=("ai.oracle", "gpu:0"),
    steps=(Step("park", "before", ("oracle",)), Step("put back", "inside", back=True)),
    needs=Needs(exclusive=("gpu:0",), kube={"container": "ktransformers"}),
    marks=(("park", True, {"old": "c1"}),),
    begun=("park",),
)


@pytest.mark.parametrize(
    "value",
    [
        PLAN,
        Alert("f", "X", "firing", {"severity": "critical"}, {"summary": "s"}, 2.5, 1.0, order=(1, 2, 3)),
        Incident("i1", "ai.oracle", 1.0, alerts=("f",), rungs={"restart-loop": 1}),
        Wanted("stopped", "uid:0", 3.0, "by hand", "always"),
        Service("ai.oracle", "docker", Container("c1", "oracle", "sha256:1", "o:1"), no(Reason.NOT_OWNED, "no label")),
        Service("ai.oracle", "docker", None, no(Reason.NOT_OWNED, "no label"), last_exit=139),
        Intent("stop", "ai.oracle", {}, "why", "rule:X"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_in_comes_out(value: object) -> None:
    stored = json.loads(to_json(dump(value)))
    assert load(type(value), stored) == value


def test_numbers_that_json_does_not_have_come_back() -> None:
    for number in (math.inf, -math.inf, math.nan):
        stored = json.loads(to_json(dump(Alert("f", "X", "firing", {}, {}, number, 1.0))))
        assert repr(load(Alert, stored).value) == repr(number)


def test_keys_of_a_newer_version_are_ignored_and_missing_ones_take_their_defaults() -> None:
    stored = dump(PLAN)
    stored["invented_later"] = {"x": 1}
    stored["steps"][0]["also_new"] = True
    del stored["recovered"], stored["needs"]["aliases"]
    assert load(Plan, stored) == PLAN


def test_what_cannot_be_read_names_the_place() -> None:
    with pytest.raises(JournalError, match=r"A Plan in the journal cannot be read: steps\.0\.phase"):
        load(Plan, {**dump(PLAN), "steps": [{"name": "x"}]})
