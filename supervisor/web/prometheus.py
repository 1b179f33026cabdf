"""Prometheus' HTTP API, read only: what a dashboard such as Grafana asks of a Prometheus, asked of us.

In: requests at both doors under /api/v1/, as URL parameters or as a form. Out: Prometheus' JSON, with its kinds of
errors and HTTP codes. Questions about samples go to `core/asked.py`, never into a turn; the rest is shown from the
snapshot and the rules as loaded.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from supervisor.core.asked import LIMIT, TooLate, TooManyAsked
from supervisor.facts import Json
from supervisor.rules.answers import Question
from supervisor.rules.promql.evaluate import EvaluationError
from supervisor.rules.promql.nodes import Selector
from supervisor.rules.promql.parse import BadExpression, compile_expr
from supervisor.rules.promql.show import show
from supervisor.units import Matcher
from supervisor.views import prometheus as view
from supervisor.web.house import House, answer
from supervisor.web.metrics import family
from supervisor.web.when import instant, span

log = structlog.get_logger()

SPOKEN = "3.5.0"
"""the Prometheus whose API and language this is: dashboards ask, and use what that version has"""
EARLIEST, LATEST = -(1 << 62), 1 << 62


class BadParameter(ValueError):
    """What was asked cannot be read; the text is for the one who asked."""


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters of one request: those of the form before those of the URL."""

    given: Mapping[str, list[str]]

    @classmethod
    async def of(cls, request: web.Request) -> "Params":
        """Read them. BadParameter for a form that cannot be read."""
        given: dict[str, list[str]] = {}
        try:
            form = await request.post() if request.method == "POST" else {}
        except (
            ValueError,
            LookupError,
            HttpProcessingError,
        ) as err:  # bytes that are no text, an unknown charset, a broken multipart
            raise BadParameter(f"error parsing form values: {err}") from None
        for name, value in (*form.items(), *request.query.items()):
            if isinstance(value, str):
                given.setdefault(name, []).append(value)
        return cls(given)

    def one(self, name: str) -> str:
        """The first of that name, '' if there is none."""
        return self.given.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """All of that name."""
        return self.given.get(name, [])

    def read(self, name: str, how: "Callable[[str], Any]", default: Any = None) -> Any:
        """The parameter, read by `how`; the default where it is missing (None: it must be there)."""
        text = self.one(name)
        if not text and default is not None:
            return default
        try:
            return how(text)
        except BadExpression as err:
            raise BadParameter(f'invalid parameter "{name}": {view.wrong_expression(err)}') from None
        except ValueError as err:
            raise BadParameter(f'invalid parameter "{name}": {err}') from None


