"""Where a body ends, however its bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.gate.framing import LONGEST_LINE, Broken, Chunked, Framing, Sized, UntilClose

AFTER = b"GET / HTTP/1.1\r\n\r\n"


def feed(framing: Framing, data: bytes, cuts: list[int]) -> int:
    """How many bytes belong to it when they come in these pieces."""
    taken = 0
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        used = framing.take(data[start:end])
        taken += used
        if framing.done:
            break
        assert used == end - start
    return taken


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.booleans(), st.data())
def test_a_body_in_chunks_ends_where_it_ends_however_it_is_cut(
    pieces: list[bytes], trailer: bool, data: st.DataObject
) -> None:
    body = b"".join(b"%X;n=v\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    body += b"0\r\n" + (b"X-Sum: a b\r\n" if trailer else b"") + b"\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    framing = Chunked()
    assert feed(framing, body + AFTER, cuts) == len(body)
    assert framing.done
    assert framing.end()


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4))
def test_what_is_read_by_its_reach_is_never_more_than_the_body(pieces: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    framing, rest = Chunked(), body + AFTER
    while not framing.done:
        count = framing.reach or rest.index(b"\n") + 1
        assert framing.take(rest[:count]) == count
        rest = rest[count:]
    assert rest == AFTER


def test_something_of_our_own_fits_only_between_two_chunks() -> None:
    framing, clean = Chunked(), []
    for number in range(len(b"3\r\nabc\r\n2\r\nde\r\n")):
        clean.append(framing.clean)
        framing.take(b"3\r\nabc\r\n2\r\nde\r\n"[number : number + 1])
    assert [number for number, well in enumerate(clean) if well] == [0, 8]
    assert framing.clean
    framing.take(b"0\r\n\r\n")
    assert not framing.clean


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1\n",
        b"1\r\nab\r\n",
        b"1;\x00\r\n",
        b"1234567890abcdef\r\n",
        b"0\r\nno header\r\n",
        b"0\r\n: x\r\n",
        b"0\r\n" + b"a: b\r\n" * 4000,
        b"1" + b" " * LONGEST_LINE,
    ],
)
def test_what_two_readers_could_understand_differently_is_broken(data: bytes) -> None:
    framing = Chunked()
    with pytest.raises(Broken):
        framing.take(data)


def test_a_size_is_so_many_bytes_and_an_early_end_is_none() -> None:
    framing = Sized(5)
    assert framing.take(b"abc") == 3
    assert not framing.end()
    assert framing.take(b"defgh") == 2
    assert framing.done
    assert Sized(0).done


def test_a_body_without_a_size_ends_with_its_connection() -> None:
    framing = UntilClose()
    assert framing.take(b"abc") == 3
    assert not framing.done
    assert framing.end()
    assert framing.done


def test_chunks_that_stop_are_not_whole() -> None:
    framing = Chunked()
    framing.take(b"3\r\nabc\r\n")
    assert not framing.end()
