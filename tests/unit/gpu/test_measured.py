"""Who holds how much of a card."""

from supervisor.facts import GpuProcess
from supervisor.gpu.measured import Held, measured
from tests.support.cards import GIB, PRO, SMALL, card, ident, process, reading

WHOSE = {ident("oracle"): "demo.oracle", ident("tts"): "demo.tts"}


def one(*users: GpuProcess, loose: float = 0.0, namespaced: bool = False) -> Held:
    found = measured(reading(card(PRO, *users, loose=loose), namespaced=namespaced), {0: PRO}, WHOSE)
    assert len(found) == 1
    return found[0]


def test_by_service_by_process_and_what_is_left_over() -> None:
    found = one(
        process("oracle", 60, pid=1),
        process("oracle", 20, pid=2),
        process("Xorg", 0.5, "host", 812),
        process("vllm", 2, "orphan", 9),
        process("", 1, "gone", 10),
        process("stranger", 4, pid=11),
        loose=0.25,
    )
    assert found.services == {"demo.oracle": 80 * GIB}
    assert found.others == (("stranger (pid 11)", 4 * GIB), ("Xorg (pid 812)", GIB // 2))
    assert found.orphaned == 3 * GIB
    assert found.unattributed == GIB // 4
    assert found.used == 87 * GIB + 3 * GIB // 4
    assert not found.blind


def test_where_the_driver_names_nobody_nothing_is_said_of_what_is_left_over() -> None:
    hidden = one(loose=80.0, namespaced=True)
    assert (hidden.blind, hidden.unattributed) == (True, 0)
    without = one(process("oracle", 0), loose=80.0)
    assert (without.blind, without.unattributed) == (True, 0)
    assert without.services == {"demo.oracle": 0}


def test_a_process_may_call_itself_anything() -> None:
    found = one(GpuProcess(5, GIB, "host", "", "evil\n\x1b[31m" + "x" * 500))
    name = found.others[0][0]
    assert "\n" not in name
    assert "\x1b" not in name
    assert len(name) < 100


def test_only_so_many_strangers_are_named() -> None:
    found = one(*(GpuProcess(n, GIB // 64, "host", "", f"p{n}") for n in range(1, 200)))
    assert len(found.others) == 16


def test_a_card_without_figures_or_name_is_left_out() -> None:
    told = reading(card(PRO, total=0, free=0, error="lost", code=15), card(SMALL))
    assert [held.uuid for held in measured(told, {0: PRO, 1: SMALL}, {})] == [SMALL]
    assert measured(told, {0: PRO, 1: ""}, {}) == ()
