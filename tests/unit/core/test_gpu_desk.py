"""The core's hand on the cards: samples in the transaction of their reading, sums that follow the services, intruders
in the turn of their start, what outlives a restart.
"""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.core.gpu import OLD
from supervisor.core.previewing import wished
from supervisor.facts import (
    Alert,
    Command,
    EngineEvent,
    GpuReading,
    Looked,
    MemorySource,
    Plan,
    Probed,
    Readings,
    Sample,
    XidSeen,
    labels,
)
from supervisor.incidents import target
from supervisor.incidents.veto import against
from supervisor.verdicts import Reason
from tests.support.cards import BUS, GIB, PRO, SMALL, card, ident, process, reading
from tests.support.gpu_desk import ORACLE, Desk, box, loaded, omni
from tests.support.rules import rule

# ------------------------------------------------------------ lazy


def test_a_box_without_a_gpu_has_no_state() -> None:
    desk = Desk(web={})
    desk.listed(box("web", gpu=False))
    assert desk.core.snapshot({}).gpus is None
    assert desk.core.world().vram is None
    desk.tell(GpuReading(trouble="no_driver", text="There is none."))
    assert desk.core.snapshot({}).gpus is None
    assert desk.value("resurgam_gpu_expected_count") is None


def test_a_service_that_asks_for_one_makes_it_worth_telling() -> None:
    desk = Desk(llm={"vram": "8GiB"})
    desk.listed(box("llm"))
    assert desk.state.cards == ()
    desk.tell(GpuReading(trouble="no_driver", text="There is none."))
    assert (desk.state.trouble, desk.state.text) == ("no_driver", "There is none.")
    assert desk.value("resurgam_gpu_driver_trouble", kind="no_driver") == 1


# ------------------------------------------------------------ readings


def test_how_faults_are_heard_stands_beside_the_sources_of_memory() -> None:
    desk = omni()
    source = MemorySource("gpu-faults", True, "They are heard from the kernel's log.")
    desk.turn(Readings(0.0, 0.0, "gpu", (), gpu=reading(*loaded()), sources=(source,)))
    assert desk.core.snapshot({}).sources[-1] == source


def test_a_reading_becomes_state_series_and_a_budget() -> None:
    desk = omni()
    desk.read(*loaded())
    big, small = desk.state.cards
    assert big.users == (("oracle", 88 * GIB),)
    assert (big.planned, small.planned) == (90 * GIB, 30 * GIB)
    assert desk.value("resurgam_gpu_headroom_bytes", UUID=PRO, gpu="0") == 6 * GIB
    assert desk.value("resurgam_container_gpu_memory_used_bytes", name="oracle", UUID=SMALL, gpu="1") == 29 * GIB
    assert desk.value("resurgam_container_gpu_attached", name="oracle") == 1
    assert desk.value("resurgam_container_gpu_attached", name="mxfp4") == 0
    assert desk.value("resurgam_gpu_expected_count") == desk.value("resurgam_gpu_count") == 2
    assert desk.core.world().gpus == desk.state


def test_one_transaction_so_that_a_rule_sees_both() -> None:
    desk = omni(rule("DCGM_FI_DEV_GPU_TEMP * on(UUID) group_left() resurgam_gpu_up > 80", "Both"))
    told = Sample(labels("DCGM_FI_DEV_GPU_TEMP", UUID=PRO, gpu="0"), 85.0)
    desk.tell(reading(*loaded()), told)
    desk.tell(reading(*loaded()), told)
    assert desk.alerts() == ["Both"]


def test_what_a_plan_makes_counts_for_its_service() -> None:
    desk = omni()
    made = ident("oracle-new")
    plan = _plan(desk, made)
    desk.core.admission._open[plan.id] = plan
    desk.read(card(PRO, process("oracle-new", 40)), card(SMALL))
    assert desk.state.cards[0].users == (("oracle", 40 * GIB),)
    assert desk.core.world().vram.of(PRO).foreign == 0  # type: ignore[union-attr]


