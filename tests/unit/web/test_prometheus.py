"""Prometheus' API at both doors: what a dashboard asks, in the forms in which it asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from supervisor.core.asked import TooLate, TooManyAsked
from supervisor.facts import Alert, labels
from supervisor.rules.engine import RuleState
from supervisor.samples import to_ms
from supervisor.web.control import Control
from supervisor.web.server import Server
from tests.support.boxes import NOW
from tests.support.house import FakeHouse, short_folder
from tests.support.rules import ruleset

START = NOW - 300


@pytest.fixture
async def house() -> FakeHouse:
    found = FakeHouse()
    found.store.keep(1e9)
    for n, first in (("a", 0.0), ("b", 100.0)):
        found.store.restore([(labels("x_total", n=n), to_ms(START + i * 15), first + i) for i in range(21)])
    found.store.restore([((("__name__", "a.b"), ("l.x", "y")), to_ms(NOW), 1.0)])
    return found


@pytest.fixture
async def api(house: FakeHouse) -> "AsyncIterator[Asker]":
    server = Server(house, "127.0.0.1", 0)
    assert await server.start() == ""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield Asker(session)
    await server.close()


class Asker:
    """Asks by GET, or with `post` by a form."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def __call__(self, path: str, *more: tuple[str, str], post: bool = False, **params: Any) -> tuple[int, Any]:
        text = urlencode([*params.items(), *more])
        if post:
            head = {"Content-Type": "application/x-www-form-urlencoded"}
            async with self.session.post(f"/api/v1/{path}", data=text, headers=head) as response:
                return response.status, await response.json()
        async with self.session.get(f"/api/v1/{path}?{text}") as response:
            return response.status, await response.json()


def numbers(found: Any) -> list[str]:
    return [one["value"][1] for one in found["data"]["result"]]


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize("post", [False, True])
async def test_an_expression_at_an_instant(api: Asker, post: bool) -> None:
    status, found = await api("query", query="sum by (n) (x_total)", time=START + 30.5, post=post)
    assert status == 200
    assert found == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {"metric": {"n": "a"}, "value": [START + 30.5, "2"]},
                {"metric": {"n": "b"}, "value": [START + 30.5, "102"]},
            ],
        },
    }


async def test_without_a_time_it_is_now(api: Asker) -> None:
    assert numbers((await api("query", query="x_total"))[1]) == ["20", "120"]
    assert (await api("query", query="time()"))[1]["data"]["result"] == [int(NOW), str(int(NOW))]


@pytest.mark.parametrize("post", [False, True])
async def test_an_expression_over_a_range(api: Asker, post: bool) -> None:
    status, found = await api("query_range", query='x_total{n="a"}', start=START, end=START + 60, step="30s", post=post)
    assert status == 200
    assert found["data"] == {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "x_total", "n": "a"},
                "values": [[START, "0"], [START + 30, "2"], [START + 60, "4"]],
            }
        ],
    }


async def test_the_form_goes_before_the_address(api: Asker) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    async with api.session.post("/api/v1/query?query=1&time=5", data="query=2", headers=head) as response:
        assert (await response.json())["data"]["result"] == [5, "2"]


