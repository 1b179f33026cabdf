"""Text as Go reads and writes it: quoted strings, floats, Unicode letters by letter.

Pure functions, used by the lexer (literals), by `gofmt.py` (`%q`, `%g`) and by the functions of templates.
"""

import math
import re
from decimal import Decimal

from supervisor.rules.templates.values import as_bytes, as_text

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_WRITTEN = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v"}
_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\'"])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"""
    r"""|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8}))"""
)
_DIGITS, _HEX = r"[0-9](?:_?[0-9])*", r"[0-9a-f](?:_?[0-9a-f])*"
_FLOAT = re.compile(
    rf"[+-]?(?:inf(?:inity)?|nan|0x_?(?:{_HEX}\.?(?:{_HEX})?|\.{_HEX})p[+-]?{_DIGITS}"
    rf"|(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?)",
    re.IGNORECASE | re.ASCII,
)


def unquote(text: str) -> str:
    """The value of a Go literal in double quotes, back quotes or single quotes (one letter); ValueError if it is
    malformed."""
    quote, inner = text[:1], text[1:-1]
    if len(text) < 2 or quote not in "\"'`" or text[-1] != quote:
        raise ValueError("invalid syntax")
    if quote == "`":
        if "`" in inner:
            raise ValueError("invalid syntax")
        return inner.replace("\r", "")
    data = bytearray()
    at = 0
    while at < len(inner):
        letter = inner[at]
        if letter != "\\":
            if letter in (quote, "\n"):
                raise ValueError("invalid syntax")
            data += as_bytes(letter)
            at += 1
            continue
        match = _ESCAPE.match(inner, at)
        if match is None or (match["simple"] in ("'", '"') and match["simple"] != quote):
            raise ValueError("invalid syntax")
        data += _escaped(match)
        at = match.end()
    return as_text(bytes(data))


def _escaped(match: re.Match[str]) -> bytes:
    if match["simple"]:
        return bytes([_SIMPLE[match["simple"]]])
    if match["byte"] or match["octal"]:
        value = int(match["byte"], 16) if match["byte"] else int(match["octal"], 8)
        if value > 255:
            raise ValueError("invalid syntax")
        return bytes([value])
    point = int(match["four"] or match["eight"], 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        raise ValueError("invalid syntax")
    return chr(point).encode()


def quoted(text: str, quote: str = '"', plain: bool = False) -> str:
    """The text as a Go literal; `plain`: in ASCII alone."""
    out = [quote]
    for letter in text:
        point = ord(letter)
        if letter in (quote, "\\"):
            out.append("\\" + letter)
        elif 0xDC80 <= point <= 0xDCFF:
            out.append(f"\\x{point - 0xDC00:02x}")
        elif letter.isprintable() and (point < 128 or not plain):
            out.append(letter)
        elif point in _WRITTEN:
            out.append(_WRITTEN[point])
        elif point < 32 or point == 127:
            out.append(f"\\x{point:02x}")
        else:
            out.append(f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}")
    return "".join(out) + quote


def odd(value: float) -> str:
    """`NaN`, `+Inf`, `-Inf`."""
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def shortest(value: float) -> str:
    """A float as `%v` and `%g` print it: the fewest digits, with an exponent from 1e+06 on and below 1e-04."""
    if not math.isfinite(value):
        return odd(value)
    exact = Decimal(repr(float(value)))
    power = exact.adjusted()
    if not value or -4 <= power < 6:
        return f"{exact:f}".removesuffix(".0")
    digits = "".join(str(digit) for digit in exact.as_tuple().digits).rstrip("0")
    point = "." if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{point}{digits[1:]}e{power:+03d}"


def parse_float(text: str) -> float:
    """Go's `strconv.ParseFloat`; ValueError in Go's words."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    digits = text.replace("_", "")
    try:
        value = float.fromhex(digits) if "x" in digits.lower() else float(digits)
    except OverflowError:
        value = math.inf
    if math.isinf(value) and "n" not in text.lower():
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return value


def upper(text: str) -> str:
    """Letter by letter, as Go does: `ß` stays what it is."""
    return text.upper() if text.isascii() else "".join(_one(letter, letter.upper()) for letter in text)


def lower(text: str) -> str:
    """Letter by letter, as Go does."""
    return text.lower() if text.isascii() else "".join(_one(letter, letter.lower()) for letter in text)


def _one(letter: str, changed: str) -> str:
    return changed if len(changed) == 1 else "i" if letter == "İ" else letter


def hexadecimal(value: float, precision: int | None) -> str:
    """A float that is not negative as `%x` prints it: `0x1.8p+01`."""
    if value == 0:
        zeros = f".{'0' * precision}" if precision else ""
        return f"0x0{zeros}p+00"
    mantissa, power = math.frexp(value)
    whole, power = int(math.ldexp(mantissa, 53)), power - 1  # 1.xxx times two to the power, 52 bits after the point
    if precision is not None and precision < 13:
        drop = 52 - 4 * precision
        half, rest = 1 << (drop - 1), whole & ((1 << drop) - 1)
        kept = whole >> drop
        kept += 1 if rest > half or (rest == half and kept & 1) else 0
        if kept >> (52 - drop + 1):
            kept, power = kept >> 1, power + 1
        digits = f"{kept & ((1 << (52 - drop)) - 1):0{precision}x}" if precision else ""
    else:
        digits = f"{whole & ((1 << 52) - 1):013x}"
        digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")
    return f"0x1{'.' + digits if digits else ''}p{'-' if power < 0 else '+'}{abs(power):02d}"


def binary(value: float) -> str:
    """A float that is not negative as `%b` prints it: `6755399441055744p-52`."""
    if value < 2.2250738585072014e-308:
        return f"{int(math.ldexp(value, 1074))}p-1074"
    mantissa, power = math.frexp(value)
    return f"{int(math.ldexp(mantissa, 53))}p{power - 53:+d}"
