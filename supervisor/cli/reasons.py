"""Why a rule gives what it gives, as a tree on the terminal: used by `resurgam explain`.

In: one rule of the document of /v1/explain. Out: a few lines for each sub-expression, the whole one first: what it
gives, since when, which sample moved it last, and what it will give when, if no sample comes.
"""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime

from supervisor.cli.output import Output
from supervisor.facts import Json
from supervisor.units import show_duration
from supervisor.views import when

_DEEPEST = 16
_BECOMES = {
    "firing": ("fires", "fire"),
    "resolved": ("resolves", "resolve"),
    "pending": ("becomes pending", "become pending"),
    "dropped": ("is over", "are over"),
}
"""what one alert does, and what several do"""


def print_rule(rule: Json, output: Output) -> None:
    """One rule."""
    now = _seconds(rule["at"]) if rule.get("at") else 0.0
    output.line(_head(rule))
    parts = rule["parts"]
    error = rule.get("error") if not any(part["error"] == rule["error"] for part in parts) else ""
    for said in (error, rule.get("waits"), *rule.get("notes", [])):
        if said:
            output.line(f"    {said}", "yellow")
    coming = _coming(rule, now)
    if coming:
        output.line(f"    {coming}")
    above: list[Json] = []
    for index, part in enumerate(parts):
        above = [*above[: part["depth"]], part]
        parent = above[-2] if len(above) > 1 else None
        _part(part, parent, rule, now, "fails, as a part of it does" if _fails_below(parts, index) else "", output)
    if rule.get("parts_left_out"):
        output.line(f"    … and {rule['parts_left_out']} more parts")


def _fails_below(parts: Sequence[Json], index: int) -> bool:
    """Whether a part fails because one of its own parts does."""
    part = parts[index]
    if not part["error"]:
        return False
    inner = itertools.takewhile(lambda one: one["depth"] > part["depth"], parts[index + 1 :])
    return any(one["error"] == part["error"] for one in inner)


def _head(rule: Json) -> str:
    words = [f"  rule {rule['rule']}"]
    for key, word in (("for", "for"), ("keep_firing_for", "kept firing for")):
        if rule.get(key):
            words.append(f"{word} {show_duration(rule[key])}")
    return ", ".join(words)


def _coming(rule: Json, now: float) -> str:
    """What becomes of its alerts if no sample comes, as far as that is known."""
    several = rule.get("alerts_count", 0) > 1 or any(change["count"] > 1 for change in rule.get("ahead", ()))
    told = []
    for change in rule.get("ahead", ()):
        about = {name: text for name, text in change["labels"].items() if name not in ("alertname", "severity")}
        who = _labels(about) if several else "it"
        if change["count"] > 1:
            who = f"{change['count']} alerts"
        told.append(f"{who} {_BECOMES[change['state']][change['count'] > 1]} {when(_seconds(change['at']), now)}")
    return "if no sample comes, " + ", then ".join(told) if told else ""


def _part(part: Json, parent: Json | None, rule: Json, now: float, error: str, output: Output) -> None:
    """A sub-expression. `error`: what is said instead of its own one."""
    indent = "    " + "  " * min(part["depth"], _DEEPEST)
    empty = "" if part["count"] or part["error"] else "  gives nothing"
    output.line(f"{indent}{part['expr']}{empty}")
    if part["error"]:
        output.line(f"{indent}  {error or part['error']}", "red")
    for row in part["rows"]:
        labels = _labels(row["labels"])
        output.line(f"{indent}  {show_value(row['value'])}" + (f"  {labels}" if labels != "{}" else ""))
    if part["count"] > len(part["rows"]):
        output.line(f"{indent}  … and {part['count'] - len(part['rows'])} more")
    coming = _next(part, rule, now)
    if parent is not None and coming == _next(parent, rule, now):
        coming = ""  # it was said already
    said = [_since(part, now), _moved(part, now), coming]
    if part["recorded_by"] and part["depth"]:
        said.append("recorded by " + ", ".join(part["recorded_by"]))
    text = "; ".join(each for each in said if each)
    if text:
        output.line(f"{indent}  {text}", "dim")


def _since(part: Json, now: float) -> str:
    if part["since"] is None:
        return "moves with time" if part["flows"] else ""
    since = _seconds(part["since"])
    if not part["at_least"]:
        return f"since {when(since, now)}"
    return f"for at least {show_duration(round(now - since))}" if now - since >= 1 else ""


def _moved(part: Json, now: float) -> str:
    """Which sample it was; its time is left out where that was said just before."""
    moved = part["moved"]
    if moved is None:
        return ""
    at = _seconds(moved["at"])
    said = "" if moved["at"] == part["since"] and not part["at_least"] else f" {when(at, now)}"
    if moved["by"] == "time":
        return f"moved{said} by time alone"
    series = _series(moved["series"])
    if moved["by"] == "age":
        old = f"{show_duration(round(at - _seconds(moved['stamp'])))} old"
        return (
            f"moved{said} as {series} = {show_value(moved['value'])} was {old}"
            if not moved["ended"]
            else f"moved{said}"
        )
    if moved["ended"]:
        return f"moved{said} as {series} ended"
    of = "" if moved["stamp"] == moved["at"] else f" (of {when(_seconds(moved['stamp']), now)})"
    return f"moved{said} by {series} = {show_value(moved['value'])}{of}"


def _next(part: Json, rule: Json, now: float) -> str:
    """What it gives next, if no sample comes."""
    then = part["then"]
    if part["since"] is None and part["flows"]:
        return ""
    if then is not None:
        return f"next {when(_seconds(then['at']), now)}: {_gives(then)}"
    if part["only_samples"]:
        return "next: only with a sample"
    if rule["ahead_until"] is None:
        return "next: stays so without a sample"
    until = _seconds(rule["ahead_until"])
    return f"next: stays so until {when(until, now)} at least" if until > now else ""


def _gives(turn: Json) -> str:
    if turn["error"]:
        return f"fails: {turn['error']}"
    if not turn["count"]:
        return "gives nothing"
    if turn["count"] == 1:
        return f"gives {show_value(turn['rows'][0]['value'])}"
    return f"gives {turn['count']} series"


# ---------------------------------------------------------------- words


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def show_value(value: float | str) -> str:
    """A value for people: six digits are enough, but for whole numbers and for what is as large as a time."""
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.3f}"


def _labels(labels: Json) -> str:
    return "{" + ", ".join(f"{name}={text}" for name, text in labels.items() if name != "__name__") + "}"


def _series(labels: Json) -> str:
    """`x{a="b"}`."""
    pairs = [f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in labels.items() if key != "__name__"]
    name = str(labels.get("__name__", ""))
    return name + (f"{{{', '.join(pairs)}}}" if pairs or not name else "")