def _plan(desk: Desk, made: str) -> Any:
    return Plan(
        id=77,
        verb="phoenix",
        service="oracle",
        engine="docker",
        params={},
        cause="a test",
        by="uid:0",
        created_at=desk.wall,
        op="aa",
        container_id=ident("oracle"),
        name="oracle",
        steps=(),
        locks=(),
        marks=(("create", True, {"new_id": made}),),
    )


# ------------------------------------------------------------ the guard


def start(desk: Desk, name: str, **more: Any) -> Any:
    return wished(desk.core, Command(desk.wall, desk.mono, "start", name, {}, "uid:0", "socket", **more)).verdict


def test_a_start_that_does_not_fit_is_refused_with_the_sum() -> None:
    desk = Desk(oracle={"vram": "0:90GiB"}, mxfp4={"vram": "0:90GiB"})
    desk.listed(box("oracle", "all"), box("mxfp4", "all", status="exited"))
    desk.read(*loaded())
    refused = start(desk, "mxfp4")
    assert refused.reason is Reason.NO_ROOM
    assert "of 96 GiB 90 GiB are planned (oracle 90 GiB)" in refused.text
    assert start(desk, "mxfp4", override="I know better").ok
    desk.turn(EngineEvent(0, 0, "docker", "container", ident("oracle"), "die", int(desk.wall * 1e9), {"exitCode": "0"}))
    assert start(desk, "mxfp4").ok, "it holds nothing any more, though nobody read that yet"


def test_old_readings_refuse_nothing() -> None:
    desk = Desk(oracle={"vram": "0:90GiB"}, mxfp4={"vram": "0:90GiB"})
    desk.listed(box("oracle", "all"), box("mxfp4", "all", status="exited"))
    desk.read(*loaded())
    desk.turn(seconds=OLD + 5)
    assert start(desk, "mxfp4").ok


def test_two_ways_to_write_a_card_share_it() -> None:
    desk = Desk(oracle={"exclusive": ["gpu:0"]}, rival={"exclusive": [f"gpu:{PRO}"]})
    desk.listed(box("oracle"), box("rival", status="exited"))
    assert start(desk, "rival").ok, "nobody knows yet that they mean the same"
    desk.read(*loaded())
    refused = start(desk, "rival")
    assert refused.reason is Reason.LOCKED
    assert "oracle" in refused.text
    locks = desk.core.rollouts.locks(desk.core, replace(_plan(desk, ""), locks=("service:oracle", "word:gpu:0")))
    assert locks == ("service:oracle", "word:gpu:0", f"word:gpu:{PRO}")


def test_an_alert_about_a_card_is_the_cards_own_incident() -> None:
    desk = omni(rule("DCGM_FI_DEV_GPU_TEMP > 80", "GpuHot"))
    desk.read(*loaded())
    hot, stranger = (
        Sample(labels("DCGM_FI_DEV_GPU_TEMP", UUID=uuid, gpu="0"), 90.0) for uuid in (PRO, "GPU-elsewhere")
    )
    desk.tell(reading(*loaded()), hot, stranger)
    desk.turn()
    subjects = {incident.subject for incident in desk.core.book.incidents()}
    assert subjects == {f"gpu:{PRO}", "host"}
    desk.tell(reading(*loaded()), replace(hot, value=50.0), replace(stranger, value=50.0))
    desk.turn()
    assert desk.core.book.incidents() == ()


def test_words_of_a_card_are_found() -> None:
    desk = omni()
    desk.read(*loaded())
    uses = {one.id: desk.core.gpu.cards_of(desk.core, one) for one in desk.core.registry.services()}
    assert uses == {"oracle": (PRO, SMALL), "mxfp4": (PRO, SMALL), "tts": (SMALL,)}
    find = desk.core.world().find
    assert find("gpu:1") == (f"gpu:{SMALL}",)
    assert find("gpu:7") == ()
    assert find("oracle") == ("oracle",)
    assert target.named("gpu:0", find).id == f"gpu:{PRO}"
    assert "`resurgam gpu` lists the cards" in target.named("gpu:7", find).verdict.text