async def test_a_limit(api: Asker) -> None:
    _status, found = await api("query", query="x_total", limit=1)
    assert len(found["data"]["result"]) == 1
    assert found["warnings"] == ["results truncated due to limit"]


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("query", {"query": "foo("}, 'invalid parameter "query": 1:'),
        ("query", {}, 'invalid parameter "query": '),
        ("query", {"query": "1", "time": "yesterday"}, 'invalid parameter "time": cannot parse "yesterday"'),
        ("query", {"query": "1", "limit": "x"}, 'invalid parameter "limit"'),
        ("query", {"query": "1", "limit": "-1"}, "limit must be non-negative"),
        ("query", {"query": "1", "timeout": "x"}, 'invalid parameter "timeout": cannot parse "x"'),
        ("query_range", {"query": "1", "start": 0, "end": 1}, 'invalid parameter "step": cannot parse ""'),
        ("query_range", {"query": "1", "start": 0, "end": 1, "step": 0}, "zero or negative query resolution"),
        ("query_range", {"query": "1", "start": 0, "end": 1, "step": -5}, "zero or negative query resolution"),
        ("query_range", {"query": "1", "start": 2, "end": 1, "step": 1}, "end timestamp must not be before start"),
        ("query_range", {"query": "1", "end": 1, "step": 1}, 'invalid parameter "start"'),
        ("query_range", {"query": "1", "start": 0, "end": 11001, "step": 1}, "maximum resolution of 11,000 points"),
        ("query_range", {"query": "x[5m]", "start": 0, "end": 1, "step": 1}, 'invalid expression type "range vector"'),
        ("series", {}, "no match[] parameter provided"),
        ("series", {"match[]": "{}"}, 'invalid parameter "match[]": '),
        ("series", {"match[]": "rate(x[5m])"}, "is not a series selector"),
        ("label/U___110000_/values", {}, "invalid label name"),
        ("rules", {"type": "x"}, 'invalid parameter "type": not supported value "x"'),
        ("format_query", {"query": "sum("}, 'invalid parameter "query"'),
    ],
)
async def test_what_cannot_be_read_is_bad_data(api: Asker, path: str, params: dict[str, Any], said: str) -> None:
    status, found = await api(path, **params)
    assert status == 400
    assert (found["status"], found["errorType"]) == ("error", "bad_data")
    assert said in found["error"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"query=\xff"),
        ("application/x-www-form-urlencoded; charset=nope", b"query=1"),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header"),
        ("application/json", b'{"query": "1"}'),
    ],
)
async def test_a_form_that_is_none_is_bad_data(api: Asker, kind: str, body: bytes) -> None:
    async with api.session.post("/api/v1/query", data=body, headers={"Content-Type": kind}) as response:
        assert response.status == 400
        assert (await response.json())["errorType"] == "bad_data"


async def test_what_has_no_value_is_an_execution_error(api: Asker) -> None:
    status, found = await api("query", query='label_replace(x_total, "n", "", "", "")')
    assert (status, found["errorType"]) == (422, "execution")
    assert "same labelset" in found["error"]


class Refusing:
    """Questions that nobody may ask now."""

    def __init__(self, err: Exception) -> None:
        self._err = err

    def now(self) -> int:
        return 0

    async def answer(self, *_args: Any) -> Any:
        raise self._err


@pytest.mark.parametrize(
    ("err", "status", "kind"),
    [
        (TooLate("query timed out in expression evaluation"), 503, "timeout"),
        (TooManyAsked("32 questions wait already"), 503, "unavailable"),
        (RuntimeError("ours to mend"), 500, "internal"),
    ],
)
async def test_other_errors_have_prometheus_names_and_codes(
    api: Asker, house: FakeHouse, err: Exception, status: int, kind: str
) -> None:
    house.questions = Refusing(err)  # type: ignore[assignment]
    code, found = await api("query", query="1")
    assert (code, found["status"], found["errorType"]) == (status, "error", kind)
    assert str(err) in found["error"]


async def test_a_timeout_may_be_asked_for(api: Asker, house: FakeHouse) -> None:
    given: list[float] = []
    real = house.questions.answer

    async def answer(question: Any, shape: Any, limit: float, delayed: bool) -> Any:
        given.append(limit)
        return await real(question, shape, limit, delayed)

    house.questions.answer = answer  # type: ignore[method-assign,assignment]
    await api("query", query="1", timeout="1m30s")
    assert given == [90.0]


async def test_delayed_names_may_be_asked_for(api: Asker) -> None:
    text = 'label_replace(rate(x_total{n="a"}[1m]), "m", "$1", "__name__", "(.+)")'
    assert (await api("query", query=text, delayed_names=1))[1]["data"]["result"][0]["metric"] == {
        "n": "a",
        "m": "x_total",
    }
    assert (await api("query", query=text))[1]["data"]["result"][0]["metric"] == {"n": "a"}


