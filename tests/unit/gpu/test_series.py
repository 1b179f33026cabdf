"""What was understood of the cards, as series."""

from typing import Any

from supervisor.facts import Gpu, GpuReading, GpuState, Sample
from supervisor.gpu.intruders import Intruder
from supervisor.gpu.series import METRICS, About, Series
from tests.support.cards import GIB, PRO, SMALL, card, reading

BIG = Gpu(PRO, 0, total=96 * GIB, free=16 * GIB, planned=90 * GIB, orphaned=2 * GIB, recovery="none")
BOTH = reading(card(PRO), card(SMALL))
ORACLE = {"name": "oracle"}


def plain(samples: tuple[Sample, ...]) -> dict[str, float]:
    """`name{gpu,…}` without UUIDs -> value; every name is in the table, with these labels."""
    found = {}
    known = {metric.name: set(metric.labels) for metric in METRICS}
    for sample in samples:
        pairs = dict(sample.labels)
        name = pairs.pop("__name__")
        assert set(pairs) <= known[name], sample
        shown = ",".join(f"{key}={value}" for key, value in sorted(pairs.items()) if key != "UUID")
        key = f"{name}{{{shown}}}"
        assert key not in found, "one series, one sample"
        found[key] = sample.value
    return found


def told(state: GpuState, found: GpuReading = BOTH, *abouts: About, series: Series | None = None) -> dict[str, float]:
    return plain((series or Series()).samples(state, found, abouts, 5.0))


def test_a_card_that_is_well() -> None:
    found = told(GpuState((BIG,), expected=1))
    assert found["resurgam_gpu_up{gpu=0}"] == 1
    assert found["resurgam_gpu_absent{gpu=0}"] == 0
    assert found["resurgam_gpu_count{}"] == 2
    assert found["resurgam_gpu_expected_count{}"] == 1
    assert found["resurgam_gpu_planned_bytes{gpu=0}"] == 90 * GIB
    assert found["resurgam_gpu_headroom_bytes{gpu=0}"] == 6 * GIB
    assert found["resurgam_gpu_orphan_memory_bytes{gpu=0}"] == 2 * GIB
    assert found["resurgam_gpu_memory_unattributed_bytes{gpu=0}"] == 0
    assert found["resurgam_gpu_recovery_action{gpu=0}"] == 0
    assert found["resurgam_gpu_probe_last_success_timestamp_seconds{}"] == 5
    assert found["resurgam_gpu_driver_mismatch{}"] == found["resurgam_gpu_driver_quiet{}"] == 0
    assert not [name for name in found if "trouble" in name]


def test_one_that_is_gone_and_one_that_does_not_answer() -> None:
    gone, broken = Gpu(PRO, 0, present=False, up=False), Gpu(SMALL, 1, up=False)
    found = told(GpuState((broken, gone), expected=2))
    assert found["resurgam_gpu_absent{gpu=0}"] == 1
    assert "resurgam_gpu_up{gpu=0}" not in found
    assert (found["resurgam_gpu_absent{gpu=1}"], found["resurgam_gpu_up{gpu=1}"]) == (0, 0)
    assert "resurgam_gpu_planned_bytes{gpu=1}" not in found


def test_while_nobody_is_asked_no_card_is_said_to_be_gone() -> None:
    quiet = GpuState((Gpu(PRO, 0, up=False, recovery="reboot"),), expected=1, quiet="XID 119")
    found = told(quiet, GpuReading(trouble="stopped"))
    assert found == {
        "resurgam_gpu_expected_count{}": 1,
        "resurgam_gpu_driver_mismatch{}": 0,
        "resurgam_gpu_driver_quiet{}": 1,
        "resurgam_gpu_driver_trouble{kind=stopped}": 1,
        "resurgam_gpu_recovery_action{gpu=0}": 2,
        "resurgam_gpu_probe_last_success_timestamp_seconds{}": 5,
    }


def test_a_trouble_that_is_over_is_0_once() -> None:
    series, state = Series(), GpuState()
    told(state, GpuReading(trouble="hung"), series=series)
    found = told(state, GpuReading(trouble="mismatch"), series=series)
    assert found["resurgam_gpu_driver_trouble{kind=hung}"] == 0
    assert found["resurgam_gpu_driver_trouble{kind=mismatch}"] == 1
    assert found["resurgam_gpu_driver_mismatch{}"] == 1
    found = told(state, BOTH, series=series)
    assert found["resurgam_gpu_driver_trouble{kind=mismatch}"] == 0
    assert not [name for name in told(state, BOTH, series=series) if "trouble" in name]


def test_who_holds_how_much_and_0_once_it_let_go() -> None:
    series, state = Series(), GpuState((BIG,))
    holds = About(ORACLE, {PRO: 80 * GIB}, attached=True)
    found = told(state, BOTH, holds, series=series)
    assert found["resurgam_container_gpu_memory_used_bytes{gpu=0,name=oracle}"] == 80 * GIB
    assert found["resurgam_container_gpu_attached{name=oracle}"] == 1
    assert found["resurgam_container_gpu_declared{name=oracle}"] == 1
    assert found["resurgam_service_gpu_lost{name=oracle}"] == found["resurgam_container_gpu_denied{name=oracle}"] == 0
    let_go = About(ORACLE, {}, attached=False, lost=True, denied=True)
    found = told(state, BOTH, let_go, series=series)
    assert found["resurgam_container_gpu_memory_used_bytes{gpu=0,name=oracle}"] == 0
    assert found["resurgam_container_gpu_attached{name=oracle}"] == 0
    assert found["resurgam_service_gpu_lost{name=oracle}"] == found["resurgam_container_gpu_denied{name=oracle}"] == 1
    assert "resurgam_container_gpu_memory_used_bytes{gpu=0,name=oracle}" not in told(state, BOTH, let_go, series=series)


def test_what_nobody_knows_is_left_out() -> None:
    blind = About(ORACLE, {PRO: 0}, attached=True, blind=frozenset((PRO,)))
    found = told(
        GpuState((BIG,)), BOTH, blind, About({"name": "tts"}, attached=None), About({"name": "x"}, declared=False)
    )
    assert not [name for name in found if "used_bytes" in name]
    assert "resurgam_container_gpu_attached{name=tts}" not in found
    assert not [name for name in found if "name=x" in name]


def test_two_services_may_claim_one_name() -> None:
    told(GpuState((BIG,)), BOTH, About(ORACLE, {PRO: 5}, attached=True), About(ORACLE, {PRO: 6}, attached=True))


def test_intruders_come_once_are_repeated_and_end_with_0() -> None:
    series, about, index = Series(), {"x": {"name": "x"}}, {PRO: 0}
    one: Any = (Intruder("x", PRO, "oracle"), Intruder("gone", PRO, "oracle"))
    name = "resurgam_gpu_intruder{beside=oracle,gpu=0,name=x}"
    assert plain(series.intruders(one, about, index, full=False)) == {name: 1}
    assert series.intruders(one, about, index, full=False) == ()
    assert plain(series.intruders(one, about, index, full=True)) == {name: 1}
    assert plain(series.intruders((), about, index, full=False)) == {name: 0}
    assert series.intruders((), about, index, full=True) == ()
