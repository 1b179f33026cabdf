"""Values as Go shows them: what Prometheus' templates print, letter by letter.

Used by `templates.py`. Pure functions of values that templates know: float, int, bool, str, and label mappings.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<prec>\d*))?(?P<verb>[a-zA-Z%])")
_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024 = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def number(value: float) -> str:
    """A float as `%v` and `%g` print it: the shortest digits, with an exponent from 1e+06 on and below 1e-4."""
    if not math.isfinite(value):
        return _odd(value)
    exact = Decimal(repr(float(value)))
    power = exact.adjusted()
    if not value or -4 <= power < 6:
        return f"{exact:f}".removesuffix(".0")
    digits = "".join(str(digit) for digit in exact.as_tuple().digits).rstrip("0")
    point = "." if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{point}{digits[1:]}e{power:+03d}"


def sprint(*args: Any) -> str:
    """Go's Sprint: values side by side, with a space between two that are no strings."""
    text = ""
    for index, arg in enumerate(args):
        if index and not isinstance(arg, str) and not isinstance(args[index - 1], str):
            text += " "
        text += show(arg)
    return text


def show(value: Any) -> str:
    """Any template value as `{{ . }}` prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    return "<no value>" if value is None else str(value)


def sprintf(template: str, *args: Any) -> str:
    """Go's Sprintf for the verbs that templates use: v s q d f e g t x c and %%."""
    used = 0

    def one(match: re.Match[str]) -> str:
        nonlocal used
        verb = match["verb"]
        if verb == "%":
            return "%"
        if used >= len(args):
            return f"%!{verb}(MISSING)"
        value = args[used]
        used += 1
        return _format(match, verb, value)

    text = _VERB.sub(one, template)
    if used < len(args):
        extra = ", ".join(f"{_type(arg)}={show(arg)}" for arg in args[used:])
        text += f"%!(EXTRA {extra})"
    return text


def _format(match: re.Match[str], verb: str, value: Any) -> str:
    flags, width = match["flags"], match["width"]
    precision = match["prec"]
    numeric = isinstance(value, float | int) and not isinstance(value, bool)
    if verb in "feEgG" and isinstance(value, float):
        if not math.isfinite(value):
            text, flags = ("+" if "+" in flags and value != value else "") + _odd(value), flags.replace("0", "")
        elif verb in "gG" and precision is None:
            text = number(value)
        else:
            text = f"%{'+' if '+' in flags else ''}.{6 if precision is None else int(precision or 0)}{verb}" % value
    elif verb == "d" and isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:+d}" if "+" in flags else str(value)
    elif verb == "x" and isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:x}"
    elif verb == "t" and isinstance(value, bool):
        text = show(value)
    elif verb == "q" and isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    elif verb == "v" or (verb == "s" and isinstance(value, str | Mapping)):
        text = number(value) if isinstance(value, float) else show(value)
        if precision is not None and isinstance(value, str):
            text = text[: int(precision or 0)]
    else:
        return f"%!{verb}({_type(value)}={show(value)})"
    if not width:
        return text
    if "-" in flags:
        return text.ljust(int(width))
    return text.zfill(int(width)) if "0" in flags and numeric else text.rjust(int(width))


def _odd(value: float) -> str:
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    kinds: tuple[tuple[type, str], ...] = ((float, "float64"), (int, "int"), (str, "string"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "map[string]string")


def to_float(value: Any) -> float:
    """What the number functions make of their argument; ValueError if it is no number."""
    if isinstance(value, str):
        return float(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"can't convert {_type(value)} to float")


def four(value: float) -> str:
    """`%.4g`."""
    return _odd(value) if not math.isfinite(value) else f"{value:.4g}"


def humanize(value: Any) -> str:
    """A number with a metric prefix: `1.234k`, `50m`."""
    count = to_float(value)
    if count == 0 or not math.isfinite(count):
        return four(count)
    if abs(count) >= 1:
        return _scaled(count, _LARGE, 1000, lambda left: left < 1000)
    return _scaled(count, _SMALL, 1 / 1000, lambda left: left >= 1)


def humanize1024(value: Any) -> str:
    """A number with a binary prefix: `1.5Gi`."""
    count = to_float(value)
    if abs(count) <= 1 or not math.isfinite(count):
        return four(count)
    return _scaled(count, _LARGE_1024, 1024, lambda left: left < 1024)


def _scaled(value: float, prefixes: tuple[str, ...], step: float, enough: Callable[[float], bool]) -> str:
    prefix = ""
    for candidate in prefixes:
        if enough(abs(value)):
            break
        prefix = candidate
        value = value * 1000 if step < 1 else value / step
    return four(value) + prefix


def humanize_duration(value: Any) -> str:
    """Seconds as `1d 2h 3m 4s`, `30s`, `5ms`."""
    seconds = to_float(value)
    if not math.isfinite(seconds):
        return four(seconds)
    if seconds == 0:
        return "0s"
    if abs(seconds) < 1:
        return _scaled(seconds, _SMALL, 1 / 1000, lambda left: left >= 1) + "s"
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    whole = int(seconds)
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return f"{sign}{four(seconds)}s"


def humanize_percentage(value: Any) -> str:
    """A ratio as a percentage: `95.3%`."""
    return four(to_float(value) * 100) + "%"
