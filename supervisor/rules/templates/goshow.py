"""One value as Go's `fmt` shows it, by any verb with any flags. Used by `gofmt.py`, which reads the formats.

Pure functions of values (`values.py`). What would be longer than LONGEST characters is a Failure, so that a template
cannot fill the memory.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from supervisor.rules.templates import gotext
from supervisor.rules.templates.gotime import Span, Time
from supervisor.rules.templates.values import Failure, Named, Results, Root, Series, Struct, Uint8, as_bytes, type_name

LONGEST = 16_384
"""Characters that one text may have while a template runs."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One directive: its flags, width and precision."""

    sharp: bool = False
    zero: bool = False
    plus: bool = False
    minus: bool = False
    space: bool = False
    width: int | None = None
    precision: int | None = None
    go: bool = False
    """`%#v`: as Go code"""
    names: bool = False
    """`%+v`: with the names of fields"""

    def pad(self, text: str) -> str:
        """The text, filled up to the width."""
        if self.width is None or self.width <= len(text):
            return text
        if self.width > LONGEST:
            raise Failure(f"a width of {self.width} is more than {LONGEST} characters")
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")


PLAIN = Spec()


def bounded(text: str) -> str:
    """The text; Failure if it is longer than LONGEST."""
    if len(text) > LONGEST:
        raise Failure(f"the text is longer than {LONGEST} characters")
    return text


def typed(value: Any, spec: Spec = PLAIN) -> str:
    """`int=3`: a value where its verb does not fit."""
    return "<nil>" if value is None else f"{type_name(value)}={shown(value, 'v', spec, plain=True)}"


def _bad(value: Any, verb: str, spec: Spec) -> str:
    return f"%!{verb}({typed(value, spec)})"


def shown(value: Any, verb: str, spec: Spec, *, depth: int = 0, plain: bool = False) -> str:
    """One value by one verb. `plain`: without what its type says about printing (inside an error)."""
    if value is None:
        return spec.pad("<nil>") if verb in "vT" else "<nil>" if depth else _bad(value, verb, spec)
    if verb == "T":
        return _text(type_name(value), "s", spec)
    if verb == "p" or (verb == "w" and not depth):
        return _bad(value, verb, spec)
    if isinstance(value, bool):
        return spec.pad("true" if value else "false") if verb in "tv" else _bad(value, verb, spec)
    if isinstance(value, float):
        return _float(value, verb, spec)
    if isinstance(value, Named | Time | Span) and not plain and not spec.go and verb in "vsxXq":
        return _text(str(value), verb, spec)
    if isinstance(value, int):
        bare = spec.go and isinstance(value, Uint8) and verb == "v"  # `%#v` of a byte
        return _integer(value, "x", replace(spec, sharp=True)) if bare else _integer(value, verb, spec)
    if isinstance(value, str):
        return _text(value, verb, spec)
    if isinstance(value, Span):
        return _integer(value.nanoseconds, verb, spec)
    return _compound(value, verb, spec, depth)


def _compound(value: Any, verb: str, spec: Spec, depth: int) -> str:
    """A map, the results of a query or a structure: the verb is for what is in it."""
    if isinstance(value, Mapping):
        pairs = (
            f"{shown(key, verb, spec, depth=depth + 1)}:{shown(value[key], verb, spec, depth=depth + 1)}"
            for key in sorted(value, key=as_bytes)
        )
        return f"{type_name(value)}{{{_listed(pairs, spec)}}}" if spec.go else f"map[{_listed(pairs, spec)}]"
    if isinstance(value, Struct):
        return str(value)
    if isinstance(value, Results):
        # Go prints addresses here, which say nothing; what lies there does
        items = _listed((structure(item, verb, spec) for item in value), spec)
        return f"{type_name(value)}{{{items}}}" if spec.go else f"[{items}]"
    if isinstance(value, Series | Root):
        return ("&" if isinstance(value, Series) else "") + structure(value, verb, spec)
    return str(value) if verb in "vs" else _bad(value, verb, spec)


def _listed(items: Iterable[str], spec: Spec) -> str:
    """The items side by side, as long as a text may be."""
    out: list[str] = []
    size = 0
    for item in items:
        size += len(item)
        if size > LONGEST:
            raise Failure(f"the text is longer than {LONGEST} characters")
        out.append(item)
    return (", " if spec.go else " ").join(out)


def structure(value: Series | Root, verb: str, spec: Spec) -> str:
    """A structure, without the `&` of a pointer to it."""
    names = ("Labels", "Value") if isinstance(value, Series) else ("Labels", "ExternalLabels", "ExternalURL", "Value")
    named = spec.go or spec.names
    fields = [(f"{name}:" if named else "") + shown(getattr(value, name), verb, spec, depth=1) for name in names]
    kind = type_name(value).removeprefix("*") if spec.go else ""
    return kind + "{" + (", " if spec.go else " ").join(fields) + "}"


