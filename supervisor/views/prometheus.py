"""Answers in Prometheus' own JSON, so that whatever can read a Prometheus can read us.

In: answers to asked questions, the rules as loaded, the alerts of a snapshot. Out: plain JSON documents, for the HTTP
API and for `resurgam query -o json`. Values are texts and times are numbers of seconds, as Prometheus writes them.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from supervisor.facts import Alert, Json, Labels
from supervisor.rules.answers import Answer
from supervisor.rules.engine import RuleState
from supervisor.rules.model import AlertRule, Rule
from supervisor.rules.promql.parse import BadExpression
from supervisor.rules.promql.show import show
from supervisor.units import iso

BAD_DATA, EXECUTION, TIMEOUT = "bad_data", "execution", "timeout"
INTERNAL, UNAVAILABLE, NOT_FOUND = "internal", "unavailable", "not_found"
STATUS = {BAD_DATA: 400, EXECUTION: 422, TIMEOUT: 503, UNAVAILABLE: 503, INTERNAL: 500, NOT_FOUND: 404}
"""kind of error -> HTTP status"""
TRUNCATED = "results truncated due to limit"


def success(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Json:
    """A good answer; the notes are there only where there are any."""
    found: Json = {"status": "success", "data": data}
    if warnings:
        found["warnings"] = list(warnings)
    if infos:
        found["infos"] = list(infos)
    return found


def failure(kind: str, text: str) -> Json:
    """An error, in Prometheus' form."""
    return {"status": "error", "errorType": kind, "error": text}


def wrong_expression(err: BadExpression) -> str:
    """What is wrong with an expression, as Prometheus words it: the place, then the reason."""
    return "; ".join(f"{one.line}:{one.column}: parse error: {one.text}" for one in err.mistakes)


def answer_document(answer: Answer, limit: int = 0) -> Json:
    """An answer to a question; at most `limit` series of it where that is not 0."""
    result: Any
    if answer.kind == "string":
        result = [seconds(answer.at), answer.text]
    else:
        shown = [(dict(labels), _points(times, values)) for labels, times, values in answer.series[: limit or None]]
        if answer.kind == "scalar":
            result = [shown[0][1][0][0], scalar_text(answer.series[0][2][0])]
        elif answer.kind == "vector":
            result = [{"metric": metric, "value": points[0]} for metric, points in shown]
        else:
            result = [{"metric": metric, "values": points} for metric, points in shown]
    return success({"resultType": answer.kind, "result": result}, _warnings(answer, limit), answer.infos)


def answer_text(answer: Answer, limit: int = 0) -> str:
    """The same as JSON text. Written series by series, since nothing else can run while one call writes it all, and
    without an object for each sample."""
    if answer.kind not in ("vector", "matrix"):
        return _dumps(answer_document(answer, limit))
    notes = success(None, _warnings(answer, limit), answer.infos)
    del notes["status"], notes["data"]
    elements = ",".join([_element(answer.kind, *one) for one in answer.series[: limit or None]])
    head = f'{{"status":"success","data":{{"resultType":"{answer.kind}","result":[{elements}]}}'
    return head + ("," + _dumps(notes)[1:] if notes else "}")


def _element(kind: str, labels: Labels, times: Sequence[int], values: Sequence[float]) -> str:
    pairs = zip(times, values, strict=True)
    points = ",".join([f'[{seconds(ms)},"{value_text(value)}"]' for ms, value in pairs])
    head = f'{{"metric":{_dumps(dict(labels))},'
    return f'{head}"value":{points}}}' if kind == "vector" else f'{head}"values":[{points}]}}'


def _points(times: Sequence[int], values: Sequence[float]) -> list[list[Any]]:
    return [[seconds(ms), value_text(value)] for ms, value in zip(times, values, strict=True)]


def _warnings(answer: Answer, limit: int) -> tuple[str, ...]:
    cut = limit and answer.kind in ("vector", "matrix") and len(answer.series) > limit
    return (*answer.warnings, TRUNCATED) if cut else answer.warnings


def listing(found: Sequence[Any], limit: int = 0) -> Json:
    """A list of names or label sets; at most `limit` of them where that is not 0."""
    if limit and len(found) > limit:
        return success(list(found[:limit]), [TRUNCATED])
    return success(list(found))


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def seconds(ms: int) -> float | int:
    """An instant as JSON shows it: whole seconds without a point."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def value_text(value: float) -> str:
    """A value as Prometheus writes it: the shortest text that reads back, without an exponent from 1e-6 to 1e21."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    size = abs(value)
    if size and (size < 1e-6 or size >= 1e21):
        return scientific(value)
    text = repr(value)
    if "e" in text:
        return _plain(text)
    return text.removesuffix(".0")


