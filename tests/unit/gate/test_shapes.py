"""What the gate says by itself, in the shape of the API that was asked."""

import json

import pytest

from supervisor.gate import heads, shapes
from supervisor.gate.framing import Chunked, Framing, UntilClose


def test_errors_have_the_shape_of_the_api() -> None:
    openai = json.loads(shapes.document("/v1/chat/completions", 503, "Not now."))["error"]
    assert openai == {"message": "Not now.", "type": "server_error", "param": None, "code": "model_unavailable"}
    anthropic = json.loads(shapes.document("/v1/messages", 503, "Not now."))
    assert anthropic == {"type": "error", "error": {"type": "overloaded_error", "message": "Not now."}}
    assert json.loads(shapes.document("/v1/messages", 502, "x"))["error"]["type"] == "api_error"
    assert json.loads(shapes.document("/v1/messages", 400, "x"))["error"]["type"] == "invalid_request_error"
    assert json.loads(shapes.document("/api/chat", 503, "Not now.")) == {"error": "Not now."}


def test_a_refusal_is_a_whole_answer_that_says_when_to_come_again() -> None:
    raw = shapes.refusal("/v1/completions", 503, "Not now.", after=12.4)
    top, _, body = raw.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 12\r\n" in top
    assert b"\r\nContent-Length: %d\r\n" % len(body) in top
    assert shapes.refusal("/", 503, "x", bare=True).endswith(b"\r\n\r\n")
    assert b"Retry-After" not in shapes.refusal("/", 502, "x")


def last(kind: str, framing: Framing, tail: bytes, *, packed: bool = False) -> bytes:
    more = "Content-Encoding: br\r\n" if packed else ""
    answer = heads.answer(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}\r\n".encode(), "POST")
    return shapes.last_words("/v1/completions", answer, framing, tail, "It broke off.")


def between() -> Chunked:
    framing = Chunked()
    framing.take(b"3\r\na\n\n\r\n")
    return framing


@pytest.mark.parametrize("tail", [b"", b"data: x\n\n", b"x\r\n\r\n"])
def test_the_last_event_of_a_broken_stream_stands_after_a_whole_one(tail: bytes) -> None:
    assert last("text/event-stream", UntilClose(), tail).startswith(b'data: {"error"')
    in_chunk = last("text/event-stream", between(), tail + b"\r\n" if tail else b"")
    size, _, rest = in_chunk.partition(b"\r\n")
    assert int(size, 16) == len(rest) - 2
    assert rest.endswith(b"\n\n\r\n")


def test_nothing_is_said_where_it_could_not_be_understood() -> None:
    assert last("text/event-stream", UntilClose(), b"data: x\n") == b""
    assert last("text/event-stream", between(), b"data: x\r\n") == b""
    assert last("text/event-stream", between(), b"\n\n\r\n", packed=True) == b""
    assert last("application/json", between(), b"") == b""
    assert last("application/x-ndjson", UntilClose(), b'{"a": 1') == b""
    within = Chunked()
    within.take(b"9\r\nabc")
    assert last("text/event-stream", within, b"") == b""


def test_a_stream_of_lines_ends_with_a_line() -> None:
    assert json.loads(last("application/x-ndjson", UntilClose(), b"{}\n"))["error"]["message"] == "It broke off."
