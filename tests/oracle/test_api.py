"""The Prometheus API against a real Prometheus server with the same samples: same JSON, codes and kinds of error.

Debian's server is a 2.42: times lie off the sample grid, and what Prometheus 3 changed is not asked.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from supervisor.lab.series import Given, Listed, parse_metric, parse_values
from supervisor.web.server import Server
from tests.support.daemon import until
from tests.support.house import FakeHouse
from tests.support.promtool import promtool

T0, STEP = 1_760_000_000, 15
AT = T0 + 1800.137
GIVEN = Given(
    STEP,
    tuple(
        Listed.of(parse_metric(name), parse_values(values))
        for name, values in {
            'req_total{code="200",job="a"}': "0+3x60 1+5x80",
            'req_total{code="500",job="a"}': "0+1x140",
            'req_total{code="200",job="b"}': "7x60 _x20 8+0.5x60",
            'temp{name="x"}': "21.5x20 1e-7x20 NaN Inf+0x100",
            'temp{name="y"}': "1e22 -4.25 0.3333333333333333 -1e-9 123456789012345680000 0-0x140",
            'lat_bucket{le="0.1"}': "0+1x140",
            'lat_bucket{le="1"}': "0+3x140",
            'lat_bucket{le="+Inf"}': "0+4x140",
        }.items()
    ),
)

INSTANT = (
    *(
        "req_total",
        "temp",
        "temp[1m]",
        'temp{name="y"}[10m]',
        "rate(req_total[5m])",
        "sum by (job) (rate(req_total[5m]))",
    ),
    *(
        "1/60",
        '"str"',
        "time()",
        "scalar(temp)",
        "vector(1)",
        "sort(req_total)",
        "sort_desc(req_total)",
        "-temp",
        "temp > 1",
    ),
    *("topk(2, req_total)", "histogram_quantile(0.9, rate(lat_bucket[5m]))", 'absent(nope{a="b"})', "temp offset 5m"),
    *('{__name__=~"req.*"}', "max_over_time(rate(req_total[1m])[10m:1m])", 'count_values("v", req_total)'),
    *(
        'label_replace(temp, "name", "x", "", "")',
        "foo(",
        "up{",
        "1 +",
        "rate(req_total)",
        "",
        "req_total / on(job) req_total",
    ),
)
RANGE = ("req_total", "rate(req_total[5m])", "sum(temp)", "1", "time()", '"x"', "temp[5m]", "req_total @ end()", "foo(")
WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query_range", {"query": "1", "start": 5, "end": 4, "step": 1}),
    ("query_range", {"query": "1", "start": 5, "end": 8, "step": 0}),
    ("query_range", {"query": "1", "start": 0, "end": 8, "step": -1}),
    ("query_range", {"query": "1", "start": "y", "end": 8, "step": 1}),
    ("query_range", {"query": "1", "start": 0, "end": 12001, "step": 1}),
    ("query_range", {"query": "1", "start": 0, "end": 11000, "step": 1}),
    ("query", {"query": "1", "time": "x"}),
    ("query", {"query": "1", "time": "2025-10-09T09:00:00.123456789+02:00"}),
    ("query", {"query": "1", "time": "-1.5"}),
    ("query", {"query": "1", "time": 1, "timeout": "x"}),
    ("query", {"query": "1", "time": 1, "timeout": "2.5"}),
    ("series", {}),
    ("series", {"match[]": "{}"}),
    ("series", {"match[]": "x["}),
    ("rules", {"type": "x"}),
)
NAMES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("series", {"match[]": "temp"}),
    ("series", {"match[]": ["temp", 'req_total{job=~"a|b"}']}),
    ("labels", {}),
    ("labels", {"match[]": "temp"}),
    ("label/job/values", {}),
    ("label/__name__/values", {}),
    ("label/job/values", {"match[]": 'req_total{code="500"}'}),
    ("label/nope/values", {}),
    ("query_exemplars", {"query": "req_total", "start": T0, "end": T0 + 100}),
    ("alerts", {}),
    ("rules", {}),
)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus server on loopback that has the samples."""
    folder = tmp_path_factory.mktemp("prometheus")
    lines = [f"{_text(labels)} {value!r} {ms / 1000:.3f}" for labels, ms, value in GIVEN.rows(T0)]
    (folder / "data.om").write_text("\n".join([*lines, "# EOF", ""]).replace("inf", "+Inf").replace("nan", "NaN"))
    promtool("tsdb", "create-blocks-from", "openmetrics", "data.om", "data", cwd=folder)
    (folder / "prometheus.yml").write_text("global: {}\n")
    server = shutil.which("prometheus")
    assert server, "the Prometheus server is missing; install Debian's package `prometheus`"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("wb") as log:
        options = [f"--web.listen-address={address}", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y"]
        process = subprocess.Popen(
            [server, "--config.file=prometheus.yml", *options], cwd=folder, stdout=log, stderr=log
        )
    try:
        until(lambda: _ask(f"http://{address}", "/-/ready", {})[0] == 200, 20, "Prometheus is ready")
        yield f"http://{address}/api/v1/"
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
async def ours() -> AsyncIterator[str]:
    house = FakeHouse()
    house.store.keep(1e9)
    GIVEN.fill(house.store, T0)
    house.now(alerts=())
    server = Server(house, "127.0.0.1", 0)
    assert await server.start() == ""
    yield f"http://127.0.0.1:{server.port}/api/v1/"
    await server.close()


def _text(labels: Any) -> str:
    pairs = dict(labels)
    name = pairs.pop("__name__")
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in pairs.items()) + "}"


def _ask(address: str, path: str, params: dict[str, Any], post: bool = False) -> tuple[int, Any]:
    query = urlencode(params, doseq=True)
    target, body = (address + path, query.encode()) if post else (f"{address}{path}?{query}", None)
    try:
        with urllib.request.urlopen(target, body, timeout=20) as response:
            text, status = response.read(), response.status
    except urllib.error.HTTPError as err:
        text, status = err.read(), err.code
    except OSError:
        return 0, None
    return status, json.loads(text) if text.startswith(b"{") else text


def _comparable(path: str, params: dict[str, Any], status: int, found: Any) -> Any:
    """What must be equal: of an error its kind, of an unsorted vector the elements in any order."""
    if found["status"] == "error":
        return status, found["errorType"]
    data = found["data"]
    if isinstance(data, dict) and data.get("resultType") == "vector" and not str(params["query"]).startswith("sort"):
        data["result"].sort(key=lambda one: json.dumps(one["metric"], sort_keys=True))
    if path == "series":
        data.sort(key=lambda one: json.dumps(one, sort_keys=True))
    return status, data


async def test_the_same_questions_have_the_same_answers(theirs: str, ours: str) -> None:
    asked: list[tuple[str, dict[str, Any], bool]] = []
    for number, text in enumerate(INSTANT):
        asked.append(("query", {"query": text, "time": AT}, number % 2 == 0))
    for text in RANGE:
        asked.append(("query_range", {"query": text, "start": T0 + 600.5, "end": T0 + 2400.25, "step": "61s"}, True))
        moments = {"start": "2025-10-09T09:00:00.1Z", "end": "2025-10-09T09:05:00.5Z", "step": "17.5"}
        asked.append(("query_range", {"query": text, **moments}, False))
    asked += [(path, params, False) for path, params in (*WRONG, *NAMES)]
    for path, params, post in asked:
        wanted = _comparable(path, params, *_ask(theirs, path, params, post))
        got = _comparable(path, params, *await asyncio.to_thread(_ask, ours, path, params, post))
        assert got == wanted, (path, params)
    assert len(asked) > 70