def scalar_text(value: float) -> str:
    """A value without a label set: as Prometheus writes it, never with an exponent."""
    text = value_text(value)
    return _plain(repr(value)) if "e" in text else text


def scientific(value: float) -> str:
    """`1.5e+03`: how Prometheus writes the value of an alert."""
    if value != value or math.isinf(value):
        return value_text(value)
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    digits, exponent = _digits(repr(abs(value)))
    if not digits:
        return f"{sign}0e+00"
    mantissa = digits[0] + ("." + digits[1:] if digits[1:] else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _digits(text: str) -> tuple[str, int]:
    """The significant digits of a positive number's text, and the power of ten of the first one."""
    mantissa, _, power = text.partition("e")
    whole, _, part = mantissa.partition(".")
    digits = whole + part
    exponent = len(whole) - 1 + int(power or 0)
    bare = digits.lstrip("0")
    return bare.rstrip("0"), exponent - (len(digits) - len(bare))


def _plain(text: str) -> str:
    """A number's text without its exponent."""
    sign = "-" if text.startswith("-") else ""
    digits, exponent = _digits(text.removeprefix("-"))
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return sign + digits.ljust(exponent + 1, "0")


# ---------------------------------------------------------------- rules and alerts


def alert_document(alert: Alert) -> Json:
    """One pending or firing alert."""
    found: Json = {
        "labels": dict(sorted(alert.labels.items())),
        "annotations": dict(sorted(alert.annotations.items())),
        "state": alert.state,
        "activeAt": iso(alert.active_at),
        "value": scientific(alert.value),
    }
    if alert.keep_since:
        found["keepFiringSince"] = iso(alert.keep_since)
    return found


def alerts_document(alerts: Sequence[Alert]) -> Json:
    """Every pending and firing alert."""
    return success({"alerts": [alert_document(alert) for alert in alerts]})


@dataclass(frozen=True, slots=True)
class RuleFilter:
    """Which rules a client wants: by kind (alert | record), name, group and file; empty ones leave nothing out."""

    kind: str = ""
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
    files: Sequence[str] = ()
    alerts: bool = True
    """whether each rule's alerts are told as well"""

    def wants(self, file: str, rule: Rule) -> bool:
        """Whether this rule is asked for."""
        kind = "alert" if isinstance(rule, AlertRule) else "record"
        lists = ((self.names, rule.name), (self.groups, rule.group), (self.files, file))
        return self.kind in ("", kind) and all(not asked or have in asked for asked, have in lists)


def rules_document(states: Sequence[tuple[str, RuleState]], wanted: RuleFilter | None = None) -> Json:
    """Every group of every good file, with how its rules are; `states` are (file, state) in their order.

    Rules are looked at when something arrives, not at every interval; how long that took is not measured."""
    wanted = wanted or RuleFilter()
    groups: dict[tuple[str, str], list[RuleState]] = {}
    for file, state in states:
        if wanted.wants(file, state.rule):
            groups.setdefault((file, state.rule.group), []).append(state)
    return success({"groups": [_group(*key, members, wanted) for key, members in groups.items()]})


def _group(file: str, name: str, members: Sequence[RuleState], wanted: RuleFilter) -> Json:
    rules = [_rule(state, wanted.alerts) for state in members]
    first = members[0].rule
    found = {"name": name, "file": file, "rules": rules, "interval": _number(first.interval), "limit": first.limit}
    return found | {"evaluationTime": 0, "lastEvaluation": iso(max(state.looked_at for state in members))}


def _rule(state: RuleState, alerts: bool) -> Json:
    rule = state.rule
    found: Json = {"name": rule.name, "query": show(rule.expr.node), "labels": dict(rule.labels)}
    health: Json = {"health": "err" if state.error else "ok" if state.looked_at else "unknown"}
    if state.error:
        health["lastError"] = state.error
    health |= {"evaluationTime": 0, "lastEvaluation": iso(state.looked_at)}
    if not isinstance(rule, AlertRule):
        if not rule.labels:
            del found["labels"]
        return found | health | {"type": "recording"}
    states = [alert.state for alert in state.alerts]
    alerting: Json = {
        "state": "firing" if "firing" in states else "pending" if states else "inactive",
        **found,
        "duration": _number(rule.hold),
        "keepFiringFor": _number(rule.keep),
        "annotations": {name: template.text for name, template in rule.annotation_templates},
        "alerts": [alert_document(alert) for alert in state.alerts] if alerts else None,
        **health,
        "type": "alerting",
    }
    return alerting


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
