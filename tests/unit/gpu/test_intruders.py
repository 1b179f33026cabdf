"""Who was started on a card that another service has for itself."""

from dataclasses import replace
from typing import Any

from supervisor.facts import Service
from supervisor.gpu.budget import sums
from supervisor.gpu.intruders import SETTLE, Intruder, intruders
from supervisor.verdicts import Reason, no
from tests.support.cards import DECK, PRO, SMALL, held, ident, service, vram

NOW = 1_760_000_000.0
ORACLE = service("oracle", "0", started=NOW - 9000, needs=vram("0:90", "gpu:0"))


def found(*services: Service, started: tuple[str, ...] = (), **seen: Any) -> list[tuple[str, str, str]]:
    cards = [held(PRO, seen.get("big", {"oracle": 80})), held(SMALL, seen.get("small"))]
    budget = sums((ORACLE, *services), cards, 0, DECK)
    return [(one.service, one.uuid, one.beside) for one in intruders((ORACLE, *services), budget, NOW, started)]


def late(name: str, *gpus: str, after: float = 0.0, **more: Any) -> Service:
    return service(name, *gpus, started=NOW - after, **more)


def test_one_that_is_started_on_its_card_is_seen_at_its_start() -> None:
    assert found(late("stranger", "all")) == [("stranger", PRO, "oracle")]
    assert found(late("stranger", PRO)) == [("stranger", PRO, "oracle")]
    assert found(late("stranger")) == [("stranger", PRO, "oracle")], "it does not say which one, so it may be this"


def test_a_stranger_that_claims_a_card_and_has_none_is_nobody_to_intrude_on() -> None:
    liar = service("liar", gpu=False, owned=no(Reason.NOT_OWNED, "No."), needs=vram("", "gpu:1"))
    assert found(liar, late("mxfp4", "1")) == []
    real = service("liar", "1", owned=no(Reason.NOT_OWNED, "No."), needs=vram("", "gpu:1"))
    assert found(real, late("mxfp4", "1")) == [("mxfp4", SMALL, "liar")]


def test_one_on_another_card_is_none() -> None:
    assert found(late("stranger", "1")) == []
    assert found(late("stranger", "all", needs=vram("1:4"))) == [("stranger", PRO, "oracle")], "it was given both"
    assert found(late("stranger", needs=vram("1:4"))) == []
    assert found(late("web", gpu=False)) == []


def test_who_asks_for_all_and_takes_nothing_is_none_after_a_while() -> None:
    assert found(late("monitor", "all", after=SETTLE - 1)) != []
    assert found(late("monitor", "all", after=SETTLE + 1)) == []
    assert found(late("monitor", "all", after=SETTLE + 1), big={"oracle": 80, "monitor": 1}) == [
        ("monitor", PRO, "oracle")
    ]


def test_one_that_is_seen_elsewhere_is_none() -> None:
    assert found(late("stranger"), small={"stranger": 4}) == []


def test_a_start_of_ours_is_none_until_it_takes_something() -> None:
    ours = late("tts", "all")
    assert found(ours, started=(ident("tts"),)) == []
    assert found(replace(ours, plan=7)) == []
    assert found(ours, started=(ident("tts"),), big={"oracle": 80, "tts": 1}) == [("tts", PRO, "oracle")]


def test_whoever_declared_one_beside_the_other_means_it_so() -> None:
    beside = late("tts", "0", needs=vram("0:4"))
    assert found(beside, big={"oracle": 80, "tts": 4}) == []
    large = late("mxfp4", "all", needs=vram("0:90,1:30"))
    assert found(large) == [("mxfp4", PRO, "oracle")], "nobody meant both to run at once"
    stranger = replace(beside, owned=no(Reason.NOT_OWNED, "not listed"))
    assert found(stranger) == [("tts", PRO, "oracle")], "a stranger's labels invite nobody"


def test_of_two_that_have_it_for_themselves_the_later_one_intrudes() -> None:
    rival = service("mxfp4", "all", started=NOW - 5, needs=vram("0:90", f"gpu:{PRO}"))
    assert found(rival) == [("mxfp4", PRO, "oracle")]
    older = service("mxfp4", "all", started=NOW - 99_999, needs=vram("0:90", "gpu:0"))
    assert found(older) == [("oracle", PRO, "mxfp4")]


def test_what_does_not_run_intrudes_nowhere() -> None:
    assert found(service("stranger", "all", status="exited")) == []
    stopped = replace(ORACLE, container=replace(ORACLE.container, status="exited"))  # type: ignore[arg-type]
    budget = sums((stopped, late("x", "all")), [held(PRO, {"x": 4})], 0, DECK)
    assert intruders((stopped, late("x", "all")), budget, NOW) == ()


def test_on_two_cards_it_is_two() -> None:
    both = service("oracle", "all", started=1.0, needs=vram("", "gpu:0", "gpu:1"))
    budget = sums((both, late("x", "all")), [], 0, DECK)
    assert intruders((both, late("x", "all")), budget, NOW) == (
        Intruder("x", PRO, "oracle"),
        Intruder("x", SMALL, "oracle"),
    )