def _text(text: str, verb: str, spec: Spec) -> str:
    """A string by `v s q x X`."""
    if verb in "xX":
        return _hex_text(text, verb, spec)
    cut = text if spec.precision is None else text[: spec.precision]
    if verb == "v" and spec.go:
        return spec.pad(gotext.quoted(cut))
    if verb in "vs":
        return spec.pad(cut)
    if verb == "q":
        if spec.sharp and "`" not in cut and all(letter == "\t" or (letter.isprintable()) for letter in cut):
            return spec.pad(f"`{cut}`")
        return spec.pad(gotext.quoted(cut, plain=spec.plus))
    return _bad(text, verb, spec)


def _hex_text(text: str, verb: str, spec: Spec) -> str:
    data = as_bytes(text)
    data = data if spec.precision is None else data[: spec.precision]
    lead = f"0{verb}" if spec.sharp else ""
    digits = [f"{byte:02{verb}}" for byte in data]
    if not digits:
        return spec.pad("")
    return spec.pad(" ".join(lead + pair for pair in digits) if spec.space else lead + "".join(digits))


_BASES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}


def _integer(value: int, verb: str, spec: Spec) -> str:
    """A whole number by `v d b o O x X c q U`."""
    if verb in ("c", "q"):
        letter = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\N{REPLACEMENT CHARACTER}"
        return spec.pad(letter if verb == "c" else gotext.quoted(letter, "'", plain=spec.plus))
    if verb == "U":
        name = f"U+{value & 0xFFFFFFFFFFFFFFFF:0{max(4, spec.precision or 0)}X}"
        known = spec.sharp and 0 <= value <= 0x10FFFF and chr(value).isprintable()
        return replace(spec, zero=False).pad(f"{name} '{chr(value)}'" if known else name)
    if verb not in _BASES:
        return _bad(value, verb, spec)
    if spec.precision == 0 and value == 0:
        return replace(spec, zero=False).pad("")
    digits = format(abs(int(value)), _BASES[verb])
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    least = 0
    if spec.precision is not None:
        least = spec.precision
    elif spec.zero and spec.width and not spec.minus:
        least = spec.width - len(sign)
    if least > LONGEST:
        raise Failure(f"{least} digits are more than {LONGEST} characters")
    digits = digits.rjust(least, "0")
    if spec.sharp and verb != "v":
        lead = {"b": "0b", "o": "" if digits.startswith("0") else "0", "x": "0x", "X": "0X"}.get(_BASES[verb], "")
        digits = lead + digits
    if verb == "O":
        digits = "0o" + digits
    return replace(spec, zero=False).pad(sign + digits)


def _float(value: float, verb: str, spec: Spec) -> str:
    """A float by `v g G f F e E b x X`."""
    if verb not in "vgGfFeEbxX":
        return _bad(value, verb, spec)
    if spec.precision is not None and spec.precision > LONGEST:
        raise Failure(f"a precision of {spec.precision} is more than {LONGEST} characters")
    if not math.isfinite(value):
        text = gotext.odd(value)
        if text == "NaN":
            text = "+NaN" if spec.plus else " NaN" if spec.space else text
        elif text[0] == "+" and not spec.plus:
            text = " Inf" if spec.space else "+Inf"
        return replace(spec, zero=False).pad(text)
    digits = _digits(abs(value), verb, spec.precision)
    if spec.sharp and verb != "b":
        digits = _with_point(digits, verb, spec.precision)
    negative = math.copysign(1.0, value) < 0
    sign = "-" if negative else "+" if spec.plus else " " if spec.space else ""
    if sign and spec.zero and not spec.minus and spec.width is not None and spec.width > len(sign + digits):
        return sign + replace(spec, width=spec.width - 1).pad(digits)
    return spec.pad(sign + digits)


def _digits(value: float, verb: str, precision: int | None) -> str:
    """What a float that is not negative looks like, without a sign."""
    if verb in "xX":
        text = gotext.hexadecimal(value, precision)
        return text.upper() if verb == "X" else text
    if verb == "b":
        return gotext.binary(value)
    if verb in "vgG" and precision is None:
        text = gotext.shortest(value)
        return text.upper() if verb == "G" else text
    kind = {"v": "g", "F": "f"}.get(verb, verb)
    return f"{value:.{6 if precision is None else precision}{kind}}"


def _with_point(digits: str, verb: str, precision: int | None) -> str:
    """`#`: always a decimal point, and for `g` all the zeros up to the precision."""
    mark = "p" if verb in "xX" else "e"
    cut = digits.lower().find(mark)
    body, tail = (digits, "") if cut < 0 else (digits[:cut], digits[cut:])
    wanted = (6 if precision is None else precision) if verb in "vgGx" else 0
    seen = False
    for letter in body:
        if letter == ".":
            continue
        seen = seen or letter != "0"
        wanted -= 1 if seen else 0
    if "." not in body:
        wanted -= 1 if body == "0" else 0
        body += "."
    return body + "0" * max(0, wanted) + tail
