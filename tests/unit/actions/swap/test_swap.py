"""An exclusive swap and its pivot, with callers at the gate all the while."""

import math
from dataclasses import replace

import pytest

from supervisor.ports import ModelAt
from supervisor.verdicts import Reason
from tests.support.swap_lab import CRITERIA, SimModel, measured


def test_a_good_swap_ends_on_the_new_model_and_nobody_noticed(lab):
    box = lab()
    ended = box.do(box.plan(baseline=measured("a", 20.0)))
    assert ended.outcome.reason is Reason.VERIFIED
    assert ended.outcome.text.startswith("GO b: 40.0 tokens/s (a: 20.0). It holds oracle, verified, after ")
    assert ended.outcome.text.endswith("0 requests failed.")
    assert box.status() == {"a": (False, "no"), "b": (True, "unless-stopped")}
    assert box.ops() == [("stop", "a"), ("set_policy", "a"), ("start", "b")]
    assert box.callers.unanswered == ()
    assert box.callers.models == ("a", "b")
    assert box.both_ran == []
    assert ended.data["holder"] == "b"
    assert ended.data["policies"] == {"a": "unless-stopped"}
    assert ended.data["stopped"] == ["a"]
    assert ended.data["started"] == ["b"]
    assert ended.data["bench"]["rate"] == pytest.approx(40.0)
    assert ended.data["loads"]["b"] >= 3.0
    assert [line["what"] for line in ended.data["report"]["lines"]][:1] == ["tokens/s"]


@pytest.mark.parametrize("warmup", [0, 2])
def test_answers_that_warm_it_up_are_asked_and_do_not_count(lab, warmup):
    box = lab(criteria=replace(CRITERIA, warmup=warmup))
    ended = box.do(box.plan())
    assert ended.data["bench"]["runs"] == 3
    at = ModelAt(box.slot.models[1], container=box.engine.container("b"))
    assert box.world.proved(at) == 1 + warmup + 3 + 1, "is it ready, warm-up, the measured ones, a canary"


@pytest.mark.parametrize(
    ("mind", "says"),
    [
        (SimModel(load=3.0, rate=9.8), "NO-GO b: 9.8 tokens/s, wanted 12 at least (a: 20.0)"),
        (SimModel(load=3.0, rate=40.0, senseless=True), "NO-GO b: canaries: 0 of 1 right"),
        (SimModel(load=math.inf), "NO-GO b: b was not ready within 1m"),
        (SimModel(load=3.0, dies_in=1), "NO-GO b: b ended with exit code 139"),
        (SimModel(load=3.0, dies_in=3), "NO-GO b: b ended with exit code 139"),
        (SimModel(load=3.0, breaks_in=2), "NO-GO b: b gave no answer"),
    ],
)
def test_what_does_not_do_goes_back_to_the_old_model_verified(lab, mind, says):
    box = lab()
    box.world.declare("b", mind)
    ended = box.do(box.plan(baseline=measured("a", 20.0)))
    assert ended.outcome.text.startswith(says)
    assert "a holds oracle again, verified, after " in ended.outcome.text
    assert ended.outcome.text.endswith("0 requests failed.")
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}
    assert box.callers.unanswered == ()
    assert box.callers.models == ("a",)
    assert box.both_ran == []
    assert ended.data["holder"] == "a"
    assert ended.data["verdict"] == "NO-GO"
    assert ended.data["no_go"]["model"] == "b"
    assert ended.data["policies"] == {"b": "unless-stopped"}
