"""Prometheus text that somebody else wrote: what is taken of it, and what spoils the page."""

import pytest

from supervisor.signals.scrapes.text import OPENMETRICS, Unreadable, parse

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta-llama/Llama-3.3-70B"} 3.0
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="meta-llama/Llama-3.3-70B"} 1.7e+06
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{engine="0"} 1.7600000001234e+09
# TYPE vllm:ttft_seconds histogram
vllm:ttft_seconds_bucket{le="0.5"} 1
vllm:ttft_seconds_bucket{le="+Inf"} 2
vllm:ttft_seconds_count 2
vllm:ttft_seconds_sum 1.25
"""
DCGM = """\
# TYPE DCGM_FI_DEV_PCIE_REPLAY_COUNTER counter
DCGM_FI_DEV_PCIE_REPLAY_COUNTER{gpu="0",UUID="GPU-1"} 7
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1"} 12345
"""
OPEN = """\
# TYPE jobs counter
# HELP jobs Jobs done.
jobs_total{queue="a"} 17 # {trace_id="abc"} 0.6
jobs_created{queue="a"} 1.5e9
# EOF
"""


def read(text: str, kind: str = "text/plain; version=0.0.4", most: int = 100) -> dict[str, float]:
    found = parse(text.encode(), kind, most)
    return {name + str(dict(sorted(labels.items())) or ""): value for name, labels, value in found}


def test_what_model_servers_say() -> None:
    found = parse(VLLM.encode(), "text/plain", 100)
    who = {"engine": "0", "model_name": "meta-llama/Llama-3.3-70B"}
    assert found[:2] == [("vllm:num_requests_running", who, 3.0), ("vllm:prompt_tokens_total", who, 1.7e6)]
    names = [name for name, _labels, _value in found]
    assert names[2:] == ["vllm:prompt_tokens_created", *["vllm:ttft_seconds_bucket"] * 2, *names[-2:]]
    assert names[-2:] == ["vllm:ttft_seconds_count", "vllm:ttft_seconds_sum"]
    assert [labels["le"] for name, labels, _ in found if name.endswith("bucket")] == ["0.5", "+Inf"]


def test_a_counter_keeps_its_name_though_it_does_not_end_in_total() -> None:
    names = [name for name, _labels, _value in parse(DCGM.encode(), "text/plain", 100)]
    assert names == ["DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"]


def test_openmetrics_is_read_by_its_own_rules() -> None:
    found = read(OPEN, f"{OPENMETRICS}; version=1.0.0; charset=utf-8")
    assert found == {"jobs_total{'queue': 'a'}": 17.0, "jobs_created{'queue': 'a'}": 1.5e9}
    with pytest.raises(Unreadable):
        parse(OPEN.removesuffix("# EOF\n").encode(), OPENMETRICS, 100)  # half a page


def test_values_and_timestamps() -> None:
    found = read("a 1 1760000000000\nb NaN\nc +Inf\nd -Inf\ne -1.5e-3\nf{} 0\n\n  g 4  \n")
    assert str(found.pop("b")) == "nan"
    assert found == {"a": 1.0, "c": float("inf"), "d": float("-inf"), "e": -0.0015, "f": 0.0, "g": 4.0}


def test_label_values_with_everything_in_them() -> None:
    text = r'x{a="br{ace}=,",b="quo\"te",c="new\nline",d="back\\slash",e="ümlaut # no comment"} 1' + "\n"
    ((_name, labels, _value),) = parse(text.encode(), "", 100)
    assert labels == {
        "a": "br{ace}=,",
        "b": 'quo"te',
        "c": "new\nline",
        "d": "back\\slash",
        "e": "ümlaut # no comment",
    }


def test_the_first_of_two_of_one_series_counts() -> None:
    assert read('a{b="c",d="e"} 1\na{d="e",b="c"} 2\n') == {"a{'b': 'c', 'd': 'e'}": 1.0}


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a{",
        'a{b="c"',
        'a{b="c"} ',
        "a{b=c} 1",
        'a{b="c",b="d"} 1',
        'a{__name__="ALERTS"} 1',
        'a{__address__="x"} 1',
        '{"a.b"} 1',
        '{"a\\nb"} 1',
        "a 0x10",
        "a 1_000",
        "a one",
        "9a 1",
        "a-b 1",
        "a\x00b 1",
        "a" * 300 + " 1",
        "<!DOCTYPE html>",
        '{"status":"ok"}',
        "\ufeffa 1",
        'a{"b c"="d"} 1',
    ],
)
def test_one_bad_line_spoils_the_page_and_is_not_repeated(line: str) -> None:
    with pytest.raises(Unreadable, match=r"^line 2 ") as caught:
        parse(f"fine 1\n{line}\nfine_too 2\n".encode(), "text/plain", 100)
    assert line not in str(caught.value)


def test_a_name_in_the_braces_is_the_name_and_no_label() -> None:
    assert read('{__name__="up"} 1\n') == {"up": 1.0}


def test_what_is_no_text_at_all() -> None:
    for data in (b"\xff\xfe1\x00", b"a 1\n\x80\x81 2\n"):
        with pytest.raises(Unreadable, match="not UTF-8"):
            parse(data, "", 100)


def test_a_web_page_is_told_as_one() -> None:
    with pytest.raises(Unreadable, match="a web page; is the path right"):
        parse(b"<html>", "text/html; charset=utf-8", 100)


def test_more_series_than_allowed_is_no_part_of_them() -> None:
    text = "".join(f'a{{n="{n}"}} 1\n' for n in range(11))
    assert len(parse(text.encode(), "", 11)) == 11
    with pytest.raises(Unreadable, match="more than 10 series"):
        parse(text.encode(), "", 10)


def test_an_endless_line_is_not_even_looked_at() -> None:
    with pytest.raises(Unreadable, match="line 2 is longer than 8192 characters"):
        parse(b'a 1\nb{c="' + b'\\"' * 500_000 + b'"} 1\n', "", 100)
    assert read("# HELP a " + "x" * 10_000 + "\na 1\n") == {"a": 1.0}


def test_nothing_is_nothing() -> None:
    assert parse(b"", "", 10) == []
    assert parse(b"# just a comment\n\n#\n# TYPE a nonsense\n", "", 10) == []
