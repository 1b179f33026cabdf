"""Durations, sizes, ports and mounts as compose writes them."""

import pytest

from supervisor.actions.compose import values
from supervisor.actions.compose.values import Published


@pytest.mark.parametrize(
    ("text", "ns"), [("30s", 30 * 10**9), ("1m30s", 90 * 10**9), ("1h5m30.5s", 3_930_500_000_000), ("500ms", 5 * 10**8)]
)
def test_a_duration(text: str, ns: int) -> None:
    assert values.nanoseconds(text) == ns


@pytest.mark.parametrize("text", ["", "10", "1x", "s", "1m 30s", "-1s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="30s"):
        values.nanoseconds(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("64m", 64 << 20), ("1gb", 1 << 30), ("1.5GiB", 3 << 29), ("100", 100), ("10b", 10), ("2K", 2048)],
)
def test_a_size_counts_in_powers_of_1024(text: str, count: int) -> None:
    assert values.bytes_of(text) == count


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("80", [Published("80/tcp", "", "")]),
        ("8080:80", [Published("80/tcp", "", "8080")]),
        ("127.0.0.1:53:53/udp", [Published("53/udp", "127.0.0.1", "53")]),
        ("127.0.0.1::80", [Published("80/tcp", "127.0.0.1", "")]),
        ("[::1]:80:81", [Published("81/tcp", "::1", "80")]),
        ("90-91:80-81", [Published("80/tcp", "", "90"), Published("81/tcp", "", "91")]),
        ("90-99:80", [Published("80/tcp", "", "90-99")]),
    ],
)
def test_ports(text: str, wanted: list[Published]) -> None:
    assert list(values.ports(text)) == wanted


@pytest.mark.parametrize("text", ["", "x", "0", "80:70000", "1-3:1-2", "80/icmp", "a:b:80", "1-65000:1-65000"])
def test_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|protocol|length"):
        list(values.ports(text))


@pytest.mark.parametrize("text", ["", "a:b", "a:/b:xx", "a:/b:ro:z", ":/x"])
def test_no_mount(text: str) -> None:
    with pytest.raises(ValueError, match=r"mount|absolute|mode"):
        values.mount(text)


def test_a_mount() -> None:
    assert values.mount("./a:/b/:ro,z").read_only
    assert values.mount("./a:/b/:ro,z").target == "/b"
    assert values.mount("./a:/b").is_path
    assert not values.mount("a:/b").is_path


def test_a_long_row_of_digits_is_no_duration_and_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        values.nanoseconds("1" * 1_000_000)
