"""The budget of the cards' memory: sums, refusals with the sum, and what nobody knows."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Service
from supervisor.gpu.budget import GpuBudget, fits, sums
from supervisor.gpu.measured import Held
from supervisor.verdicts import Reason, no
from tests.support.cards import DECK, GIB, PRO, SMALL, held, service, vram

ORACLE = service("oracle", "all", needs=vram("0:90,1:30", "gpu:0", "gpu:1"))
CANDIDATE = service("mxfp4", "all", status="exited", needs=vram("0:90,1:30"))


def of(*services: Service, big: Held | None = None, small: Held | None = None, reserve: float = 0.0) -> GpuBudget:
    cards = [big if big is not None else held(PRO), small if small is not None else held(SMALL)]
    return sums(services, cards, int(reserve * GIB), DECK)


def size(budget: GpuBudget, uuid: str) -> tuple[float, float]:
    """(planned, free) in GiB."""
    found = budget.of(uuid)
    assert found is not None
    return found.planned / GIB, found.free() / GIB


# ------------------------------------------------------------ sums


def test_a_plan_is_what_is_declared_and_a_claim_what_is_held_beyond_it() -> None:
    budget = of(ORACLE, big=held(PRO, {"oracle": 92}), small=held(SMALL, {"oracle": 10}))
    assert size(budget, PRO) == (90, 4)
    assert size(budget, SMALL) == (30, 2)
    assert budget.places == {"oracle": (PRO, SMALL)}


def test_a_stranger_that_claims_a_card_and_has_none_keeps_nobody_away() -> None:
    liar = service("liar", gpu=False, owned=no(Reason.NOT_OWNED, "No."), needs=vram("0:9999", "gpu:0"))
    assert fits(ORACLE, of(liar)).ok
    assert not fits(ORACLE, of(replace(liar, owned=ORACLE.owned))).ok, "one of ours is believed"
    assert not fits(ORACLE, of(liar, big=held(PRO, {"liar": 80}))).ok, "it has some after all"
    asks = service("liar", "0", owned=no(Reason.NOT_OWNED, "No."), needs=vram("0:80"))
    assert not fits(ORACLE, of(asks)).ok, "it can take it"


def test_who_declares_nothing_counts_with_what_it_uses() -> None:
    budget = of(service("tts", "1"), small=held(SMALL, {"tts": 6}))
    assert size(budget, SMALL) == (6, 26)


def test_who_may_choose_is_counted_where_it_is() -> None:
    one = service("llm", needs=vram(":20"))
    assert size(of(one, small=held(SMALL, {"llm": 3})), SMALL) == (20, 12)
    both = of(one, big=held(PRO, {"llm": 9}), small=held(SMALL, {"llm": 3}))
    assert (size(both, PRO)[0], size(both, SMALL)[0]) == (15, 5), "on both, as it holds them"


def test_who_is_on_no_card_yet_is_counted_where_there_is_most_room() -> None:
    assert size(of(service("llm", needs=vram(":20"))), PRO) == (20, 76)
    assert size(of(service("llm", "1", needs=vram(":20"))), SMALL) == (20, 12), "its container asks for that one"
    budget = of(service("a", needs=vram(":80")), service("b", needs=vram(":20")))
    assert (size(budget, PRO)[0], size(budget, SMALL)[0]) == (80, 20), "one after the other"


def test_between_two_readings_the_sums_follow_the_services() -> None:
    read = held(PRO, {"oracle": 88, "tts": 2})
    stopped = service("oracle", "all", status="exited", needs=vram("0:90,1:30"))
    budget = of(stopped, service("tts", "0"), big=read)
    assert size(budget, PRO) == (2, 94), "what it held is not somebody else's now"
    started = of(service("oracle", "all", needs=vram("0:90,1:30")), service("tts", "0"), big=held(PRO, {"tts": 2}))
    assert size(started, PRO) == (92, 4), "it has loaded nothing yet"


def test_what_is_no_services_is_taken_and_the_reserve_covers_it() -> None:
    desk = held(PRO, {"tts": 2}, loose=3, others=(("Xorg (pid 1)", 1 * GIB),), orphaned=1 * GIB, unattributed=1 * GIB)
    tts = service("tts", "0")
    assert size(of(tts, big=desk), PRO) == (2, 91)
    assert size(of(tts, big=desk, reserve=2), PRO) == (2, 91)
    assert size(of(tts, big=desk, reserve=8), PRO) == (2, 86)


def test_what_the_driver_keeps_is_nobodys() -> None:
    read = held(PRO, reserved=int(0.6 * GIB), free=96 * GIB - int(0.6 * GIB))
    assert size(of(big=read), PRO)[1] == pytest.approx(95.4, abs=0.001)


def test_where_nobody_knows_who_holds_it_plans_are_not_counted_twice() -> None:
    hidden = held(PRO, loose=88, blind=True)
    assert size(of(ORACLE, big=hidden), PRO) == (90, 6)
    more = held(PRO, loose=94, blind=True)
    assert size(of(ORACLE, big=more), PRO) == (90, 2), "what is beyond the plans is somebody's"
    nameless = held(PRO, {"oracle": 0}, loose=88, blind=True)
    assert size(of(ORACLE, big=nameless), PRO) == (90, 6)


# ------------------------------------------------------------ does it fit?


def test_the_owners_candidate_does_not_fit_beside_the_oracle_and_the_sum_says_why() -> None:
    budget = of(ORACLE, CANDIDATE, big=held(PRO, {"oracle": 88}), small=held(SMALL, {"oracle": 29}))
    found = fits(CANDIDATE, budget)
    assert found.reason is Reason.NO_ROOM
    assert found.text == (
        "mxfp4 needs 90 GiB of VRAM on GPU 0: of 96 GiB 90 GiB are planned (oracle 90 GiB), so 6 GiB are free: "
        "84 GiB are missing. Stop oracle first, or start it all the same with `--override REASON`."
    )


def test_once_the_oracle_is_stopped_it_fits() -> None:
    stopped = service("oracle", "all", status="exited", needs=vram("0:90,1:30"))
    assert fits(CANDIDATE, of(stopped, CANDIDATE, big=held(PRO, {"oracle": 88}))).ok


def test_the_second_card_is_looked_at_too() -> None:
    found = fits(CANDIDATE, of(CANDIDATE, service("tts", "1", needs=vram("1:10")), small=held(SMALL, {"tts": 4})))
    assert "30 GiB of VRAM on GPU 1" in found.text
    assert "Stop tts first" in found.text


def test_what_is_left_of_a_container_that_is_gone_is_named() -> None:
    left = held(PRO, loose=22, orphaned=22 * GIB)
    found = fits(CANDIDATE, of(CANDIDATE, big=left))
    assert "22 GiB are in use by what is left of containers that are gone, so 74 GiB are free" in found.text
    assert "Even alone it has only 74 GiB there" in found.text


def test_what_runs_makes_place_for_itself() -> None:
    full = held(PRO, {"oracle": 95})
    assert fits(ORACLE, of(ORACLE, big=full, small=held(SMALL, {"oracle": 31}))).ok
    tight = of(ORACLE, big=held(PRO, {"oracle": 90}, loose=6), small=held(SMALL, {"oracle": 30}, loose=2))
    assert fits(ORACLE, tight).ok, "though nothing at all is left"


def test_what_runs_and_needs_more_than_it_has_must_fit() -> None:
    grown = service("oracle", "all", needs=vram("0:95"))
    budget = of(service("oracle", "all", needs=vram("0:90")), service("tts", "0", needs=vram("0:4")))
    found = fits(grown, budget)
    assert found.reason is Reason.NO_ROOM
    assert "(tts 4 GiB)" in found.text, "its own plan is not in the sum"


def test_two_starts_at_once_count_together() -> None:
    one, other = (service(name, status="exited", needs=vram("0:60")) for name in ("a", "b"))
    budget = of(one, other)
    assert fits(one, budget).ok
    assert fits(one, budget, (other,)).reason is Reason.NO_ROOM
    assert fits(one, budget, (one,)).ok, "itself is not another one"
    floating = service("c", status="exited", needs=vram(":60"))
    assert fits(one, budget, (floating,)).reason is Reason.NO_ROOM, "it goes where there is most room"


def test_who_may_choose_needs_one_card_with_room() -> None:
    one = service("llm", status="exited", needs=vram(":30"))
    filled = held(PRO, {"oracle": 90})
    assert fits(one, of(service("oracle", "0"), one, big=filled)).ok, "the small one has it"
    found = fits(one, of(service("oracle", "0"), one, big=filled, small=held(SMALL, loose=8)))
    assert "needs 30 GiB of VRAM, and no card has that free. GPU 0 comes closest" in found.text
    assert "Stop oracle first" in found.text, "the small card could not have it even alone"
    only = service("llm", "0", status="exited", needs=vram(":30"))
    assert fits(only, of(service("oracle", "0"), only, big=filled)).reason is Reason.NO_ROOM, "its container asks for 0"


def test_what_is_larger_than_any_card_goes_over_all_it_may_use() -> None:
    wide = service("wide", "all", status="exited", needs=vram(":120"))
    assert fits(wide, of(wide)).ok
    found = fits(wide, of(wide, small=held(SMALL, loose=12)))
    assert found.text.startswith(
        "wide needs 120 GiB of VRAM, more than one card has, and GPUs 0, 1 have 116 GiB free together: "
        "4 GiB are missing."
    )
    one = service("wide", "0", status="exited", needs=vram(":120"))
    assert "Even alone" in fits(one, of(one)).text


def test_who_matters_least_is_to_be_stopped() -> None:
    names = {"a": 5, "b": 0, "c": 0}
    running = [service(name, "0", needs=vram("0:30", priority=rank)) for name, rank in names.items()]
    budget = of(*running, big=held(PRO, {"a": 30, "b": 30, "c": 30}))
    assert "Stop b first" in fits(service("x", needs=vram("0:30")), budget).text
    assert "Stop b and c first" in fits(service("x", needs=vram("0:60")), budget).text


@pytest.mark.parametrize("declared", ["7:50", "GPU-cccccccc:500", ""])
def test_what_nobody_knows_is_no_reason_to_refuse(declared: str) -> None:
    assert fits(service("x", status="exited", needs=vram(declared)), of()).ok
    assert fits(service("x", status="exited", needs=vram("0:500")), GpuBudget(DECK)).ok
    assert fits(service("x", status="exited", needs=vram(":500")), GpuBudget(DECK)).ok
    half = sums((), [held(SMALL)], 0, DECK)
    assert fits(service("x", status="exited", needs=vram(":80")), half).ok, "the other card may have room"


def test_who_declared_in_powers_of_1000_reads_those() -> None:
    one = service("x", status="exited", needs={"vram": (("0", 90_000_000_000),)})
    found = fits(one, of(one, big=held(PRO, loose=60)))
    assert "x needs 90 GB of VRAM" in found.text
    assert "GiB" not in found.text


def test_whoever_is_declared_twice_on_a_card_has_the_sum() -> None:
    one: Any = service("x", status="exited", needs={"vram": (("0", 50 * GIB), (PRO, 50 * GIB))})
    assert fits(one, of(one)).reason is Reason.NO_ROOM
    running = replace(one, container=replace(one.container, status="running"))
    assert size(of(running), PRO)[0] == 100


def test_order_of_what_is_given_changes_nothing() -> None:
    many = [service(name, needs=vram(":9")) for name in "dbca"]
    first, second = of(*many), of(*reversed(many))
    assert [size(first, uuid) for uuid in (PRO, SMALL)] == [size(second, uuid) for uuid in (PRO, SMALL)]
