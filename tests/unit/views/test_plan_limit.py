"""How long a plan's container may take to become healthy is shown, while it is open and when it is over."""

from dataclasses import replace

from supervisor import views
from supervisor.facts import Plan
from supervisor.journal import Row

WHY = "It may take 14m to become healthy: twice the 7m that its last 3 loads took."
PLAN = Plan(1, "restart", "a", "docker", {}, "x", "uid:0", 1.0, "ab", "c", "a")


def test_an_open_plan_says_how_long_and_why() -> None:
    shown = views.plan_document(replace(PLAN, found={"limit": 840.0, "limit_why": WHY}))
    assert (shown["limit"], shown["limit_text"]) == (840.0, WHY)
    assert views.plan_document(PLAN)["limit_text"] == "", "a stop has none"


def test_a_plan_that_is_over_still_does() -> None:
    body = {"plan": 1, "verb": "restart", "service": "a", "limit": WHY}
    assert views.past_plan_document(1, [Row(1, 5.0, "action.planned", "a", body, True, "")])["limit_text"] == WHY
