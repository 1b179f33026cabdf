"""The cards as series: dcgm-exporter's names and labels, and an end for what is told no more."""

from collections.abc import Collection, Mapping

from supervisor.facts import GpuCard, GpuReading, labels
from supervisor.samples import is_stale
from supervisor.signals.gpu import series
from supervisor.signals.gpu.series import METRICS, Series

TEMP, UTIL, REPLAY = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"
UUID = "GPU-aa"


def card(index: int = 0, uuid: str = UUID, error: str = "", **values: float) -> GpuCard:
    return GpuCard(index, uuid, "00000000:ca:00.0", "NVIDIA H200", error=error, values=values)


class Bench:
    def __init__(self) -> None:
        self.series, self.now = Series("box"), 0.0

    def read(self, *cards: GpuCard, told: Mapping[str, Collection[str]] | None = None) -> dict[str, float | None]:
        """`NAME{gpu}` -> its value, or None where the series ended; five seconds after the last."""
        self.now += 5.0
        told = {one.uuid: tuple(one.values) for one in cards} if told is None else told
        found = self.series.samples(GpuReading(tuple(cards), driver="580.1"), told, self.now)
        shown = {f"{dict(one.labels)['__name__']}{{{dict(one.labels)['gpu']}}}": one.value for one in found}
        return {name: None if is_stale(value) else value for name, value in shown.items()}


def test_labels_are_those_of_dcgm_exporter() -> None:
    (sample,) = Series("box").samples(GpuReading((card(**{TEMP: 38.0}),), driver="580.1"), {UUID: [TEMP]}, 0.0)
    assert sample.value == 38.0
    assert sample.labels == labels(
        TEMP,
        gpu="0",
        UUID=UUID,
        pci_bus_id="00000000:CA:00.0",
        device="nvidia0",
        modelName="NVIDIA H200",
        Hostname="box",
        DCGM_FI_DRIVER_VERSION="580.1",
    )


def test_ours_have_few_labels() -> None:
    (sample,) = Series("box").samples(
        GpuReading((card(**{series.PERSISTENCE: 1.0}),)), {UUID: [series.PERSISTENCE]}, 0.0
    )
    assert sample.labels == labels(series.PERSISTENCE, UUID=UUID, gpu="0")


def test_what_is_not_known_here_makes_no_series() -> None:
    assert Bench().read(card(**{"node_load1": 1.0, TEMP: 1.0})) == {f"{TEMP}{{0}}": 1.0}


def test_only_what_was_told_anew_is_a_sample() -> None:
    assert Bench().read(card(**{TEMP: 1.0, REPLAY: 0.0}), told={UUID: [TEMP]}) == {f"{TEMP}{{0}}": 1.0}


def test_a_card_that_is_lost_ends_its_series_at_once() -> None:
    bench = Bench()
    bench.read(card(**{TEMP: 1.0}), card(1, "GPU-bb", **{TEMP: 2.0}))
    assert bench.read(card(error="GPU is lost"), card(1, "GPU-bb", **{TEMP: 3.0})) == {
        f"{TEMP}{{1}}": 3.0,
        f"{TEMP}{{0}}": None,
    }
    assert bench.read(card(error="GPU is lost")) == {f"{TEMP}{{1}}": None}
    assert bench.read() == {}


def test_a_card_whose_index_changed_goes_on_under_another_name() -> None:
    bench = Bench()
    bench.read(card(1, **{TEMP: 1.0}))
    assert bench.read(card(0, **{TEMP: 1.0})) == {f"{TEMP}{{0}}": 1.0, f"{TEMP}{{1}}": None}


def test_a_value_that_does_not_come_any_more_ends() -> None:
    bench = Bench()
    bench.read(card(**{TEMP: 1.0, UTIL: 2.0}))
    assert f"{UTIL}{{0}}" not in bench.read(card(**{TEMP: 1.0}))
    assert f"{UTIL}{{0}}" not in bench.read(card(**{TEMP: 1.0}))
    assert bench.read(card(**{TEMP: 1.0}))[f"{UTIL}{{0}}"] is None


def test_what_is_asked_seldom_lives_until_it_is_asked_again() -> None:
    bench = Bench()
    bench.read(card(**{REPLAY: 7.0}))
    for _ in range(28):
        assert bench.read(card(), told={}) == {}
    while bench.now <= 5.0 + 2.5 * 60.0:
        last = bench.read(card(), told={})
    assert last == {f"{REPLAY}{{0}}": None}


def test_the_table_says_what_is_counted() -> None:
    kinds = {metric.name: metric.kind for metric in METRICS}
    assert kinds[REPLAY] == kinds["DCGM_FI_DEV_POWER_VIOLATION"] == "counter"
    assert kinds[TEMP] == "gauge"
    assert all(set(metric.labels) >= {"UUID", "gpu"} for metric in METRICS)
    assert len(kinds) == len(METRICS)
