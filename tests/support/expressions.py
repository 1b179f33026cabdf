"""Generated PromQL over generated series: for the oracle, for the fuzzers, for properties of the evaluator.

`Maker(rng).vector(size)` gives the text of an expression over the series of `make_series(rng)`. Where Prometheus 2.42
and 3 differ by design, a Maker that is not `modern` keeps away: windows inside a subquery never end on a sample,
deviations see no NaN, functions that came later are left out.
"""

import random

from supervisor.rules.promql.functions import TABLE
from supervisor.rules.promql.nodes import Kind

STEP = 15
"""seconds between samples"""
POINTS = 60
"""samples of a series"""

_LATER = (
    *("double_exponential_smoothing", "mad_over_time", "first_over_time", "sort_by_label", "sort_by_label_desc"),
    *("histogram_fraction", "ts_of_first_over_time", "ts_of_last_over_time"),
    *("ts_of_min_over_time", "ts_of_max_over_time"),
)
"""functions that Prometheus 2.42 lacks"""
_APART = ("label_replace", "label_join", "histogram_quantile", "histogram_fraction", "histogram_quantiles", "scalar")
_STEPPED = (
    *("ceil", "floor", "round", "sgn", "day_of_month", "day_of_week", "day_of_year", "days_in_month"),
    *("hour", "minute", "month", "year"),
)
"""functions that jump: the last bit of a computed value must not decide, so they are given samples as they are"""
_COUNTED = ("rate", "increase", "irate")


def make_series(rng: random.Random) -> dict[str, str]:
    """Counters with resets (from a high base, so that the zero cap, which changed in Prometheus 3, is not met), gauges
    with gaps, stale markers, NaN and infinities, classic histograms, and series that end."""
    found: dict[str, str] = {}
    for name in ("oracle", "letta", "qdrant"):
        for job in ("a", "b"):
            if rng.random() < 0.15:
                continue
            value, words = rng.randrange(50_000, 90_000), []
            for _ in range(POINTS):
                value = value + rng.choice([0, 0, 1, 7, 250]) if rng.random() > 0.03 else 20_000
                words.append(str(value))
            found[f'c{{name="{name}",job="{job}"}}'] = " ".join(words)
            level, words = rng.uniform(-50, 50), []
            for _ in range(rng.choice([POINTS, POINTS, 30])):
                level += rng.choice([0, 0, rng.uniform(-9, 9)])
                odd = rng.random()
                word = "_" if odd < 0.08 else "stale" if odd < 0.12 else "NaN" if odd < 0.13 else repr(round(level, 3))
                words.append("+Inf" if 0.13 < odd < 0.135 else word)
            found[f'g{{name="{name}",job="{job}"}}'] = " ".join(words)
        found[f'limit{{name="{name}"}}'] = " ".join([repr(rng.uniform(1, 99))] * POINTS)
        found[f'other{{name="{name}",kind="k"}}'] = " ".join(str(rng.randrange(-3, 3)) for _ in range(POINTS))
        step = [rng.randrange(0, 9) for _ in range(4)]
        for index, le in enumerate(("0.1", "1", "5", "+Inf")):
            grown = 0
            for share in step[: index + 1]:
                grown += share
            counts = [str(100 + 3 * index + grown * tick) for tick in range(POINTS)]
            found[f'h_bucket{{name="{name}",le="{le}"}}'] = " ".join(counts)
    return found


