"""The verbs for memory on the command line: every parameter is an option of the same name."""

from collections.abc import Iterator

import pytest

from supervisor.cli.main import main
from tests.support.house import Served, served


@pytest.fixture
def daemon() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ("freeze x --for 1m", {"for": "1m"}),
        ("thaw x", {}),
        ("fuse x --at 4GiB --for 5m", {"at": "4GiB", "for": "5m"}),
        ("unfuse x", {}),
        ("reclaim x --size 1GiB --within 3s", {"size": "1GiB", "within": "3s"}),
        ("raise-limit x --to 16GiB", {"to": "16GiB"}),
        ("drop-cache x --within 1m", {"within": "1m"}),
        ("unload x", {}),
        ("stop x --over-plan", {"over_plan": "true"}),
    ],
)
def test_what_is_typed_is_what_is_asked(daemon: Served, words: str, params: dict[str, str]) -> None:
    asked = words.replace(" x", " stack.oracle").split()
    assert main([*asked, "--no-follow", "--socket", str(daemon.socket)]) == 0
    (fact,) = daemon.house.asked
    assert fact.verb == asked[0]
    assert dict(fact.params) == params


@pytest.mark.parametrize("words", ["raise-limit x", "freeze x --for soon", "fuse x --at much"])
def test_a_mistake_exits_with_2(daemon: Served, words: str) -> None:
    try:
        code = main([*words.split(), "--socket", str(daemon.socket)])
    except SystemExit as err:
        code = int(err.code or 0)
    assert code == 2
    assert daemon.house.asked == []
