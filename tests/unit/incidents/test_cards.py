"""Cards in what is decided: who is meant by an alert about one, whom a veto reaches, who waits for whom."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Alert, Intent, Service
from supervisor.gpu.budget import GpuBudget, sums
from supervisor.gpu.cards import WORD
from supervisor.incidents import World, may_run
from supervisor.incidents.binding import Action, bind
from supervisor.incidents.choose import gather
from supervisor.incidents.incident import opened, over
from supervisor.incidents.locks import Locks, names, with_cards, words
from supervisor.incidents.target import HOST, about, aimed, at_card, card, named, subject
from supervisor.incidents.veto import against
from supervisor.verdicts import Reason
from tests.support.cards import DECK, PRO, SMALL, held, service, vram
from tests.support.incidents import NOW, Box, alert, books, plan

ORACLE = service("oracle", "all", needs=vram("0:90,1:30", "gpu:0", "gpu:1"))
TTS = service("tts", "1", needs=vram("1:4"))
WEB = service("web", gpu=False)


def world(*services: Service, measured: Mapping[str, Any] | None = None, **more: Any) -> World:
    """The world of these services on the owner's cards."""
    box = Box(services={one.id: one for one in services or (ORACLE, TTS, WEB)})
    there = box.world()
    cards = [held(uuid, (measured or {}).get(uuid)) for uuid in (PRO, SMALL)]
    budget = sums(tuple(there.services.values()), cards, 0, DECK)

    def find(word: str | Mapping[str, str]) -> tuple[str, ...]:
        if isinstance(word, str) and word.startswith(WORD):
            uuid = DECK.uuid_of(word)
            return (f"{WORD}{uuid}",) if uuid else ()
        return box.world().find(word)

    return replace(there, find=find, vram=budget, **more)


def firing(labels: dict[str, str], **annotations: str) -> Alert:
    return alert("GpuHot", labels={"name": "", **labels}, annotations=annotations)


# ------------------------------------------------------------ who is meant


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ({"UUID": PRO, "gpu": "0"}, f"gpu:{PRO}"),
        ({"UUID": SMALL, "name": "oracle"}, "oracle"),
        ({"UUID": "GPU-of-another-machine", "gpu": "0"}, HOST),
        ({"UUID": "0"}, HOST),
        ({"UUID": "all"}, HOST),
        ({"gpu": "0"}, HOST),
    ],
)
def test_an_alert_with_a_card_and_no_container_is_about_the_card(labels: dict[str, str], want: str) -> None:
    assert about(firing(labels), world().find).id == want
    assert subject(firing(labels), world().find) == want


def test_the_card_of_an_alert_about_a_container() -> None:
    both = firing({"UUID": SMALL, "name": "oracle"})
    assert card(both, world().find) == f"gpu:{SMALL}"
    assert at_card(both, world().find).id == f"gpu:{SMALL}"
    missing = at_card(firing({"name": "oracle"}), world().find)
    assert (missing.id, missing.verdict.reason) == ("", Reason.NO_TARGET)


def test_a_card_by_name() -> None:
    find = world().find
    assert named("gpu:1", find).id == named(f"gpu:{SMALL}", find).id == f"gpu:{SMALL}"
    assert named("gpu:5", find).verdict.text == "There is no card 'gpu:5' here; `resurgam gpu` lists the cards."


@pytest.mark.parametrize(
    ("action", "labels", "want"),
    [
        ("reboot", {"name": "oracle"}, HOST),
        ("reboot", {"name": "oracle", "UUID": PRO}, f"gpu:{PRO}"),
        ("gpu-reset", {"name": "oracle", "UUID": PRO}, f"gpu:{PRO}"),
        ("gpu-reset", {"name": "oracle"}, ""),
        ("gpu-reset gpu:1", {"UUID": PRO}, f"gpu:{SMALL}"),
        ("quiesce", {"UUID": PRO}, f"gpu:{PRO}"),
        ("quiesce", {"name": "tts", "UUID": PRO}, "tts"),
    ],
)
def test_what_is_done_to_the_machine_is_aimed_at_it(action: str, labels: dict[str, str], want: str) -> None:
    bound = bind(action)
    assert isinstance(bound, Action)
    assert aimed(bound, firing(labels), world().find).id == want


@pytest.mark.parametrize("verb", ["reboot", "gpu-reset"])
def test_what_is_done_to_the_machine_is_done_to_no_service(verb: str) -> None:
    assert asks(world(), verb, "oracle").reason is Reason.NO_TARGET


PLAYBOOK = """
playbooks:
- name: reset-required
  match: ['alertname="GpuHot"']
  target: gpu
  steps: [{do: quiesce}]
"""


def test_a_playbook_is_aimed_at_the_card_that_the_alert_names() -> None:
    there = world()
    (found,) = gather((firing({"UUID": PRO}),), books(PLAYBOOK), there)
    assert (found.target, found.subject, found.trouble) == (f"gpu:{PRO}", f"gpu:{PRO}", None)
    (beside,) = gather((firing({"UUID": SMALL, "name": "oracle"}),), books(PLAYBOOK), there)
    assert (beside.target, beside.subject) == (f"gpu:{SMALL}", "oracle")
    (lost,) = gather((firing({"gpu": "0"}),), books(PLAYBOOK), there)
    assert lost.trouble is not None
    assert lost.trouble.reason is Reason.NO_TARGET


def test_an_incident_of_a_card_is_over_with_its_alerts() -> None:
    hot = firing({"UUID": PRO})
    known = opened("i1", f"gpu:{PRO}", (hot,), None, NOW)
    assert over(known, (hot,), None, NOW, NOW) == ("", None)
    assert over(known, (), None, NOW, NOW) == ("its alerts have ended", None)


