"""The small words of the sentences."""

import re

import pytest

from supervisor.incidents.words import listed, time_of_day, until
from supervisor.units import exit_words, short_image
from tests.support.incidents import GOOD, NOW


@pytest.mark.parametrize(
    ("code", "want"), [(139, "exit 139 (SIGSEGV)"), (137, "exit 137 (SIGKILL)"), (1, "exit 1"), (255, "exit 255")]
)
def test_exit_codes_are_those_of_linux(code: int, want: str) -> None:
    assert exit_words(code) == want


def test_times() -> None:
    assert re.fullmatch(r"at \d\d:\d\d", time_of_day(NOW + 60, NOW))
    assert re.fullmatch(r"on \d{1,2} \w{3,5} at \d\d:\d\d", time_of_day(NOW + 86400, NOW))
    assert until(NOW + 1500, NOW).endswith(" (in 25m)")
    assert until(NOW - 5, NOW).endswith(" (in 0s)") or until(NOW - 5, NOW).endswith(" (in 0ms)")
    assert time_of_day(1e18, NOW).startswith("on ")  # a wrong clock breaks no sentence


def test_lists_and_images() -> None:
    assert listed(("a",)) == "a"
    assert listed(("a", "b", "c")) == "a, b and c"
    assert listed(tuple("abcdefg"), 3) == "a, b and 5 more"
    assert listed(()) == ""
    assert (short_image(GOOD), short_image("local/oracle:1")) == ("aaaaaaaaaaaa", "local/oracle:1")
