"""What the gate says by itself, in the shape of the API that was asked: OpenAI's, Anthropic's or Ollama's.

From: door.py, a status and a sentence. To: the caller, as an answer, or as the last event of a stream that its model
server broke: a caller must never take half an answer for a whole one.
"""

import json

from supervisor.gate.framing import Chunked, Framing, UntilClose
from supervisor.gate.heads import Answer

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_CODES = {502: "model_broke_off", 503: "model_unavailable", 504: "model_timeout"}
TAIL = 8
"""so many of the last bytes of a body tell whether an event ended there"""


def document(path: str, status: int, text: str) -> bytes:
    """The body of an error, as JSON."""
    if path.startswith("/v1/messages"):
        kind = "overloaded_error" if status == 503 else "api_error" if status >= 500 else "invalid_request_error"
        return json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()
    if path.startswith("/api/"):
        return json.dumps({"error": text}).encode()
    kind = "server_error" if status >= 500 else "invalid_request_error"
    code = _CODES.get(status, "invalid_request")
    return json.dumps({"error": {"message": text, "type": kind, "param": None, "code": code}}).encode()


def refusal(path: str, status: int, text: str, *, after: float = 0.0, bare: bool = False) -> bytes:
    """A whole answer, the last one of its connection. `after`: seconds until it is worth another try; `bare`: to a
    HEAD, without its body."""
    body = document(path, status, text)
    rows = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Retry-After: {max(1, round(after))}"] if after > 0 else []),
        "Connection: close",
    ]
    return "\r\n".join(rows).encode() + b"\r\n\r\n" + (b"" if bare else body)


def last_words(path: str, answer: Answer, framing: Framing, tail: bytes, text: str) -> bytes:
    """What tells the caller of a stream that it broke off, as bytes of its body; b"" where nothing can be said there:
    the answer is no stream of events, is packed, has a fixed length, or broke off within an event. `tail`: the last
    bytes of the body so far."""
    if not (answer.plain and framing.clean):
        return b""
    data = document(path, 502, text)
    if answer.type == "text/event-stream":
        if not _ended(tail, framing, (b"\n\n", b"\r\n\r\n", b"\r\r")):
            return b""
        words = (b"event: error\n" if path.startswith("/v1/messages") else b"") + b"data: " + data + b"\n\n"
    elif answer.type in ("application/x-ndjson", "application/jsonl"):
        if not _ended(tail, framing, (b"\n",)):
            return b""
        words = data + b"\n"
    else:
        return b""
    return b"%x\r\n%b\r\n" % (len(words), words) if isinstance(framing, Chunked) else words


def silent(framing: Framing) -> bool:
    """Whether the end of the connection alone would look like the end of the answer."""
    return isinstance(framing, UntilClose)


def _ended(tail: bytes, framing: Framing, ends: tuple[bytes, ...]) -> bool:
    """Whether an event ended with the last bytes; the end of a chunk stands behind them."""
    payload = tail.removesuffix(b"\r\n") if isinstance(framing, Chunked) else tail
    return not tail or payload.endswith(ends)
