"""A machine without containers: its slots are served by model servers that are none of ours to start (a Mac)."""

from supervisor.facts.slots import LOADED, UNLOADED
from tests.support.slot_desk import Slots, looks

SERVED = {"url": "http://127.0.0.1:8800", "inside": True, "server": "opta-lmx", "ttl": "30m"}
MAC: dict[str, object] = {
    "listen": "127.0.0.1:8000",
    "models": {name: dict(SERVED) for name in ("a", "b")},
}


def mac() -> Slots:
    desk = Slots({"oracle": MAC}, {})
    desk.models(a=looks(LOADED, in_flight=0), b=looks(UNLOADED))
    desk.turn()
    return desk


def test_callers_are_sent_to_who_is_loaded_though_no_engine_answers() -> None:
    desk = mac()
    assert desk.state.holder == "a"
    assert [(one.act, one.word) for one in desk.doors.orders] == [("open", "http://127.0.0.1:8800")]


def test_a_swap_is_admitted_and_taken_up_again_without_an_engine() -> None:
    desk = mac()
    decision = desk.ask("swap", to="b")
    assert decision.verdict.ok, decision.verdict.text
    plan = desk.plan(decision.plan)
    assert (plan.engine, plan.touches) == ("", ())
    desk.steps(plan, "preflight")
    later = Slots({"oracle": MAC}, {}, journal=desk.journal)
    later.turn()
    assert [(one.id, one.recovered) for one in later.doors.started] == [(plan.id, 1)]


def test_what_is_idle_is_put_away() -> None:
    desk = mac()
    desk.models(1801.0, a=looks(LOADED, in_flight=0), b=looks(UNLOADED))
    desk.turn()
    assert [(one.verb, one.params["model"]) for one in desk.doors.started] == [("unload", "a")]
