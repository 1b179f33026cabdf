"""Instants and spans as Prometheus' API takes them."""

import pytest

from supervisor.web.when import instant, span


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("1760000000", 1_760_000_000_000),
        ("1760000000.137", 1_760_000_000_137),
        ("1.9999", 2000),
        ("-1.5", -1500),
        ("1e9", 1_000_000_000_000),
        (".5", 500),
        ("2025-10-09T09:00:00Z", 1_760_000_400_000),
        ("2025-10-09T11:00:00.123456789+02:00", 1_760_000_400_123),
        ("2025-10-09t09:00:00.5z", 1_760_000_400_500),
    ],
)
def test_instants(text: str, ms: int) -> None:
    assert instant(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "x", "now", "NaN", "Inf", "1_0", "0x10", " 1", "1e10", "9" * 500, "2025-13-01T00:00:00Z", "2025-10-09", "5m"],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="to a valid timestamp"):
        instant(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15", 15), ("0.5", 0.5), ("1e2", 100), ("-1", -1), ("5m", 300), ("1h30m", 5400), ("0", 0)]
)
def test_spans(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "5 m", "1e10", "999999999999y", "9" * 500 + "s", "NaN"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="to a valid duration"):
        span(text)
