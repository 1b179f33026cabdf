"""Which metrics are ours."""

import pytest

from supervisor.core.made import METRICS, ours


@pytest.mark.parametrize(
    "name",
    [
        "up",
        "ALERTS",
        "ALERTS_FOR_STATE",
        "scrape_duration_seconds",
        "resurgam_service_healthy",
        "resurgam_what_comes_next",
        "container_memory_working_set_bytes",
        "kube_pod_container_status_restarts_total",
        "node_memory_MemAvailable_bytes",
        "node_filesystem_avail_bytes",
        "node_textfile_mtime_seconds",
    ],
)
def test_nobody_else_makes_these(name: str) -> None:
    assert ours(name)


@pytest.mark.parametrize("name", ["vllm:num_requests_running", "node_load1", "upside", "container_fs_usage_bytes"])
def test_others_may_make_these(name: str) -> None:
    assert not ours(name)


def test_every_metric_stands_in_one_table_only() -> None:
    from supervisor.core import made

    names = [metric.name for table in made._TABLES for metric in table.METRICS]
    assert len(names) == len(METRICS)
