"""Plans: everything a fresh process needs stands in them, or there is a reason why there is none."""

import re

import pytest

from supervisor.actions.plans import build, limit, plain_verb
from supervisor.actions.steps import lkg_ref
from supervisor.facts import Container, Intent, Needs, Plan, Service, Wanted
from supervisor.verdicts import Reason, Verdict, yes

BOX = Container("a" * 64, "oracle", "sha256:run", "oracle:1", status="running", restart_policy="always")
NEEDS = Needs(exclusive=("gpu:0",), startup=90.0)


def service(**changes):
    fields = {"container": BOX, "owned": yes(), "needs": NEEDS, "proved_image": "sha256:good", **changes}
    return Service("ai.oracle", "docker", **fields)


def plan(verb, image_id="", of=None, override="", **params):
    intent = Intent(verb, "ai.oracle", params, "because", "rule:Loop", "inc-1", "fp|1|0", override)
    return build(intent, of or service(), plan_id=7, op="beef01", now=5.0, image_id=image_id)


def test_a_plan_carries_what_its_intent_and_its_service_said():
    made = plan("phoenix", "sha256:good", override="demo", within="2m")
    assert (made.id, made.op, made.service, made.name, made.container_id) == (
        7,
        "beef01",
        "ai.oracle",
        "oracle",
        BOX.id,
    )
    assert (made.cause, made.by, made.incident, made.key, made.created_at) == (
        "because",
        "rule:Loop",
        "inc-1",
        "fp|1|0",
        5.0,
    )
    assert (made.override, made.engine, made.needs) == ("demo", "docker", NEEDS)


def test_every_name_it_writes_to_stands_in_its_steps():
    made = plan("phoenix", "sha256:good")
    written = {name for step in made.steps for name in step.writes}
    assert written == {
        "oracle",
        "resurgam/lkg:ai.oracle",
        *(f"oracle.resurgam-{role}-beef01" for role in ("new", "parked", "spare", "failed")),
    }
    assert len({step.name for step in made.steps}) == len(made.steps)


def test_only_the_way_forward_passes_from_before_over_inside_to_after():
    phases = [step.phase for step in plan("phoenix", "sha256:good").steps if not step.back]
    assert phases == sorted(phases, key=["before", "inside", "after"].index)
    names = [step.name for step in plan("phoenix", "sha256:good").steps]
    assert names.index("create") < names.index("stop") < names.index("commit") < names.index("clear")


def test_an_unproved_image_is_not_tagged_as_known_good():
    assert "protect" not in [step.name for step in plan("phoenix", "sha256:other").steps]


@pytest.mark.parametrize(
    ("verb", "params", "locks"),
    [
        ("stop", {}, {"service:ai.oracle"}),
        ("scale", {"replicas": "0"}, {"service:ai.oracle"}),
        ("scale", {"replicas": "1"}, {"service:ai.oracle", "word:gpu:0", "engine:start"}),
        ("restart", {}, {"service:ai.oracle", "word:gpu:0", "engine:start"}),
        ("protect", {"image": "sha256:good"}, set()),
    ],
)
def test_locks(verb, params, locks):
    made = plan(verb, "sha256:good" if verb == "protect" else "", **params)
    assert set(made.locks) == locks


@pytest.mark.parametrize(
    ("verb", "of", "params", "reason"),
    [
        ("restart", service(container=None), {}, Reason.VANISHED),
        ("phoenix", service(), {"image": "last-known-good"}, Reason.NO_KNOWN_GOOD),
        ("phoenix", service(), {"image": "current"}, Reason.IMAGE_GONE),
        ("protect", service(), {}, Reason.IMAGE_GONE),
        ("scale", service(), {"replicas": "2"}, Reason.UNSUPPORTED),
    ],
)
def test_there_is_no_plan_without_what_it_needs(verb, of, params, reason):
    refused = plan(verb, of=of, **params)
    assert isinstance(refused, Verdict)
    assert refused.reason is reason


def test_a_reference_may_be_resolved_later():
    assert isinstance(plan("phoenix", image="local/oracle:2"), Plan)


def test_scale_is_a_stop_or_a_start():
    assert plain_verb(plan("scale", replicas="0")) == "stop"
    assert plain_verb(plan("scale", replicas="1")) == "start"


def test_the_time_to_become_healthy_is_asked_for_or_declared():
    assert limit(plan("restart")) == 90.0
    assert limit(plan("restart", within="2m")) == 120.0


def test_the_policy_that_a_stop_took_is_known_to_the_start():
    of = service(wanted=Wanted("stopped", policy="unless-stopped"))
    assert plan("start", of=of).found["policy"] == "unless-stopped"


@pytest.mark.parametrize("service_id", ["oracle", "ai.oracle-1_x", "a~20b", "-x", "x" * 200, "~", ".."])
def test_the_tag_of_a_service_is_always_a_valid_one_and_its_own(service_id):
    repository, _, tag = lkg_ref(service_id).partition(":")
    assert repository == "resurgam/lkg"
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag)
    assert lkg_ref(service_id) != lkg_ref(service_id.replace("~20", "_20") + ("" if "~20" in service_id else "y"))