# ------------------------------------------------------------ vetoes


def forbidden(there: World, labels: dict[str, str], veto: str = "restart scope=gpu") -> set[str]:
    found = replace(there, alerts=(firing(labels, veto=veto),))
    targets = (*there.services, f"gpu:{PRO}", f"gpu:{SMALL}")
    return {one for one in targets if against("restart", {}, one, found) is not None}


def test_a_veto_reaches_who_names_asks_for_or_holds_the_card() -> None:
    stray = service("stray", "0")
    there = world(ORACLE, TTS, WEB, stray, measured={SMALL: {"stray": 1}})
    assert forbidden(there, {"UUID": PRO}) == {"oracle", "stray", f"gpu:{PRO}"}
    assert forbidden(there, {"UUID": SMALL}) == {"oracle", "tts", "stray", f"gpu:{SMALL}"}
    assert forbidden(there, {"gpu": "1"}, "restart") == {"oracle", "tts", "stray", f"gpu:{SMALL}"}


def test_the_uuid_goes_before_the_index() -> None:
    assert forbidden(world(), {"UUID": SMALL, "gpu": "0"}) == {"oracle", "tts", f"gpu:{SMALL}"}


def test_one_of_which_nobody_knows_the_card_is_of_each() -> None:
    assert "some" in forbidden(world(service("some"), WEB), {"UUID": PRO})


def test_without_a_card_it_reaches_all_that_use_any() -> None:
    assert forbidden(world(), {}) == {"oracle", "tts", f"gpu:{PRO}", f"gpu:{SMALL}"}
    nothing = replace(world(), vram=None)
    assert {"oracle", "tts"} <= forbidden(nothing, {}), "also before any card was seen: a mismatch at the start"
    assert "web" not in forbidden(nothing, {})


def test_without_a_card_it_means_those_of_the_alerts_service() -> None:
    assert forbidden(world(), {"name": "tts"}) == {"oracle", "tts", f"gpu:{SMALL}"}
    assert forbidden(world(), {"name": "web"}) == set()


def test_a_card_of_another_machine_concerns_nobody() -> None:
    assert forbidden(world(), {"UUID": "GPU-of-another-machine"}) == set()


# ------------------------------------------------------------ locks


def test_two_ways_to_write_a_card_are_one_lock() -> None:
    known = GpuBudget(DECK)
    zero = with_cards(names("a", vram_needs("gpu:0"), "start", {}), known)
    uuid = with_cards(names("b", vram_needs(f"gpu:{PRO}"), "start", {}), known)
    locks = Locks()
    assert locks.admit(plan(1, "start", "a", locks=tuple(one for one in zero if one.startswith("word:")))).ok
    waits = locks.admit(plan(2, "start", "b", locks=tuple(one for one in uuid if one.startswith("word:"))))
    assert waits.text == f"waits for gpu:{PRO}, held by plan 1 (start a)"
    assert with_cards(zero, known) == zero, "asked twice, the same"


def vram_needs(word: str) -> Any:
    return service("x", needs=vram("", word)).needs


def test_without_cards_words_stay_as_they_are() -> None:
    assert words(("gpu:0", "disk", "gpu:0"), None) == ("gpu:0", "disk")
    assert with_cards(("service:a", "word:disk", "gpu:turn"), GpuBudget(DECK)) == ("service:a", "word:disk", "gpu:turn")


# ------------------------------------------------------------ starts


def asks(there: World, verb: str, name: str, override: str = "", **params: str) -> Any:
    return may_run(Intent(verb, name, params, "a test", "uid:0", override=override), there)


def test_a_start_on_a_card_that_another_has_for_itself_waits_until_that_is_stopped() -> None:
    rival = service("rival", "0", status="exited", needs=vram("", f"gpu:{PRO}"))
    refused = asks(world(ORACLE, rival), "start", "rival")
    assert refused.reason is Reason.LOCKED
    assert refused.text == f"oracle runs and has gpu:{PRO}, which rival needs for itself; stop oracle first."


def test_what_does_not_fit_is_refused_with_the_sum_of_its_card() -> None:
    candidate = service("mxfp4", "all", status="exited", needs=vram("0:90"))
    there = world(ORACLE, candidate, measured={PRO: {"oracle": 88}})
    for verb, params in (
        ("start", {}),
        ("scale", {"replicas": "1"}),
        ("restart", {}),
        ("phoenix", {"image": "current"}),
    ):
        found = asks(there, verb, "mxfp4", **params)
        assert found.reason is Reason.NO_ROOM, verb
        assert "mxfp4 needs 90 GiB of VRAM on GPU 0: of 96 GiB 90 GiB are planned (oracle 90 GiB)" in found.text
    assert asks(there, "start", "mxfp4", override="I know better").ok
    assert asks(there, "stop", "oracle").ok
    assert asks(there, "restart", "oracle").ok, "it makes place for itself"


def test_two_starts_at_once_do_not_both_fit() -> None:
    one, other = (service(name, "0", status="exited", needs=vram("0:60")) for name in ("a", "b"))
    there = world(one, other)
    assert asks(there, "start", "a").ok
    assert asks(replace(there, plans=(plan(1, "start", "b"),)), "start", "a").reason is Reason.NO_ROOM


def test_where_nothing_is_known_of_the_cards_nothing_is_refused() -> None:
    candidate = service("mxfp4", "all", status="exited", needs=vram("0:900"))
    assert asks(replace(world(candidate), vram=None), "start", "mxfp4").ok
    assert asks(replace(world(candidate), vram=GpuBudget(DECK)), "start", "mxfp4").ok
