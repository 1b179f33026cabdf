"""What every module of the function table shares: kinds by their first letter, and how a value is annotated.

Each `run` gets the frame (instant, samples, purse) and its argument nodes, so that a few may look at an argument's form
(`absent` at its matchers, `timestamp` at its samples' own times). It answers a Vector, or a float where the function
returns a scalar; names are taken off by `frame.bare` and `frame.nameless` alone. EvaluationError is all it may raise.
"""

from supervisor.rules.promql.aggregate import short
from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.nodes import Kind, Node, Text

S, V, M, T = Kind.SCALAR, Kind.VECTOR, Kind.MATRIX, Kind.TEXT
Args = tuple[Node, ...]


def text(node: Node) -> str:
    """A string argument; the parser lets nothing but literals stand there."""
    assert isinstance(node, Text)
    return node.value


def check_quantile(frame: Frame, phi: float, node: Node) -> None:
    """Annotate a quantile that is none."""
    if not 0 <= phi <= 1:
        frame.note(f"PromQL warning: quantile value should be between 0 and 1, got {short(phi)}", node)
