"""What is known of the cards without asking the driver: where they are, and whether it may be asked."""

from supervisor.facts import GpuCard, XidSeen
from supervisor.gpu.known import NOWHERE, Known, Place, Quiet
from supervisor.gpu.xids import shipped
from supervisor.journal.codec import dump, load
from supervisor.kernel.xidlines import XidLines, drill_line

A, B = "00000000:17:00.0", "00000000:65:00.0"
CARDS = (GpuCard(0, "GPU-aaaa", A, "NVIDIA H200"), GpuCard(1, "GPU-bbbb", B, "NVIDIA H200"))
TABLE = shipped()


def known(boot: str = "b1") -> Known:
    return Known(boot).read(CARDS)


def seen(xid: int, bus: str = A, **more: object) -> XidSeen:
    return XidSeen(5.0, 5.0, "kernel-log", xid, bus, **more)  # type: ignore[arg-type]


def test_a_fault_that_names_a_bus_is_of_the_card_there() -> None:
    assert known().placed(seen(13, B)).uuid == "GPU-bbbb"
    assert known().placed(seen(13, "", uuid="GPU-bbbb")).bus_id == B


def test_with_one_card_a_fault_that_names_none_is_its_own() -> None:
    assert Known("b").read(CARDS[:1]).placed(seen(0, "", kind="heartbeat")).bus_id == A
    assert known().placed(seen(0, "", kind="heartbeat")).bus_id == ""


def test_a_card_that_moved_is_known_at_its_new_place_only() -> None:
    moved = known().read((GpuCard(0, "GPU-bbbb", "00000000:99:00.0"),))
    assert moved.uuid(B) == ""
    assert moved.uuid("00000000:99:00.0") == "GPU-bbbb"
    assert moved.uuid(A) == "GPU-aaaa", "one that is not read now is not forgotten: it may be lost"


def test_the_same_reading_changes_nothing() -> None:
    before = known()
    assert before.read(CARDS) is before
    assert before.read((GpuCard(0, "", A), GpuCard(1, "GPU-x", ""))) is before


def test_after_a_lost_card_the_driver_is_not_asked_until_it_has_recovered() -> None:
    lost = known().obeyed(seen(79), TABLE)
    assert "since XID 79 of GPU 0 (NVIDIA H200)" in lost.why_quiet()
    assert "resurgam gpu resume" in lost.why_quiet()
    assert lost.obeyed(seen(154, recovery="reboot"), TABLE).why_quiet()
    assert lost.obeyed(seen(154, B, recovery="none"), TABLE).why_quiet(), "that was another card"
    assert lost.obeyed(seen(154, recovery="none"), TABLE).why_quiet() == ""


def test_a_program_that_fails_quiets_nothing() -> None:
    assert known().obeyed(seen(13), TABLE).why_quiet() == ""


def test_what_the_driver_wants_is_remembered_by_card() -> None:
    told = known().obeyed(seen(154, B, recovery="reset"), TABLE)
    assert (told.recovery("GPU-bbbb"), told.recovery("GPU-aaaa"), told.recovery("")) == ("reset", "", "")


def test_another_boot_forgets_all_but_where_the_cards_are() -> None:
    lost = known().obeyed(seen(79), TABLE).obeyed(seen(154, recovery="reboot"), TABLE)
    again = lost.booted("b2")
    assert (again.quiet, again.verdicts, again.sequence, again.boot) == ({}, {}, -1, "b2")
    assert again.places == lost.places
    assert lost.booted("b1") is lost


def test_it_is_the_same_after_it_was_kept() -> None:
    lost = known().obeyed(seen(79), TABLE).obeyed(seen(154, recovery="reboot"), TABLE)
    back = load(Known, dump(lost))
    assert back == lost
    assert back.places[A] == Place("GPU-aaaa", 0, "NVIDIA H200")
    assert back.quiet[A] == Quiet(79, "", 5.0)


def test_people_name_a_card_as_they_like() -> None:
    box = known()
    assert [box.find(word) for word in ("", "0", "1", "GPU-BB", B, "GPU-", "2", "x")] == [A, A, B, B, B, "", "", ""]
    assert Known("b").find("") == NOWHERE
    assert Known("b").find("0") == ""


def test_what_people_read_of_a_card() -> None:
    assert known().card(A) == "GPU 0 (NVIDIA H200)"
    assert known().card("00000000:01:00.0", "GPU-c") == "The GPU GPU-c"
    assert known().that("00000000:01:00.0") == "the GPU 00000000:01:00.0"
    assert known().that("") == "a GPU"
    assert known().cards() == "0 (GPU-aaaa), 1 (GPU-bbbb)"


def test_a_drills_line_is_read_as_what_it_practises() -> None:
    found = XidLines().feed(drill_line(A, 31, 812, "py").encode(), 1.0)
    assert found is not None
    assert (found.xid, found.bus_id, found.pid, found.process) == (31, A, 812, "py")
    verdict = XidLines().feed(drill_line(B, 154).encode(), 1.0)
    assert verdict is not None
    assert (verdict.bus_id, verdict.recovery) == (B, "reset")
    assert "a drill" in drill_line(A, 79)