class Maker:
    """Expressions of the whole language, by size."""

    def __init__(self, rng: random.Random, modern: bool = False) -> None:
        self.rng, self.modern = rng, modern
        self.inside = 0
        """how many subqueries are around"""

    def pick(self, *words: str) -> str:
        return self.rng.choice(words)

    # ------------------------------------------------------------ samples

    def selector(self, metric: str = "") -> str:
        metric = metric or self.pick("c", "g", "limit", "other", "none")
        matcher = self.pick(
            "", "", "", '{name="oracle"}', '{name!="oracle"}', '{name=~"o.*|l.+"}', '{job!~"a"}', '{job=""}'
        )
        return metric + matcher

    def moved(self) -> str:
        if self.inside and not self.modern:
            return self.pick(" offset 1ms", " offset 47s13ms", " offset -30s17ms", " offset 1m1ms")
        return self.pick("", "", "", "", " offset 1m", " offset 47s", " offset -30s", " @ 400.5", " @ end()")

    def instant(self) -> str:
        return self.selector() + self.moved()

    def window(self, metric: str) -> str:
        span = self.pick("[1m]", "[2m30s]", "[5m]", "[40s]", "[7m]")
        return f"{self.selector(metric)}{span}{self.moved()}"

    def subquery(self, size: int, plain: bool) -> str:
        """`plain`: over samples as they are."""
        self.inside += 1
        inner = self.instant() if plain else f"({self.vector(size)})"
        self.inside -= 1
        if plain and inner.endswith("ms"):
            inner = f"({inner})"
        span = self.pick("[3m:17s]", "[2m:30s]", "[5m:1m]", "[90s:]", "[1m:7s]", "[20s:45s]")
        if self.inside and not self.modern:
            span = span.replace(":", "3ms:")
        return f"({inner}){span}" + (self.pick("", "", " offset 1m", " @ 600.5") if not self.inside else "")

    def line(self) -> str:
        """What a straight line is laid through. Over an infinity 2.42 answers NaN, where Prometheus 3 counts on."""
        return self.ranged(0) if self.modern else self.window(self.pick("c", "other"))

    def ranged(self, size: int, counter: bool = False, plain: bool = False) -> str:
        if self.inside < 2 and self.rng.random() < 0.2:
            return self.subquery(min(size, 1), plain)
        return self.window("c" if counter else self.pick("g", "other", "c"))

    # ------------------------------------------------------------ functions

    def known(self, *kinds: Kind) -> list[str]:
        """Functions whose first argument is one of these kinds."""
        return [
            name
            for name, function in TABLE.items()
            if function.args and function.args[0] in kinds and name not in _APART
            if self.modern or name not in _LATER
        ]

    def call(self, name: str, size: int) -> str:
        """Any function by its arguments' kinds."""
        function = TABLE[name]
        count = len(function.args) - self.rng.randrange(function.optional + 1)
        args = []
        for kind in function.args[:count]:
            if kind is Kind.MATRIX and name in ("deriv", "predict_linear"):
                args.append(self.line())
            elif kind is Kind.MATRIX:
                args.append(self.ranged(size - 1, counter=name in _COUNTED, plain=name in ("changes", "resets")))
            elif kind is Kind.VECTOR:
                args.append(self.instant() if name in _STEPPED else self.vector(size - 1))
            elif kind is Kind.TEXT:
                args.append(self.pick('"name"', '"job"', '"nothing"'))
            elif name == "double_exponential_smoothing":
                args.append(self.pick("0.3", "0.9"))
            elif "quantile" in name:
                args.append(self.pick("0.5", "0.9", "0", "1", "-1", "2", "0.123"))
            else:
                args.append(self.pick("600", "-30", "0.5", "20"))
        return f"{name}({', '.join(args)})"

    def labelled(self, size: int) -> str:
        """label_replace, label_join."""
        inner = self.vector(size - 1)
        if self.rng.random() < 0.3:
            return f'label_join({inner}, "{self.pick("where", "job", "other")}", "-", "name", "job", "kind")'
        pattern = self.pick("(.*)", "(o|l)(.+)", "(?P<first>.).*", "qdrant")
        template = self.pick("$1", "x-${1}y", "$first", "", "$2-$1")
        return f'label_replace({inner}, "{self.pick("where", "job", "__name__")}", "{template}", "name", "{pattern}")'

    def histogram(self) -> str:
        inner = self.pick(
            f"h_bucket{self.moved()}", f"rate(h_bucket[5m]{self.moved()})", "sum by (le) (rate(h_bucket[2m]))"
        )
        if self.inside:
            inner = f"h_bucket{self.moved()}"
        if self.modern and self.rng.random() < 0.4:
            return f"histogram_fraction({self.pick('0.1', '0.5')}, {self.pick('1', '3')}, {inner})"
        return f"histogram_quantile({self.pick('0.5', '0.99', '0', '1', '-1', '2')}, {inner})"

    # ------------------------------------------------------------ aggregations and operators

    def grouping(self) -> str:
        return self.pick("", " by (name)", " by (job)", " without (job)", " by (name, nothing)", " without ()")

    def aggregation(self, size: int) -> str:
        op = self.pick("sum", "min", "max", "avg", "count", "group", "quantile", "stddev", "stdvar", "count_values")
        inner, grouping = self.vector(size - 1), self.grouping()
        if op == "quantile":
            inner = f"{self.pick('0.5', '0', '1', '0.77', '-1', '3')}, {inner}"
        elif op in ("stddev", "stdvar") and not self.modern:
            inner = self.selector(self.pick("c", "limit", "other")) + self.moved()
        elif op == "count_values":
            inner = f'"{self.pick("value", "job")}", {self.selector(self.pick("other", "c"))}{self.moved()}'
        return f"{op}{grouping} ({inner})"

    def chosen(self, size: int) -> str:
        """The highest or lowest few, as a number: which of equals they are is nobody's promise."""
        op = self.pick("topk", "bottomk")
        return f"{self.pick('sum', 'count', 'max')}({op}{self.grouping()} ({self.pick('1', '2', '4', '0')}, " + (
            self.instant() + "))" if self.inside else f"{self.vector(size - 1)}))"
        )

    def compared(self) -> str:
        """Two vectors of samples as they are."""
        left, right = self.instant(), self.instant()
        matching = self.pick("", " on (name)", " ignoring (job)", " on (name, job)", " ignoring (kind, job)")
        op = self.pick("==", "!=", ">", "<", ">=", "<=") + self.pick("", " bool")
        group = self.pick("", "", " group_left (where)", " group_right ()", " group_left ()") if matching else ""
        return f"({left}) {op}{matching}{group} ({right})"

    def combined(self, size: int) -> str:
        left, right = self.vector(size - 1), self.vector(size - 1)
        matching = self.pick("", "", " on (name)", " ignoring (job)", " on (name, job)", " ignoring (kind, job)")
        if self.rng.random() < 0.5:
            return f"({left}) {self.pick('and', 'or', 'unless')}{matching} ({right})"
        op = self.arithmetic()
        group = self.pick("", "", " group_left ()", " group_left (where)", " group_right (other)") if matching else ""
        return f"({left}) {op}{matching}{group} ({right})"

    def scaled(self, size: int) -> str:
        inner, scalar = self.vector(size - 1), self.scalar()
        op = self.pick(self.arithmetic(), "==", "!=", ">", "<", ">=", "<=", "> bool", "== bool")
        return self.pick(f"({inner}) {op} {scalar}", f"{scalar} {op} ({inner})")

    def arithmetic(self) -> str:
        """atan2 keeps the metric name in 2.42, by mistake."""
        return self.pick("+", "-", "*", "/", "%", "^", *(["atan2"] if self.modern else []))

    def scalar(self) -> str:
        moved = self.moved() if self.inside else ""
        return self.pick(
            *("0", "1.5", "-2", "20", "time()", "(1 / 0)", "1e300", "(3 % 2)", "pi()"),
            f'scalar(limit{{name="oracle"}}{moved})',
        )

    def vector(self, size: int) -> str:
        """An expression that gives an instant vector."""
        kind = self.rng.random()
        if size <= 0 or kind < 0.12:
            return self.instant()
        if kind < 0.37:
            return self.call(self.pick(*self.known(Kind.MATRIX), "quantile_over_time"), size)
        if kind < 0.5:
            return self.aggregation(size)
        if kind < 0.6:
            return self.call(self.pick(*self.known(Kind.VECTOR)), size)
        if kind < 0.63:
            return self.labelled(size)
        if kind < 0.66:
            return self.histogram()
        if kind < 0.69:
            return self.chosen(size)
        if kind < 0.72:
            return f"-({self.vector(size - 1)})"
        if kind < 0.84:
            return self.scaled(size)
        return self.compared() if kind < 0.9 else self.combined(size)