def test_a_veto_by_card_reaches_who_uses_it() -> None:
    desk = omni()
    desk.read(card(PRO, process("oracle", 88)), card(SMALL))
    known = desk.core.world()

    def forbids(service: str, **about: str) -> bool:
        alert = Alert("f", "V", "firing", about, {"veto": "restart scope=gpu"}, 1.0, 1.0, 1.0)
        return against("restart", {}, service, replace(known, alerts=(alert,))) is not None

    assert forbids("oracle", UUID=PRO)
    assert not forbids("tts", UUID=PRO), "its container asks for the other one"
    assert forbids("tts", UUID=SMALL)
    assert forbids("tts"), "no card is named: all that use any"
    assert forbids("mxfp4", name="oracle"), "it is of the cards of that service"
    assert forbids(f"gpu:{PRO}", UUID=PRO)
    assert not forbids(f"gpu:{SMALL}", UUID=PRO)
    assert forbids("oracle", gpu="0", UUID="")


# ------------------------------------------------------------ intruders and losses


INTRUDER = rule("resurgam_gpu_intruder == 1", "GpuIntruder")


def test_an_intruder_is_told_of_in_the_turn_of_its_start() -> None:
    desk = omni(INTRUDER)
    desk.read(*loaded())
    assert desk.alerts() == []
    event = EngineEvent(0, 0, "docker", "container", ident("mxfp4"), "start", int(desk.wall * 1e9), {})
    desk.turn(event, Looked(0, 0, "docker", ident("mxfp4"), box("mxfp4", "all", started=desk.wall)))
    assert desk.alerts() == ["GpuIntruder", "GpuIntruder"], "on both cards"
    assert desk.value("resurgam_gpu_intruder", name="mxfp4", UUID=PRO, gpu="0", beside="oracle") == 1
    desk.turn(EngineEvent(0, 0, "docker", "container", ident("mxfp4"), "die", int(desk.wall * 1e9), {"exitCode": "0"}))
    assert desk.alerts() == []


def lose(desk: Desk, **more: Any) -> float | None:
    desk.read(*loaded())
    desk.turn(seconds=400)
    desk.read(card(PRO), card(SMALL), **more)
    return desk.value("resurgam_service_gpu_lost", name="oracle")


def test_a_card_that_went_away_silently() -> None:
    assert lose(omni()) == 1


@pytest.mark.parametrize("more", [{"namespaced": True}, {"trouble": "mismatch"}])
def test_nobody_lost_anything_while_the_driver_is_not_well(more: dict[str, Any]) -> None:
    assert not lose(omni(), **more)


def test_nor_where_one_of_its_cards_is_gone() -> None:
    desk = omni()
    desk.read(*loaded())
    desk.turn(seconds=400)
    desk.read(card(PRO))
    assert desk.value("resurgam_service_gpu_lost", name="oracle") == 0
    assert desk.value("resurgam_gpu_absent", UUID=SMALL, gpu="1") == 1


def test_what_is_on_another_card_is_looked_at_all_the_same() -> None:
    desk = Desk(oracle={"vram": "0:90GiB"})
    desk.listed(box("oracle", "0"))
    desk.read(*loaded())
    desk.turn(seconds=400)
    desk.read(card(PRO))
    assert desk.value("resurgam_service_gpu_lost", name="oracle") == 1


def test_nor_where_it_sleeps() -> None:
    desk = Desk(oracle={**ORACLE, "probe": "completion://:8000"})
    desk.listed(box("oracle", "all", address="172.17.0.2"))
    desk.read(*loaded())
    asleep = Probed(0, 0, "oracle", True, "it sleeps", 0.1, "oracle", ident("oracle"), 1.0, asleep=True)
    desk.turn(asleep, seconds=400)
    desk.read(card(PRO), card(SMALL))
    assert desk.value("resurgam_service_gpu_lost", name="oracle") == 0


