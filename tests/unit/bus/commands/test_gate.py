"""What a command may look like, what is signed, and the helper in docs/examples: with neither broker nor core."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.bus.commands import Envelope, Gate, Keys, canonical, read, sign
from supervisor.clock import SystemClock
from supervisor.config.telling import CommandsSettings, PrincipalSettings
from supervisor.verdicts import Reason
from tests.support.phone import KEY

EXAMPLE = Path(__file__).resolve().parents[4] / "docs" / "examples" / "sign_command.py"
NOW = 1_760_000_000.0
FULL = Envelope("a1", None, "stack.oracle", {"within": "5m", "retag": "true"}, 1_760_000_000, 1_760_000_060, 41)


def gate(host: str = "box") -> Gate:
    principals = {"phone": PrincipalSettings(verbs=("restart", "ack"), secret_file="key")}
    return Gate(CommandsSettings(principals=principals), host, Keys({"phone": "key"}, lambda _file: KEY))


def said(**body: Any) -> bytes:
    return json.dumps(body).encode()


def test_what_is_signed_is_one_text_that_every_language_can_make() -> None:
    text = canonical("box", "phone", "restart", FULL)
    assert text == (
        b'{"at":1760000000,"aud":"box","exp":1760000060,"id":"a1","if_rev":41,"params":{"retag":"true","within":"5m"},'
        b'"principal":"phone","target":"stack.oracle","verb":"restart"}'
    )
    assert sign("k" * 32, "box", "phone", "restart", FULL) == (
        "7bc4433ab5b575a37442c5d01aa3c85c7a7c688885c440379276fac81acb7c1b"
    )
    odd = Envelope("ü", target='"\n\\ü\u2028', params={"b": "", "a": "\x7f"})
    assert canonical("h", "p", "v", odd).decode() == (
        '{"at":null,"aud":"h","exp":null,"id":"ü","if_rev":null,"params":{"a":"\x7f","b":""},"principal":"p",'
        '"target":"\\"\\n\\\\ü\u2028","verb":"v"}'
    )


def test_the_example_for_people_signs_what_the_gate_takes(tmp_path: Path) -> None:
    file = tmp_path / "phone.key"
    file.write_text(f"{KEY}\n")
    argv = [sys.executable, str(EXAMPLE), "box", "phone", "restart", str(file)]
    words = ["target=stack.oracle", "within=5m", "if_rev=7"]
    made = subprocess.run([*argv, *words], capture_output=True, check=True, timeout=10).stdout
    body = json.loads(made)
    assert (body["target"], body["params"], body["if_rev"]) == ("stack.oracle", {"within": "5m"}, 7)
    now = SystemClock().wall()
    ruling = gate().judge("phone", "restart", made, now)
    assert (ruling.refused, ruling.signed) == (None, True)
    for other in (
        gate("other").judge("phone", "restart", made, now),
        gate().judge("phone", "ack", made, now),
        gate().judge("phone", "restart", made.replace(b"5m", b"6m"), now),
    ):
        assert other.refused is not None
        assert (other.refused.reason, other.signed) == (Reason.BAD_SIGNATURE, False)
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    signed = runpy.run_path(str(EXAMPLE))["signed"]
    assert signed("box", "phone", "ack", KEY, "oracle")["id"] != signed("box", "phone", "ack", KEY, "oracle")["id"]


@pytest.mark.parametrize(
    ("body", "ok"),
    [
        (said(id="1"), True),
        (said(transaction="1"), True),
        (said(id="1", transaction="2"), True),
        (said(id="1", target=None, params=None, at=None, exp=None, if_rev=None, aud=None, sig=None), True),
        (said(id="1", at=0, exp=1e11, if_rev=2**53), True),
        (said(), False),
        (said(id=None), False),
        (said(id=""), False),
        (said(id="x" * 129), False),
        (said(id="a\nb"), False),
        (said(id="\u202e"), False),
        (said(id="1", transaction=7), False),
        (said(id="1", target=0), False),
        (said(id="1", target=[]), False),
        (said(id="1", params=[]), False),
        (said(id="1", params=""), False),
        (said(id="1", params={"a": None}), False),
        (said(id="1", params={f"p{n}": "" for n in range(17)}), False),
        (said(id="1", at=True), False),
        (said(id="1", at=-1), False),
        (said(id="1", at=10**400), False),
        (b'{"id":"1","at":1e999}', False),
        (b'{"id":"1","at":Infinity}', False),
        (said(id="1", if_rev=1.0), False),
        (said(id="1", if_rev=True), False),
        (said(id="1", if_rev=-1), False),
        (said(id="1", if_rev="7"), False),
        (said(id="1", sig=7), False),
        (said(id="1", override="x"), False),
        (said(id="1", widens=""), False),
        (said(id="1", approved="uid:0"), False),
        (b'{"id":"1","id":"2"}', False),
        (b'{"id":"1","params":{"a":"1","a":"2"}}', False),
        (b'{"id":"1","target":"\\ud800"}', False),
        (b'{"id":"1","params":{"\\udfff":"1"}}', False),
        (b'{"id":"1"', False),
        (b'{"id":"1"} {}', False),
        (b"\xff\xfe", False),
        (b"\xef\xbb\xbf{}", False),
        (b"[" * 4096, False),
        (b'{"a":' * 800, False),
        (b"1" * 4096, False),
        (b"null", False),
    ],
)
def test_a_command_has_one_reading_or_none(body: bytes, ok: bool) -> None:
    envelope, wrong = read(body)
    assert (wrong == "") is ok
    assert not wrong.endswith(".")
    if wrong:
        assert envelope in (Envelope(), Envelope(envelope.id, envelope.transaction))


def test_whoever_asked_wrongly_is_found_by_the_id() -> None:
    envelope, wrong = read(said(id="a1", transaction="t", if_rev="x", target="oracle"))
    assert wrong
    assert envelope == Envelope("a1", "t")


def test_who_may_not_speak_learns_nothing_else() -> None:
    for payload in (b"", b"\xff", said(id="1", sig="0" * 64), b"x" * 5000):
        ruling = gate().judge("thief", "restart", payload, NOW, retained=True)
        assert ruling.refused is not None
        assert ruling.refused.reason is Reason.NOT_ALLOWED
        assert ruling.envelope in (Envelope(), Envelope("1"))


def test_a_box_with_a_key_that_cannot_be_read_refuses_and_does_not_ask() -> None:
    keys = Keys({"phone": "/nowhere/key", "panel": ""})
    assert "phone: /nowhere/key" in keys.trouble
    principals = {"phone": PrincipalSettings(verbs=("restart",), secret_file="/nowhere/key")}
    ruling = Gate(CommandsSettings(principals=principals), "box", keys).judge(
        "phone", "restart", said(id="1", at=int(NOW), exp=int(NOW) + 9, sig="0" * 64), NOW
    )
    assert ruling.refused is not None
    assert ruling.refused.reason is Reason.BAD_SIGNATURE
    assert "cannot be read" in ruling.refused.text