async def test_an_asker_that_goes_away_is_not_worked_for(api: Asker, house: FakeHouse) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def answer(*_args: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    house.questions.answer = answer  # type: ignore[method-assign,assignment]
    waiting = asyncio.ensure_future(api("query", query="1"))
    await asyncio.wait_for(begun.wait(), 5)
    waiting.cancel()
    assert await asyncio.wait_for(ended.wait(), 5)


# ---------------------------------------------------------------- series and labels


@pytest.mark.parametrize("post", [False, True])
async def test_series_by_any_of_several_matchers(api: Asker, post: bool) -> None:
    asked = (("match[]", 'x_total{n="b"}'), ("match[]", '{"a.b"}'), ("match[]", 'x_total{n!="a"}'))
    status, found = await api("series", *asked, post=post)
    assert status == 200
    assert found["data"] == [{"__name__": "a.b", "l.x": "y"}, {"__name__": "x_total", "n": "b"}]


async def test_series_within_a_time(api: Asker) -> None:
    asked = ("match[]", '{__name__=~".+"}')
    assert len((await api("series", asked, start=NOW - 1, end=NOW + 1))[1]["data"]) == 3
    assert len((await api("series", asked, start=START, end=START + 1))[1]["data"]) == 2
    assert (await api("series", asked, end=START - 1))[1]["data"] == []
    assert len((await api("series", asked, limit=1))[1]["data"]) == 1


async def test_labels_and_their_values(api: Asker) -> None:
    assert (await api("labels"))[1]["data"] == ["__name__", "l.x", "n"]
    assert (await api("labels", ("match[]", "x_total"), post=True))[1]["data"] == ["__name__", "n"]
    assert (await api("label/n/values"))[1]["data"] == ["a", "b"]
    assert (await api("label/__name__/values"))[1]["data"] == ["a.b", "x_total"]
    assert (await api("label/n/values", ("match[]", 'x_total{n="b"}')))[1]["data"] == ["b"]
    assert (await api("label/nope/values"))[1]["data"] == []
    assert (await api("label/l.x/values"))[1]["data"] == ["y"]
    assert (await api("label/U__l_2e_x/values"))[1]["data"] == ["y"]
    assert (await api("labels", limit=1))[1] == {
        "status": "success",
        "data": ["__name__"],
        "warnings": ["results truncated due to limit"],
    }


async def test_metadata_tells_counters_from_gauges(api: Asker) -> None:
    _status, found = await api("metadata")
    assert {name: entries[0]["type"] for name, entries in found["data"].items()} == {
        "a.b": "gauge",
        "x_total": "counter",
    }
    assert list((await api("metadata", metric="x_total"))[1]["data"]) == ["x_total"]
    assert len((await api("metadata", limit=1))[1]["data"]) == 1


# ---------------------------------------------------------------- rules, alerts, ourselves


async def test_rules_and_alerts(api: Asker, house: FakeHouse) -> None:
    alert = Alert("f", "A", "firing", {"alertname": "A"}, {}, 2.0, NOW)
    (rule,) = ruleset("groups: [{name: g, rules: [{alert: A, expr: x > 1}]}]").rules
    house.states = [("r.yaml", RuleState(rule, (alert,), "", NOW))]
    house.now(alerts=(alert,))
    (group,) = (await api("rules"))[1]["data"]["groups"]
    assert (group["name"], group["file"], group["rules"][0]["state"]) == ("g", "r.yaml", "firing")
    assert (await api("rules", type="record"))[1]["data"] == {"groups": []}
    assert (await api("rules", ("rule_name[]", "B")))[1]["data"] == {"groups": []}
    assert (await api("rules", exclude_alerts="true"))[1]["data"]["groups"][0]["rules"][0]["alerts"] is None
    assert [one["value"] for one in (await api("alerts"))[1]["data"]["alerts"]] == ["2e+00"]


async def test_what_grafana_asks_before_it_asks_anything_else(api: Asker) -> None:
    _status, found = await api("status/buildinfo")
    assert found["data"]["version"] == "3.5.0"
    assert found["data"]["revision"].startswith("resurgam-")
    assert (await api("query", query="1+1", post=True))[1]["data"]["result"][1] == "2"
    assert (await api("query_exemplars", query="x_total", start=0, end=1))[1]["data"] == []
    assert (await api("format_query", query="sum  (x_total)"))[1]["data"] == "sum(x_total)"


async def test_a_page_whose_name_was_rebound_to_us_asks_nothing(api: Asker) -> None:
    async with api.session.get("/api/v1/query?query=1", headers={"Host": "evil.example"}) as response:
        assert response.status == 403


async def test_the_control_socket_answers_the_same(house: FakeHouse) -> None:
    with short_folder() as folder:
        control = Control(house, folder / "control.sock")
        await control.start()
        connector = aiohttp.UnixConnector(str(folder / "control.sock"))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
            assert numbers((await Asker(session)("query", query="x_total", post=True))[1]) == ["20", "120"]
        await control.close()
