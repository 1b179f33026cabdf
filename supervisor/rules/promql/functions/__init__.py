"""The one table of functions: what an expression may call, and why it may not call the rest.

Read by `parse.py`. Each module of this folder brings the entries of one kind; `base.py` says what an entry gets and
answers.
"""

from supervisor.rules.promql.functions import dates, histogram, kinds, labels, ranges, values
from supervisor.rules.promql.nodes import Call, Function, Node, Selector, Window

_MODULES = (ranges, values, dates, labels, histogram, kinds)

TABLE: dict[str, Function] = {function.name: function for module in _MODULES for function in module.FUNCTIONS}

_NATIVE = "works on native histograms only, and those are not supported"

REFUSED: dict[str, str] = {
    "histogram_avg": f"{_NATIVE}; of a classic histogram divide its _sum by its _count",
    "histogram_count": f"{_NATIVE}; a classic histogram has a series called …_count",
    "histogram_sum": f"{_NATIVE}; a classic histogram has a series called …_sum",
    "histogram_stddev": _NATIVE,
    "histogram_stdvar": _NATIVE,
    "holt_winters": "is called double_exponential_smoothing() since Prometheus 3",
    "info": "is not supported; join with the info metric: x * on (instance) group_left (version) build_info",
}
"""Functions that Prometheus has or had and this does not: what to say of each, after its name."""


def flows(call: Call) -> bool:
    """Whether this call's own value moves as time goes by with no sample coming or going, what its arguments do left
    aside. More exact than `Function.flows`, which has to speak for every call."""
    if not call.function.flows:
        return False
    name, args = call.function.name, call.args
    if name in _CALENDAR:
        return not args
    if name == "timestamp":
        return not isinstance(args[0], Selector)
    if name in _GROWTH:
        return not _fixed(args[0])
    return True


def clocked(call: Call) -> bool:
    """Whether this call's own value can move with time even where no selector sees any sample."""
    if call.function.name in (*_GROWTH, "predict_linear"):
        return flows(call) and _fixed(call.args[0])
    return flows(call)


_CALENDAR = tuple(function.name for function in dates.FUNCTIONS)
_GROWTH = ("increase", "rate", "delta")


def _fixed(node: Node) -> bool:
    """Whether the window stands still (`@ 1234`): its edges do not move with the evaluation."""
    place = node.selector if isinstance(node, Window) else node
    return isinstance(getattr(place, "at", None), int)