def _limit(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(f'cannot parse "{text}" to a valid limit')
    if int(text) < 0:
        raise ValueError("limit must be non-negative")
    return int(text)


def _matchers(text: str) -> tuple[Matcher, ...]:
    node = compile_expr(text).node
    if not isinstance(node, Selector) or node.offset or node.at is not None:
        raise ValueError(f"{text!r} is not a series selector")
    return node.matchers


Handler = Callable[[web.Request, Params], Awaitable[Json | str]]


class Api:
    """The API of one house."""

    def __init__(self, house: House) -> None:
        self._house = house

    def add_to(self, app: web.Application) -> None:
        """Put every path of it into an application."""
        both: tuple[tuple[str, Handler], ...] = (
            ("query", self._query),
            ("query_range", self._query_range),
            ("query_exemplars", self._exemplars),
            ("format_query", self._format),
            ("series", self._series),
            ("labels", self._labels),
        )
        read: tuple[tuple[str, Handler], ...] = (
            ("label/{name}/values", self._values),
            ("rules", self._rules),
            ("alerts", self._alerts),
            ("metadata", self._metadata),
            ("status/buildinfo", self._build),
        )
        for path, handler in (*both, *read):
            app.router.add_get(f"/api/v1/{path}", _answering(handler))
        for path, handler in both:
            app.router.add_post(f"/api/v1/{path}", _answering(handler))

    # ------------------------------------------------------------ questions

    async def _query(self, _request: web.Request, params: Params) -> Json | str:
        limit = params.read("limit", _limit, 0)
        at = params.read("time", instant, self._house.questions.now())
        patience = params.read("timeout", span, LIMIT)
        question = params.read("query", lambda text: Question(compile_expr(text), at))
        return await self._ask(question, limit, patience, params)

    async def _query_range(self, _request: web.Request, params: Params) -> Json | str:
        limit = params.read("limit", _limit, 0)
        start, end = params.read("start", instant), params.read("end", instant)
        step = round(params.read("step", span) * 1000) or -1
        patience = params.read("timeout", span, LIMIT)
        expr = params.read("query", compile_expr)
        try:
            question = Question(expr, start, end, step)
        except ValueError as err:
            raise BadParameter(str(err)) from None
        return await self._ask(question, limit, patience, params)

    async def _ask(self, question: Question, limit: int, patience: float, params: Params) -> str:
        delayed = params.one("delayed_names") in ("1", "true")
        return await self._house.questions.answer(
            question, lambda found: view.answer_text(found, limit), patience, delayed
        )

    async def _exemplars(self, _request: web.Request, _params: Params) -> Json | str:
        """There are none here, which is no error."""
        return view.success([])

    async def _format(self, _request: web.Request, params: Params) -> Json | str:
        return view.success(params.read("query", lambda text: show(compile_expr(text).node)))

    # ------------------------------------------------------------ series and their labels

    async def _series(self, _request: web.Request, params: Params) -> Json | str:
        if not params.all("match[]"):
            raise BadParameter("no match[] parameter provided")
        limit = params.read("limit", _limit, 0)
        return view.listing([dict(labels) for labels in await self._found(params)], limit)

    async def _labels(self, _request: web.Request, params: Params) -> Json | str:
        limit = params.read("limit", _limit, 0)
        names = {name for labels in await self._found(params) for name, _value in labels}
        return view.listing(sorted(names), limit)

    async def _values(self, request: web.Request, params: Params) -> Json | str:
        name = _label_name(request.match_info["name"])
        limit = params.read("limit", _limit, 0)
        values = {value for labels in await self._found(params) for label, value in labels if label == name}
        return view.listing(sorted(values), limit)

    async def _found(self, params: Params) -> list[Any]:
        start, end = params.read("start", instant, EARLIEST), params.read("end", instant, LATEST)
        wanted = []
        for text in params.all("match[]"):
            try:
                wanted.append(_matchers(text))
            except BadExpression as err:
                raise BadParameter(f'invalid parameter "match[]": {view.wrong_expression(err)}') from None
            except ValueError as err:
                raise BadParameter(f'invalid parameter "match[]": {err}') from None
        return await self._house.questions.series(wanted, start, end)

    async def _metadata(self, _request: web.Request, params: Params) -> Json | str:
        limit, metric = params.read("limit", _limit, 0), params.one("metric")
        found: Json = {}
        for labels in await self._house.questions.series([], EARLIEST, LATEST):
            name = dict(labels).get("__name__", "")
            kind, text = family(name)
            if name and metric in ("", name) and (not limit or len(found) < limit):
                found[name] = [{"type": kind, "help": text, "unit": ""}]
        return view.success(found)

    # ------------------------------------------------------------ rules and ourselves

    async def _rules(self, _request: web.Request, params: Params) -> Json | str:
        kind = params.one("type").lower()
        if kind not in ("", "alert", "record"):
            raise BadParameter(f'invalid parameter "type": not supported value "{kind}"')
        wanted = view.RuleFilter(
            kind,
            params.all("rule_name[]"),
            params.all("rule_group[]"),
            params.all("file[]"),
            params.one("exclude_alerts").lower() not in ("1", "t", "true"),
        )
        return view.rules_document(self._house.rule_states(), wanted)

    async def _alerts(self, _request: web.Request, _params: Params) -> Json | str:
        return view.alerts_document(self._house.snapshot.alerts)

    async def _build(self, _request: web.Request, _params: Params) -> Json | str:
        ours = f"resurgam-{self._house.snapshot.version}"
        none = dict.fromkeys(("branch", "buildUser", "buildDate", "goVersion"), "")
        return view.success({"version": SPOKEN, "revision": ours, **none})


def _label_name(text: str) -> str:
    """A label's name from a path. `U__` starts one that is written with only letters, digits and `_`."""
    if not text.startswith("U__"):
        return text
    try:
        return re.sub(r"__|_([0-9a-fA-F]{1,6})_", lambda one: chr(int(one[1], 16)) if one[1] else "_", text[3:])
    except ValueError:
        raise BadParameter(f'invalid label name: "{text}"') from None


def _answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler whose errors are answered in Prometheus' form."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            found = await handler(request, await Params.of(request))
        except BadParameter as err:
            return _failed(view.BAD_DATA, str(err))
        except TooManyAsked as err:
            return _failed(view.UNAVAILABLE, str(err))
        except TooLate as err:
            return _failed(view.TIMEOUT, str(err))
        except EvaluationError as err:
            return _failed(view.EXECUTION, str(err))
        except web.HTTPException as err:
            kind = view.BAD_DATA if err.status < 500 else view.INTERNAL
            return answer(view.failure(kind, err.reason), err.status)
        except Exception as err:  # the edge of one request: reported, and the next one is answered
            log.exception("an asked question broke", path=request.path)
            return _failed(view.INTERNAL, f"{type(err).__name__}: {err}")
        if isinstance(found, str):
            return web.Response(text=found, content_type="application/json", headers={"Cache-Control": "no-store"})
        return answer(found)

    return handle


def _failed(kind: str, text: str) -> web.Response:
    return answer(view.failure(kind, text), view.STATUS[kind])
