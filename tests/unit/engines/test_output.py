"""Docker's multiplexed streams, cut anywhere, and log tails, bounded."""

import struct

import pytest

from supervisor.engines.docker.output import LINE, Frames, Lines


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(payload)) + payload


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 1000])
def test_frames_come_apart_wherever_they_were_cut(size):
    whole = frame(1, b"one\n") + frame(2, b"") + frame(2, b"two\nthree")
    split, found = Frames(raw=False), b""
    for start in range(0, len(whole), size):
        found += b"".join(split.feed(whole[start : start + size]))
    assert found == b"one\ntwo\nthree"


def test_a_terminals_stream_has_no_frames():
    assert Frames(raw=True).feed(b"\x01\x00abc") == [b"\x01\x00abc"]


def test_only_the_last_lines_are_kept_each_cut():
    lines = Lines(2)
    lines.feed(b"zero\none\r\nt")
    lines.feed(b"wo\n" + b"x" * 10 * LINE)
    assert lines.done() == ("two", "x" * LINE)


def test_bytes_that_are_no_text_do_no_harm():
    lines = Lines(5)
    lines.feed(b"\xff\xfe ok\n")
    assert lines.done() == ("\ufffd\ufffd ok",)
