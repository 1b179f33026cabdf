"""Random expressions and mutated rule files: mostly nonsense, some of it evaluable, all of it from a seed."""

import random

NAMES = ("up", "x", "y_total", "h_bucket", "ALERTS", '{"a.b"}', "sum", "offset", "bool", "{}", '{__name__=~"x|y.*"}')
MATCHERS = ("", "", '{a="1"}', '{a=~"1|2"}', '{a!~".*"}', '{le="+Inf"}', '{b=""}', '{"l.x"="z", a!="3"}')
SPANS = ("[5m]", "[1m]", "[30s:10s]", "[1h:1ms]", "[1y:1s]", "[5m:]", "[300]", "[0s]", "[-5m]", "[1m+30s]", "[5m")
MOVES = ("", "", "", " offset 1m", " offset -1w", " @ 5", " @ end()", " @ start() offset 3s", " @ -1", " offset 1y")
NUMBERS = ("0", "1", "-1", "1e308", "-1e308", "NaN", "Inf", "-Inf", "0x1F", "1_000", "5m", "1e-320", "9" * 20)
OPERATORS = (
    *["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"],
    "== bool",
    "> bool",
)
MATCHINGS = (
    "",
    "",
    " on(a)",
    " ignoring(a,b)",
    " on() group_left(b)",
    " on(a) group_right",
    " ignoring(a) group_left()",
)
_PLAIN = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
AGGREGATIONS = (*_PLAIN, "topk", "bottomk", "quantile", "count_values", "limitk")
GROUPINGS = ("", " by (a)", " without (a, b)", " by ()", ' by ("a.b", a)', " without ()")
_ODD = ("(", ")", ",", '"', "`", "\\", "#", "\n", "é", "\x00", "{{", "::", "[", "]", "bool", "fill(0)", "'a'")
TOKENS = (*NAMES, *MATCHERS, *SPANS, *MOVES, *NUMBERS, *OPERATORS, *MATCHINGS, *GROUPINGS, *_ODD)


class Soup:
    """Expressions by size; `functions` are the names that may be called."""

    def __init__(self, rng: random.Random, functions: list[str]) -> None:
        self.rng, self.functions = rng, functions

    def expression(self) -> str:
        """Mostly a tree, sometimes a broken one, sometimes tokens without any order."""
        kind = self.rng.random()
        if kind < 0.12:
            return " ".join(self.rng.choice(TOKENS) for _ in range(self.rng.randrange(1, 12)))
        text = self.tree(self.rng.randrange(0, 6))
        return self.broken(text) if kind < 0.4 else text

    def broken(self, text: str) -> str:
        """One to three cuts, copies or strangers."""
        for _ in range(self.rng.randrange(1, 4)):
            at = self.rng.randrange(len(text) + 1)
            end = min(len(text), at + self.rng.randrange(1, 6))
            middle = self.rng.choice(["", text[at:end] * 2, self.rng.choice(TOKENS)])
            text = text[:at] + middle + text[end:]
        return text

    def tree(self, size: int) -> str:
        pick, kind = self.rng.choice, self.rng.random()
        if size <= 0:
            return pick([pick(NUMBERS), self.selector(), f'"{pick(["", "a", "$1", "(.*)"])}"'])
        if kind < 0.1:
            return f"({self.tree(size - 1)})"
        if kind < 0.15:
            return f"-{self.tree(size - 1)}"
        if kind < 0.45:
            args = ", ".join(self.argument(size - 1) for _ in range(self.rng.choice([0, 1, 1, 1, 2, 2, 3, 5])))
            return f"{pick(self.functions)}({args})"
        if kind < 0.65:
            param = f"{self.tree(size - 2)}, " if self.rng.random() < 0.4 else ""
            return f"{pick(AGGREGATIONS)}{pick(GROUPINGS)} ({param}{self.tree(size - 1)})"
        if kind < 0.72:
            return f"({self.tree(size - 1)}){pick(SPANS)}{pick(MOVES)}"
        left, right = self.tree(size - 1), self.tree(size - 2)
        return f"{left} {pick(OPERATORS)}{pick(MATCHINGS)} {right}"

    def selector(self) -> str:
        return self.rng.choice(NAMES) + self.rng.choice(MATCHERS) + self.rng.choice(MOVES)

    def argument(self, size: int) -> str:
        if self.rng.random() < 0.4:
            return self.rng.choice(NAMES) + self.rng.choice(MATCHERS) + self.rng.choice(SPANS) + self.rng.choice(MOVES)
        return self.tree(size)


RULE_FILE = """\
groups:
- name: box
  interval: 30s
  limit: 10
  query_offset: 5s
  labels: {team: home}
  rules:
  - record: job:x:rate5m
    expr: sum by (a) (rate(x[5m]))
    labels: {kind: "r"}
  - alert: High
    expr: |
      job:x:rate5m > 2
        and on (a) y_total
    for: 1m
    keep_firing_for: 5m
    labels: {severity: critical, who: "{{ $labels.a }}"}
    annotations:
      summary: "{{ $value | humanize }} on {{ $labels.a }} {{ with query \\"up\\" }}{{ . | first | value }}{{ end }}"
      action: "restart {{ $labels.name }}"
  - alert: Meta
    expr: count(ALERTS{alertname="High"}) > 3
"""
_STRANGERS = (
    *("\t", ":", "- ", "{", "}", "[", "&a ", "*a", "!!binary ", "|", ">", '"', "'", "#", "\x00", "\u2028", "🜂", "{{"),
    *("}}", "---\n", "<<: ", "null", "1e999", "0x", "yes", "groups:", "  "),
)


def mutated(rng: random.Random, text: str = RULE_FILE) -> str:
    """The rule file with one to four mutations: characters, lines and words cut, doubled, swapped or replaced."""
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            lines[at] = " " * rng.randrange(6) + lines[at].lstrip()
        text = "\n".join(lines)
        if kind >= 3 and text:
            place = rng.randrange(len(text))
            end = place + (0 if kind == 3 else rng.randrange(1, 9))
            text = text[:place] + rng.choice(_STRANGERS if kind < 5 else TOKENS) + text[end:]
    return text
