"""Who lost its GPU without a word."""

from dataclasses import replace
from typing import Any

from supervisor.facts import Service
from supervisor.gpu.losses import Losses
from supervisor.gpu.measured import Held
from tests.support.cards import DECK, PRO, SMALL, held, ident, service, vram

NOW = 1_760_000_000.0
ORACLE = service("oracle", "0", started=NOW - 9000, needs=vram("0:90"))


def seen(one: Service = ORACLE, gib: float = 80.0) -> Losses:
    found = Losses({})
    found.saw((one,), (held(PRO, {one.id: gib}), held(SMALL)))
    return found


def lost(losses: Losses, one: Service = ORACLE, *cards: Held, **more: Any) -> bool:
    return losses.lost(one, cards or (held(PRO), held(SMALL)), DECK, NOW, **more)


def test_what_it_held_is_gone() -> None:
    losses = seen()
    assert lost(losses)
    assert not lost(losses, ORACLE, held(PRO, {"oracle": 80}), held(SMALL)), "there it is"
    assert not lost(losses, ORACLE, held(PRO), held(SMALL, {"oracle": 0})), "the driver does not say how much"


def test_one_that_never_held_anything_lost_nothing() -> None:
    assert not lost(Losses({}))
    assert not lost(seen(gib=0.2))


def test_it_is_asked_again_in_each_run_of_the_container() -> None:
    losses = seen()
    again = service("oracle", "0", started=NOW - 4000, needs=vram("0:90"))
    assert not lost(losses, again)
    losses.saw((again,), (held(PRO), held(SMALL)))
    assert not lost(losses, ORACLE), "what it was before is forgotten"


def test_not_while_it_loads() -> None:
    young = service("oracle", "0", started=NOW - 200, needs=vram("0:90"))
    losses = seen(young)
    assert not lost(losses, young)
    assert losses.lost(young, (held(PRO), held(SMALL)), DECK, NOW + 101)
    slow = service("oracle", "0", started=NOW - 200, needs=vram("0:90", startup=1500.0))
    assert not seen(slow).lost(slow, (held(PRO), held(SMALL)), DECK, NOW + 101)


def test_not_where_it_put_its_model_away() -> None:
    assert not lost(seen(), away=True)


def used(losses: Losses, gib: float, at: float, **more: Any) -> None:
    losses.saw((ORACLE,), (held(PRO, {"oracle": gib} if gib else {}), held(SMALL)), at, **more)


def test_one_that_frees_its_memory_and_takes_it_again_by_itself_has_lost_nothing_when_it_frees_it() -> None:
    losses = seen()
    used(losses, 0, NOW)
    assert lost(losses), "nobody knows it yet"
    used(losses, 0, NOW + 300)
    used(losses, 80, NOW + 400)
    used(losses, 0, NOW + 500)
    assert not lost(losses), "as Ollama does when nobody asks"
    assert lost(losses, denied=(ident("oracle"),)), "its control group says so"
    kept = {key: value for key, value in losses.take_puts().items() if value is not None}
    again = Losses(kept)
    anew = service("oracle", "0", started=NOW - 500, needs=vram("0:90"))
    again.saw((anew,), (held(PRO, {"oracle": 80}), held(SMALL)), NOW)
    again.saw((replace(anew, container=None),), (held(PRO), held(SMALL)), NOW)
    again.saw((anew,), (held(PRO, {"oracle": 80}), held(SMALL)), NOW)
    assert not lost(again, anew), "it is known of the service, whatever container"
    again.saw((), (held(PRO), held(SMALL)), NOW)
    assert all(value is None for value in again.take_puts().values()), "with the service that goes, too"


def test_a_moment_without_memory_is_no_habit() -> None:
    losses = seen()
    used(losses, 0, NOW)
    used(losses, 80, NOW + 30)
    used(losses, 0, NOW + 500)
    assert lost(losses)


def test_what_we_put_away_is_no_habit_of_its() -> None:
    losses = seen()
    used(losses, 0, NOW, away=("oracle",))
    used(losses, 0, NOW + 300, away=("oracle",))
    used(losses, 80, NOW + 400, away=("oracle",))
    used(losses, 0, NOW + 500)
    assert lost(losses)


def test_only_who_declares_that_it_holds_some() -> None:
    plain = service("tts", "0", started=NOW - 9000)
    assert not lost(seen(plain), plain)
    alone = service("tts", started=NOW - 9000, needs=vram("", "gpu:0"))
    assert lost(seen(alone), alone)


def test_a_card_that_cannot_be_read_is_another_matter() -> None:
    assert not lost(seen(), ORACLE, held(SMALL))
    both = service("oracle", "all", started=NOW - 9000, needs=vram("0:90,1:30"))
    assert not lost(seen(both), both, held(PRO))
    assert not seen().lost(ORACLE, (), DECK, NOW)


def test_what_may_not_open_it_any_more_has_lost_it_at_once() -> None:
    young = service("tts", "0", started=NOW - 1)
    assert lost(Losses({}), young, denied=(ident("tts"),))
    assert not lost(Losses({}), young, held(PRO, {"tts": 4}), held(SMALL), denied=(ident("tts"),)), "it works on"
    assert not lost(Losses({}), service("web", gpu=False), denied=(ident("web"),))


def test_what_does_not_run_lost_nothing() -> None:
    losses = seen()
    assert ORACLE.container is not None
    for status in ("exited", "paused", "restarting"):
        assert not lost(losses, replace(ORACLE, container=replace(ORACLE.container, status=status)))
    assert not lost(losses, replace(ORACLE, container=None))


def test_a_restart_of_ours_does_not_forget() -> None:
    losses = seen()
    kept = {key: value for key, value in losses.take_puts().items() if value is not None}
    assert lost(Losses({**kept, "card:x": {}}))
    losses.saw((ORACLE,), (held(PRO, {"oracle": 81}), held(SMALL)))
    assert losses.take_puts() == {}, "kept once"
    losses.saw((), (held(PRO), held(SMALL)))
    assert set(losses.take_puts().values()) == {None}
    assert not lost(Losses({"held:oracle": {"container": 5, "started": "x"}}))
