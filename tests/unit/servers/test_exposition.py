"""A server's own counters: what they say, whatever stands between them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.servers import exposition

TEXT = """# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 2
llamacpp:requests_deferred 1 1760000000000
vllm:num_requests_running{engine="0",model_name="a b"} 3.0
vllm:num_requests_running{engine="1",model_name="a b"} 4.0
odd{text="a \\"quoted\\" \\\\ one, with } and \\n",value="a label"} 5
broken
broken{ 3
nan NaN
"""


def test_what_is_told() -> None:
    told = exposition.read(TEXT)
    assert exposition.total(told, "llamacpp:requests_processing") == 2
    assert exposition.total(told, "llamacpp:requests_deferred") == 1
    assert exposition.total(told, "vllm:num_requests_running") == 7
    assert exposition.total(told, "vllm:num_requests_running", engine="1") == 4
    assert exposition.total(told, "vllm:num_requests_running", engine="2") is None
    assert told["odd"] == [{"text": 'a "quoted" \\ one, with } and \n', "value": 5.0}]
    assert "broken" not in told
    assert "nan" not in told


def test_lines_without_end_are_not_read_to_their_end() -> None:
    told = exposition.read("a 1\n" * (exposition.MOST + 50))
    assert len(told["a"]) == exposition.MOST


@pytest.mark.parametrize(
    "line", ["a{" + "x" * 50_000, 'a{b="' + "\\" * 50_000 + '"} 1', "a" * 100_000 + " 1", "{" * 10_000]
)
def test_a_line_that_means_harm_takes_no_time(line: str) -> None:
    exposition.read(line)


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_text_makes_it_fail(text: str) -> None:
    for series in exposition.read(text).values():
        assert all(math.isfinite(one["value"]) for one in series)


@pytest.mark.parametrize("labels", ["a" * 300_000, 'a="' * 100_000, 'a=\\"' * 60_000, "1a" * 150_000, "} " * 150_000])
def test_a_line_without_end_is_read_in_one_go(labels: str) -> None:
    """It would hold up the whole daemon for minutes, hours, days."""
    exposition.read(f"x{{{labels}}} 1")
    exposition.read(f"x{{{labels}")
