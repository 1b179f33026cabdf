"""What the gate reads of heads. What it refuses is in tests/real/test_gate.py, over real connections."""

import pytest

from supervisor.gate import heads
from supervisor.gate.framing import Broken, Chunked, Sized, UntilClose
from supervisor.gate.heads import Bad


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_a_request_goes_on_as_it_came() -> None:
    raw = head(b"POST /v1/x?a=%20b HTTP/1.1", b"hOst:  a", b"Content-length: 12 ", b"X:", b"X-Two: \xe4", b"X: again")
    found = heads.request(raw)
    assert found.head == raw
    assert (found.method, found.path, found.length, found.keeps) == ("POST", "/v1/x", 12, True)


@pytest.mark.parametrize(
    ("line", "connection", "keeps"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Keep-Alive", True),
        (b"GET / HTTP/1.1", b"Close", False),
        (b"GET / HTTP/1.1", b"x, close", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"keep-alive", True),
        (b"GET / HTTP/1.0", b"keep-alive, close", False),
    ],
)
def test_whether_a_connection_is_used_again(line: bytes, connection: bytes, keeps: bool) -> None:
    lines = (line, b"Connection: " + connection) if connection else (line,)
    assert heads.request(head(*lines)).keeps is keeps


def test_chunks_and_no_body() -> None:
    assert isinstance(heads.request(head(b"POST / HTTP/1.1", b"Transfer-Encoding: Chunked")).framing(), Chunked)
    assert heads.request(head(b"GET / HTTP/1.1")).framing().done


def test_a_wish_for_another_protocol_is_taken_out_and_nothing_else() -> None:
    asked = head(
        b"POST / HTTP/1.1", b"Host: a", b"Upgrade: h2c", b"Connection: HTTP2-Settings, upgrade, X-Mine", b"Y: 1"
    )
    assert heads.request(asked).head == head(b"POST / HTTP/1.1", b"Host: a", b"Connection: x-mine", b"Y: 1")
    untouched = head(b"GET / HTTP/1.1", b"Connection: keep-alive, Upgrade")
    assert heads.request(untouched).head == untouched


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, head(b"GET /")),
        (400, head(b"G\xc3T / HTTP/1.1")),
        (400, head(b"GET / HTTP/1.1", b"no colon")),
        (400, head(b"GET / HTTP/1.1", b": nameless")),
        (400, head(b"GET / HTTP/1.1", *[b"X: 1"] * 300)),
        (400, head(b"POST / HTTP/1.1", b"Content-Length: ")),
        (400, head(b"POST / HTTP/1.1", b"Content-Length: 99999999999999999999")),
        (400, head(b"POST / HTTP/1.1", b"Transfer-Encoding: ")),
        (501, head(b"GET / HTTP/1.1", b"Upgrade: foo, WebSocket")),
        (501, head(b"CONNECT a:1 HTTP/1.1")),
        (505, head(b"GET / HTTP/2")),
        (400, head(b"GET / HTTP/1.2")),
    ],
)
def test_what_is_refused(status: int, raw: bytes) -> None:
    with pytest.raises(Bad) as caught:
        heads.request(raw)
    assert caught.value.status == status
    assert str(caught.value).endswith(".")


def test_where_an_answer_ends() -> None:
    sized = head(b"HTTP/1.1 200 OK", b"Content-Length: 3")
    assert isinstance(heads.answer(sized, "GET").framing, Sized)
    assert heads.answer(sized, "HEAD").framing.done
    assert heads.answer(head(b"HTTP/1.1 304", b"Content-Length: 3"), "GET").framing.done
    assert heads.answer(head(b"HTTP/1.1 100 Continue"), "GET").framing.done
    assert isinstance(heads.answer(head(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"), "GET").framing, Chunked)
    open_end = heads.answer(head(b"HTTP/1.1 200 OK"), "GET")
    assert isinstance(open_end.framing, UntilClose)
    assert not open_end.keeps


def test_what_counts_of_an_answer() -> None:
    found = heads.answer(
        head(b"HTTP/1.0 500 Oh no", b"Content-Type: Text/Event-Stream; charset=x", b"content-encoding: gzip"), "GET"
    )
    assert (found.status, found.keeps, found.type, found.plain) == (500, False, "text/event-stream", False)
    found = heads.answer(head(b"HTTP/1.0 200 OK", b"Connection: keep-alive", b"Content-Length: 0"), "GET")
    assert (found.keeps, found.type, found.plain) == (True, "", True)


@pytest.mark.parametrize(
    "raw",
    [
        head(b"HTTP/2 200 OK"),
        head(b"HTTP/1.1 999 OK"),
        head(b"HTTP/1.1 200\x00"),
        head(b"HTTP/1.1 200 OK", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        head(b"HTTP/1.1 200 OK", b"Content-Length: -1"),
    ],
)
def test_an_answer_that_is_none(raw: bytes) -> None:
    with pytest.raises(Broken):
        heads.answer(raw, "GET")
