"""What `resurgam doctor` says about slots: as they are declared, and as they stand."""

from typing import Any

from supervisor import views
from supervisor.cli import doctor_slots
from supervisor.cli.doctor_machine import Finding
from supervisor.config import Settings
from supervisor.facts import Json, SlotState
from tests.support.boxes import NOW
from tests.support.cards import GIB
from tests.support.gpu_shown import big, cards, small
from tests.support.slots_shown import FIRST, OTHER, empty, gate, holder, other, shown, slot

SERVICES: dict[str, Any] = {FIRST: {"enable": True, "memory": "281GB"}, OTHER: {"enable": True, "memory": "341GB"}}


def settings(services: dict[str, Any] | None = None, **more: Any) -> Settings:
    one = {"listen": "127.0.0.1:8000", "models": {FIRST: None, OTHER: None}} | more
    return Settings.model_validate({"slots": {"oracle": one}, "services": services or SERVICES})


def status(state: SlotState | None = None, **more: Any) -> Json:
    memory = {"MemTotal": 384e9, "MemAvailable": 100e9}
    return views.status_document(shown(state or slot(), **({"host_memory": memory} | more)))


def bad(found: tuple[Finding, ...]) -> list[str]:
    return [one.text for one in found if one.level == "finding"]


def test_a_machine_without_slots_has_no_line() -> None:
    assert doctor_slots.look(Settings(), status()) == ()


def test_a_slot_that_is_well_is_one_line() -> None:
    (one,) = doctor_slots.look(settings(), status())
    assert (one.check, one.level, one.text) == ("slot oracle", "ok", f"{FIRST} holds it")


def test_without_a_daemon_only_what_is_declared_is_told() -> None:
    assert doctor_slots.look(settings(), None) == ()
    found = doctor_slots.look(settings(models={FIRST: {"server": "lama"}, OTHER: {"files": ["/no/such/file"]}}), None)
    assert [one.level for one in found] == ["finding", "note"]
    assert found[0].text.startswith(f"models.{FIRST}.server: there is no kind of server 'lama'")


def test_what_is_wrong_with_how_it_stands() -> None:
    assert bad(doctor_slots.look(settings(), status(empty()))) == [empty().problem]
    silent = slot(gate=gate(listening=False, text="another program has the port"))
    assert bad(doctor_slots.look(settings(), status(silent))) == [
        "its gate does not listen: another program has the port"
    ]


def test_a_swap_that_runs_is_no_finding() -> None:
    moving = slot(holder="", phase="start", plan=41, expected=NOW + 60)
    assert bad(doctor_slots.look(settings(), status(moving))) == []


def test_requests_that_nobody_counts_are_told_beforehand() -> None:
    blind = slot(gate=None, models=(holder(in_flight=None), other()))
    found = doctor_slots.look(settings(), status(blind))
    assert bad(found) == [f"nobody knows how many requests {FIRST} works on"]
    assert "--metrics" in found[-1].cure
    counted = slot(models=(holder(in_flight=None), other()))
    assert bad(doctor_slots.look(settings(), status(counted))) == [], "its gate counts them"


def test_a_model_that_can_never_run_here_is_told() -> None:
    services = {FIRST: {"enable": True}, OTHER: {"enable": True, "memory": "500GB", "vram": "1:48GiB"}}
    found = bad(doctor_slots.look(settings(services, fallback=[OTHER]), status(gpus=cards(big(), small()))))
    assert found == [
        f"the stand-in {OTHER} needs 500 GB of memory, and the whole machine has 384 GB",
        f"the stand-in {OTHER} needs 48 GiB of VRAM, and GPU 1 has 32 GiB",
    ]
    assert small().total == 32 * GIB


def test_a_slot_that_was_declared_since_the_daemon_began_is_told() -> None:
    state = slot(name="executor")
    assert bad(doctor_slots.look(settings(), status(state))) == ["the daemon does not know it yet"]
