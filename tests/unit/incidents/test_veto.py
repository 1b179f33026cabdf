"""Vetoes: what an annotation forbids, and where."""

import pytest

from supervisor.facts import Needs
from supervisor.incidents.veto import Veto, against, parse
from tests.support.incidents import ORACLE, Box, alert, container, oracle, service


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("phoenix", Veto(("phoenix",))),
        ("phoenix  restart start", Veto(("phoenix", "restart", "start"))),
        ("stop scope=host", Veto(("stop",), "host")),
        ("scope=gpu restart restart", Veto(("restart",), "gpu")),
    ],
)
def test_reading(text: str, want: Veto) -> None:
    assert parse(text) == want


@pytest.mark.parametrize("text", ["", "scope=host", "dance", "phoenix scope=moon", "phoenix for=1h", "protect", '"x'])
def test_reading_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def box(text: str, labels: dict[str, str], state: str = "firing") -> Box:
    found = oracle(alerts=(alert("V", labels={"name": "", **labels}, annotations={"veto": text}, state=state),))
    found.put(service(needs=Needs(exclusive=("gpu:0", "gpu:GPU-abc"))))
    found.put(service("demo.web", container=container("c2", "web")))
    return found


def forbids(found: Box, verb: str, target: str = ORACLE, **params: str) -> bool:
    return against(verb, params, target, found.world()) is not None


@pytest.mark.parametrize(
    ("text", "labels", "on_oracle", "on_web"),
    [
        ("restart", {"name": "oracle"}, True, False),
        ("restart", {"UUID": "GPU-abc"}, True, False),
        ("restart", {"gpu": "0"}, True, False),
        ("restart", {"gpu": "1"}, False, False),
        ("restart", {}, True, True),
        ("restart scope=host", {"name": "web"}, True, True),
        ("restart scope=gpu", {"name": "oracle"}, True, False),
        ("restart scope=service", {"name": "web"}, False, True),
        ("restart scope=service", {}, False, False),
        ("phoenix", {}, False, False),
        ("nonsense restart", {}, False, False),
    ],
)
def test_scopes(text: str, labels: dict[str, str], on_oracle: bool, on_web: bool) -> None:
    found = box(text, labels)
    assert (forbids(found, "restart"), forbids(found, "restart", "demo.web")) == (on_oracle, on_web)


def test_only_while_it_fires() -> None:
    assert not forbids(box("restart", {}, "pending"), "restart")


def test_what_is_practised_holds_nothing_back() -> None:
    assert not forbids(box("restart", {"drill": "true"}), "restart")


def test_scale_is_a_stop_or_a_start() -> None:
    found = box("start", {})
    assert forbids(found, "scale", replicas="1")
    assert not forbids(found, "scale", replicas="0")
    found = box("stop", {})
    assert forbids(found, "scale", replicas="0")
    assert not forbids(found, "scale", replicas="1")