def test_a_restart_of_ours_forgets_neither_what_was_held_nor_which_cards_there_are() -> None:
    first = omni()
    first.read(*loaded())
    desk = first.again(oracle=ORACLE)
    desk.listed(box("oracle", "all"))
    assert [(one.uuid, one.up) for one in desk.state.cards] == [(PRO, False), (SMALL, False)]
    desk.turn(seconds=400)
    desk.read(card(PRO), card(SMALL))
    assert desk.value("resurgam_service_gpu_lost", name="oracle") == 1
    desk.read(card(PRO))
    assert desk.value("resurgam_gpu_count") == 1
    assert desk.value("resurgam_gpu_expected_count") == 2
    assert [one.uuid for one in desk.state.cards if not one.present] == [SMALL]


def test_readings_before_the_first_list_of_containers_forget_nothing() -> None:
    first = omni()
    first.read(*loaded())
    desk = first.again(oracle=ORACLE)
    desk.read(card(PRO), card(SMALL))
    desk.listed(box("oracle", "all"))
    desk.turn(seconds=400)
    desk.read(card(PRO), card(SMALL))
    assert desk.value("resurgam_service_gpu_lost", name="oracle") == 1


# ------------------------------------------------------------ a person's word


def test_a_card_that_was_taken_out_is_forgotten() -> None:
    desk = omni()
    desk.read(*loaded())
    with pytest.raises(ValueError, match="is in this machine"):
        desk.word(lambda core: core.gpu.forget(core, "1"))
    with pytest.raises(ValueError, match="expected are: 0"):
        desk.word(lambda core: core.gpu.forget(core, "7"))
    desk.read(card(PRO))
    said: list[str] = []
    desk.word(lambda core: said.append(core.gpu.forget(core, "1")))
    assert said == [f"GPU 1 ({SMALL}) is not expected any more."]
    assert desk.state.expected == 1
    assert [one.uuid for one in desk.state.cards] == [PRO]
    assert [one.uuid for one in desk.again(oracle=ORACLE).state.cards] == [PRO]


def test_let_go_of_for_a_while() -> None:
    desk = omni()
    desk.read(*loaded())
    desk.word(lambda core: core.gpu.release(core, desk.wall + 600))
    assert desk.state.released == desk.wall + 600
    assert desk.again(oracle=ORACLE).state.released == desk.wall + 600
    assert (desk.core.due() or 0.0) <= desk.mono + 600
    desk.turn(seconds=601)
    assert desk.state.released == 0
    assert desk.again(oracle=ORACLE).state.released == 0


def test_a_word_ends_it_sooner_and_the_quiet_after_a_fault_with_it() -> None:
    desk = omni()
    desk.read(*loaded())
    desk.turn(XidSeen(0, 0, "kernel-log", 119, bus_id=BUS[PRO], sequence=1))
    assert desk.state.quiet
    desk.word(lambda core: core.gpu.release(core, desk.wall + 600))
    desk.turn(seconds=601)
    assert desk.state.quiet, "time does not end that"
    desk.word(lambda core: core.gpu.release(core, desk.wall + 600))
    desk.word(lambda core: core.gpu.resume(core))
    assert (desk.state.released, desk.state.quiet) == (0, "")


def test_the_settings_say_how_many_and_what_is_kept_free() -> None:
    desk = Desk(gpu={"expected": 4, "reserve": "2GiB"}, oracle=ORACLE)
    desk.listed(box("oracle", "all"))
    desk.read(*loaded())
    assert desk.state.expected == 4
    budget = desk.core.world().vram
    assert budget is not None
    assert budget.cards[0].free() == 4 * GIB


def test_what_is_missing_is_looked_at_again_when_there_is_room() -> None:
    """Level, not edge: a reading that changes an answer of the guard has the book look."""
    desk = omni()
    desk.read(*loaded())
    desk.read(*loaded())
    desk.core._review = False
    desk.turn(Readings(0, 0, "gpu", (), gpu=reading(*loaded())))
    seen: list[bool] = []
    look = desk.core._look_at_everything
    desk.core._look_at_everything = lambda: (seen.append(True), look())[1]  # type: ignore[method-assign]
    desk.read(*loaded())
    assert seen == []
    desk.read(card(PRO, process("oracle", 88)), card(SMALL, process("oracle", 31)))
    assert seen == [True]
