"""Where each character of a YAML scalar's value stands in its file.

Comes from: the raw text of one scalar, its style and its value, as `yaml.py` kept them. Goes to: exact places of
mistakes inside an expression. A value's characters are not where a plain count would find them: blocks are indented,
quoted texts have escapes, long ones are folded. So the scalar is read a second time here, noting where every character
came from, and the result counts only if it is the very value that the parser gave.
"""

from collections.abc import Iterator

_BREAKS = "\n\r\x85\u2028\u2029"
_BLANKS = " \t"
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}

_Pairs = list[tuple[str, int]]
"""characters of the value, each with its index in the raw text"""


def sources(raw: str, style: str, value: str) -> list[int] | None:
    """For every character of `value` its index in `raw`, the scalar as it stands in the file (quotes and block header
    included), and one more for the end. `style` is '' (plain), `'`, `"`, `|` or `>`. None where it cannot be told."""
    for pairs in _readings(raw, style):
        if "".join(char for char, _at in pairs) == value:
            return [*(at for _char, at in pairs), pairs[-1][1] + 1 if pairs else 0]
    return None


def _readings(raw: str, style: str) -> Iterator[_Pairs]:
    """Every way to read the scalar that is worth trying."""
    if style in ("|", ">"):
        header = _line_end(raw, 0)
        lines = _lines(raw, header)
        first = next((text for text, _at in lines if text.strip(" ")), "")
        natural = len(first) - len(first.lstrip(" "))
        for indent in (natural, *(other for other in range(natural + 1) if other != natural)):
            yield _block(lines, indent, style == ">", raw[1:header].partition("#")[0])
    elif style in ("'", '"'):
        yield _flow(raw[:-1], 1, style)
    else:
        yield _flow(raw, 0, "")


# ------------------------------------------------------------ plain and quoted


def _flow(raw: str, at: int, quote: str) -> _Pairs:
    """A plain or quoted scalar: line breaks are folded, quotes and escapes undone."""
    out: _Pairs = []
    while at < len(raw):
        char = raw[at]
        if char in _BLANKS or char in _BREAKS:
            at = _gap(raw, at, out)
        elif quote == "'" and char == "'":
            out.append(("'", at))
            at += 2
        elif quote == '"' and char == "\\":
            at = _escape(raw, at, out)
        else:
            out.append((char, at))
            at += 1
    return out


def _gap(raw: str, at: int, out: _Pairs) -> int:
    """Blanks and line breaks: blanks within a line stay, one break becomes a space, more become one break less."""
    start, breaks = at, []
    while at < len(raw) and (raw[at] in _BLANKS or raw[at] in _BREAKS):
        if raw[at] in _BREAKS:
            breaks.append(at)
            at = _after_break(raw, at)
        else:
            at += 1
    if not breaks:
        out += [(raw[index], index) for index in range(start, at)]
    elif len(breaks) == 1:
        out.append((" ", breaks[0]))
    else:
        out += [("\n", index) for index in breaks[1:]]
    return at


def _escape(raw: str, at: int, out: _Pairs) -> int:
    """One escape of a double-quoted scalar; an escaped line break joins two lines."""
    sign = raw[at + 1 : at + 2]
    if sign and sign in _BREAKS:
        inner: _Pairs = []
        end = _gap(raw, at + 1, inner)
        out += [pair for pair in inner if pair[0] == "\n"]
        return end
    if sign in _HEX:
        digits = raw[at + 2 : at + 2 + _HEX[sign]]
        try:
            out.append((chr(int(digits, 16)), at))
        except (ValueError, OverflowError):
            out.append(("\N{REPLACEMENT CHARACTER}", at))
        return at + 2 + _HEX[sign]
    out.append((_ESCAPES.get(sign, sign), at))
    return at + 2


# ------------------------------------------------------------ blocks


def _lines(raw: str, at: int) -> list[tuple[str, int]]:
    """The lines after the header of a block, each with the index of its first character."""
    found = []
    at = _after_break(raw, at)
    while at < len(raw):
        end = _line_end(raw, at)
        found.append((raw[at:end], at))
        at = _after_break(raw, end)
    return found


def _block(lines: list[tuple[str, int]], indent: int, folded: bool, header: str) -> _Pairs:
    """A literal (`|`) or folded (`>`) block whose lines are indented by `indent`."""
    out: _Pairs = []
    pending: _Pairs = []
    ended, blank = -1, False
    for text, at in lines:
        body = text[indent:] if not text[:indent].strip(" ") else None
        if not text.strip(" ") and len(text) <= indent:
            pending.append(("\n", at + len(text)))
            continue
        if body is None:
            break  # less indented: the block is over
        here = body[0] in _BLANKS
        if ended >= 0:
            if folded and not blank and not here:
                out += [] if pending else [(" ", ended)]
            else:
                out.append(("\n", ended))
        out += pending
        pending = []
        out += [(char, at + indent + index) for index, char in enumerate(body)]
        ended, blank = at + len(text), here
    if "-" not in header and ended >= 0:
        out.append(("\n", ended))
    if "+" in header:
        out += pending
    return out


def _line_end(raw: str, at: int) -> int:
    while at < len(raw) and raw[at] not in _BREAKS:
        at += 1
    return at


def _after_break(raw: str, at: int) -> int:
    return at + 2 if raw[at : at + 2] == "\r\n" else at + 1
