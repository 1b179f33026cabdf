"""The box that the benchmarks of the rules look at: 600 series of a host, two GPUs, 40 containers and four services.

Every value is a function of the unix time, so that each run and each reader sees the same. `FIFTY` are the rules over
it (`rules_fifty.yaml`). Three alerts fire and some counters start anew now and then, as on a real box.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from supervisor.facts import Labels, Sample, labels

FIFTY = (Path(__file__).parent / "rules_fifty.yaml").read_text()
LES = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")

Value = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Known:
    """One series: who delivers it, its labels, how an exposition names it, and its value at an instant (unix time)."""

    collector: str
    labels: Labels
    text: str
    value: Value


def fixed(value: float) -> Value:
    return lambda _second: value


def gauge(middle: float, swing: float, period: float, shift: float) -> Value:
    return lambda second: middle + swing * math.sin(second / period + shift)


def counter(rate: float, shift: float, life: float = 1e6) -> Value:
    """Grows by about `rate` per second; from 0 again each `life` seconds."""

    def value(second: float) -> float:
        age = (second + 97 * shift) % life
        return rate * (age + 3 * math.sin(age / 7 + shift) + 3)

    return value


def shown(name: str, pairs: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
    return f"{name}{{{inside}}}" if inside else name


def known(collector: str, name: str, value: Value, /, **pairs: str) -> Known:
    return Known(collector, labels(name, **pairs), shown(name, pairs), value)


def host() -> Iterator[Known]:
    of = "host"
    yield known(of, "up", fixed(1), kind="host")
    for cpu in range(8):
        for mode, share in (
            ("idle", 0.7),
            ("user", 0.2),
            ("system", 0.07),
            ("iowait", 0.02),
            ("irq", 0.01),
            ("steal", 0),
        ):
            yield known(of, "node_cpu_seconds_total", counter(share, cpu), cpu=str(cpu), mode=mode)
    for name, size in (
        ("MemTotal", 512e9),
        ("MemAvailable", 90e9),
        ("MemFree", 20e9),
        ("SwapTotal", 64e9),
        ("SwapFree", 40e9),
    ):
        yield known(of, f"node_memory_{name}_bytes", fixed(size) if "Total" in name else gauge(size, size / 9, 61, 1))
    yield known(of, "node_load1", gauge(4, 2, 30, 0))
    yield known(of, "node_vmstat_pgmajfault", counter(40, 1))
    yield known(of, "node_vmstat_oom_kill", fixed(3))
    yield known(of, "node_filefd_allocated", gauge(9000, 500, 40, 0))
    yield known(of, "node_filefd_maximum", fixed(1e6))
    for disk, (mount, share) in enumerate((("/", 0.4), ("/boot", 0.5), ("/models", 0.06), ("/var", 0.3))):
        size = 1e9 if mount == "/boot" else 1e12
        for name, value in (
            ("size_bytes", fixed(size)),
            ("avail_bytes", gauge(size * share, size / 200, 400, disk)),
            ("files", fixed(6e7)),
            ("files_free", gauge(5e7, 1e5, 300, disk)),
        ):
            yield known(of, f"node_filesystem_{name}", value, mountpoint=mount)
    for disk in range(3):
        for name, rate in (
            ("io_time_seconds", 0.3),
            ("read_bytes", 3e7),
            ("written_bytes", 2e7),
            ("reads_completed", 90),
            ("writes_completed", 80),
        ):
            yield known(of, f"node_disk_{name}_total", counter(rate, disk), device=f"nvme{disk}n1")
    for link in range(4):
        for way in ("receive", "transmit"):
            for name, rate in (("bytes", 4e6), ("packets", 4000), ("errs", 0.0)):
                yield known(of, f"node_network_{way}_{name}_total", counter(rate, link), device=f"eth{link}")


def gpus() -> Iterator[Known]:
    for gpu in range(2):
        for name, value in (
            ("memory_used_bytes", gauge(70e9, 6e9, 90, gpu)),
            ("memory_total_bytes", fixed(80e9)),
            ("temperature_celsius", gauge(70, 9, 50, gpu)),
            ("power_watts", gauge(500, 150, 33, gpu)),
            ("utilization_ratio", gauge(0.5, 0.49, 20, gpu)),
            ("clock_hertz", gauge(1.7e9, 2e8, 15, gpu)),
            ("ecc_errors_total", fixed(gpu)),
            ("fan_ratio", gauge(0.5, 0.2, 60, gpu)),
            ("xid", fixed(0)),
        ):
            yield known("gpu", f"gpu_{name}", value, gpu=str(gpu))


def containers() -> Iterator[Known]:
    for number in range(40):
        limit = 10e9 + number * 1e8
        used = 0.95 if number in (7, 23) else 0.5
        for name, value in (
            ("container_cpu_usage_seconds_total", counter(0.02 + number / 100, number, 1800.0)),
            ("container_memory_working_set_bytes", gauge(limit * used, limit / 50, 80, number)),
            ("container_spec_memory_limit_bytes", fixed(limit)),
            ("container_network_receive_bytes_total", counter(1e5 * number, number, 1800.0)),
            ("container_network_transmit_bytes_total", counter(2e5 * number, number, 1800.0)),
            ("container_oom_events_total", fixed(number % 3)),
            ("container_start_time_seconds", fixed(1.7e9 + number)),
            ("container_last_seen", lambda second: second),
            ("resurgam_container_restarts_total", fixed(number % 5)),
            ("resurgam_container_running", fixed(1)),
        ):
            yield known("containers", name, value, name=f"svc-{number:02}", stack=f"stack-{number % 5}")


def apps() -> Iterator[Known]:
    for number, service in enumerate(("embedder", "oracle", "ranker", "store")):
        for code, rate in (("200", 30), ("404", 0.5), ("500", 0.2)):
            yield known("apps", "http_requests_total", counter(rate, number), service=service, code=code)
        name = "http_request_duration_seconds"
        for place, le in enumerate(LES):
            yield known("apps", f"{name}_bucket", counter(min(30, 6.0 * place), number), service=service, le=le)
        yield known("apps", f"{name}_sum", counter(4, number), service=service)
        yield known("apps", f"{name}_count", counter(30, number), service=service)


BOX: tuple[Known, ...] = (*host(), *gpus(), *containers(), *apps())
COLLECTORS: tuple[str, ...] = tuple(dict.fromkeys(one.collector for one in BOX))
assert len(BOX) == 600, len(BOX)


def readings(second: float) -> dict[str, list[Sample]]:
    """What each collector delivers at an instant."""
    found: dict[str, list[Sample]] = {collector: [] for collector in COLLECTORS}
    for one in BOX:
        found[one.collector].append(Sample(one.labels, one.value(second)))
    return found


def exposition(second: float) -> str:
    """All of it at an instant, as a target writes it for a scraper."""
    return "".join(f"{one.text} {one.value(second)!r}\n" for one in BOX)
