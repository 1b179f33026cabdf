"""Whatever is written to the topic of a command: none is obeyed that should not be, nothing crashes, nothing grows.

50,000 mutated messages at the door (`bus/commands/gate.py`), and some hundreds of them through a whole box on virtual
time, on every change; `RESURGAM_FUZZ=10` runs ten times as many, `RESURGAM_FUZZ_SEED` others. What may be obeyed is
said here a second time and in other words: the meaning of what was signed, and rules that hold for whatever passes.
"""

import json
import os
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor.bus.commands import Envelope, Gate, Keys, Ruling, sign
from supervisor.bus.commands.envelope import KEYS
from supervisor.config.telling import BUS_VERBS, CommandsSettings, PrincipalSettings
from supervisor.journal import Row
from supervisor.lab.broker import SimBrokerWorld
from tests.support.phone import CMD, HOST, REPLY, Phone, key_file
from tests.support.words import Words, told

TIMES = int(os.environ.get("RESURGAM_FUZZ", "1"))
SEED = int(os.environ.get("RESURGAM_FUZZ_SEED", "0"))
MESSAGES, THROUGH_ALL = 50_000 * TIMES, 800 * TIMES
NOW = 1_760_000_000.0
KEY_OF = {"phone": "p" * 64, "panel": "q" * 48}
MAY = {"phone": tuple(BUS_VERBS), "panel": ("restart", "ack", "approve"), "unkeyed": ("restart", "stop", "ack")}
IMAGES = ("local/oracle:*",)
DISTURBS = ("restart", "phoenix", "rollback", "start", "stop", "scale", "resume")

TEXTS = (
    "",
    "oracle",
    "ap-1",
    "*",
    "\x00",
    "\n",
    "\u202eelcaro",
    "é" * 3,
    "\ud800",
    "x" * 600,
    "../..",
    "a/b",
    "{{ x }}",
)
NUMBERS = (0, -1, 1.5, 10**400, 2**63, -(2**63), NOW, NOW + 30, NOW - 61, NOW + 61, 1e308, True, False)
ODD: tuple[Any, ...] = (None, [], {}, [[]], {"a": {"b": []}}, *TEXTS, *NUMBERS)
STRANGE_KEYS = ("override", "document", "widens", "approved", "door", "verb", "principal", "__proto__", "", "ID", "é")
IMAGE_WORDS = (
    "current",
    "last-known-good",
    "local/oracle:2",
    "evil/x",
    "local/oracle:1/../x",
    "",
    "-v",
    "local/oracle:a b",
)
PARAMS = {
    "phoenix": ("image", ""),
    "restart": ("within", "5m"),
    "notify": ("message", "fuzz"),
    "pause": ("for", "1m"),
    "silence": ("for", "1m"),
    "scale": ("replicas", "1"),
}
RAW = (
    b"{",
    b"}",
    b'"',
    b",",
    b":",
    b"[",
    b"]",
    b"null",
    b"NaN",
    b"1e999",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\x00",
    b" ",
)

Message = tuple[str, str, bytes, bool]
"""principal, verb, payload, whether the broker kept it"""


def meaning(principal: str, verb: str, body: dict[str, Any]) -> str:
    """What a command says, as one text: two of them mean the same only if it is equal."""
    ident = body["id"] if body.get("id") is not None else body.get("transaction")
    said = [body.get(key) for key in ("at", "exp", "if_rev")]
    return repr((principal, verb, ident, body.get("target") or "", sorted((body.get("params") or {}).items()), said))


class Writer:
    """Makes good commands, and then spoils them."""

    def __init__(self, seed: int, now: float, good: float = 0.05) -> None:
        """`good`: the share that is left as it should be."""
        self.rng, self.now, self.share, self.number = random.Random(seed), now, good, 0
        self.signed: set[str] = set()
        """the meaning of everything that somebody signed"""

    def good(self) -> tuple[str, str, dict[str, Any]]:
        """A command as it should be, signed or not."""
        rng, self.number = self.rng, self.number + 1
        principal = rng.choice(("phone", "phone", "panel", "unkeyed"))
        verb = rng.choice(MAY[principal])
        target = rng.choice(("oracle", "oracle", "oracle", "*", "ap-1", "nobody"))
        body: dict[str, Any] = {"id": f"f{self.number}", "target": target}
        if rng.random() < 0.5:
            name, value = PARAMS.get(verb, ("reason", "fuzz"))
            body["params"] = {name: rng.choice(IMAGE_WORDS) if name == "image" else value}
        if rng.random() < 0.2:
            body["if_rev"] = rng.randrange(5)
        if principal in KEY_OF and rng.random() < 0.7:
            body |= {"at": int(self.now), "exp": int(self.now) + rng.choice((1, 30, 60))}
            body["sig"] = self.sign(principal, verb, body)
        elif rng.random() < 0.5:
            body["at"] = self.now + rng.choice((0, -30, 30.5))
        return principal, verb, body

    def sign(self, principal: str, verb: str, body: dict[str, Any]) -> str:
        self.signed.add(meaning(principal, verb, body))
        rest = {key: body.get(key) for key in ("at", "exp", "if_rev")}
        envelope = Envelope(body["id"], None, body["target"], body.get("params") or {}, **rest)
        return sign(KEY_OF[principal], HOST, principal, verb, envelope)

    def message(self) -> Message:
        """One message: a few good ones among many that were spoilt."""
        rng = self.rng
        principal, verb, body = self.good()
        if rng.random() < self.share:
            return principal, verb, json.dumps(body).encode(), False
        kind = rng.random()
        if kind < 0.32:
            return principal, verb, self.bytes_of(json.dumps(body).encode()), False
        if kind < 0.65:
            for _ in range(rng.randrange(1, 3)):
                self.structure(body)
            return principal, verb, json.dumps(body).encode(), False
        if kind < 0.80 and "sig" in body:
            return principal, verb, json.dumps(body | {"sig": self.other_signature(body)}).encode(), False
        if kind < 0.88:
            elsewhere = rng.choice(("phone", "panel", "unkeyed", "thief", "phone ", "PHONE", "+", ""))
            return (
                elsewhere,
                rng.choice((*BUS_VERBS, "release", "protect", "exec", "Restart", "")),
                json.dumps(body).encode(),
                False,
            )
        if kind < 0.92:
            return principal, verb, self.twice(body), False
        if kind < 0.96:
            return principal, verb, self.deep(body), False
        return principal, verb, json.dumps(body).encode(), True

    def bytes_of(self, raw: bytes) -> bytes:
        rng = self.rng
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(raw) + 1)
            kind = rng.randrange(5)
            if kind == 0 and at < len(raw):
                raw = raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
            elif kind == 1:
                raw = raw[:at] + raw[at + rng.randrange(1, 9) :]
            elif kind == 2:
                raw = raw[:at] + rng.choice(RAW) + raw[at:]
            elif kind == 3:
                raw = raw[:at] + raw[at : at + rng.randrange(1, 40)] * 2 + raw[at:]
            else:
                raw = raw[:at] if rng.random() < 0.5 else raw + raw
        return raw

    def structure(self, body: dict[str, Any]) -> None:
        rng, kind = self.rng, self.rng.randrange(6)
        if kind == 0:
            body[rng.choice(KEYS)] = rng.choice(ODD)
        elif kind == 1:
            body[rng.choice(STRANGE_KEYS)] = rng.choice(ODD)
        elif kind == 2 and body:
            body.pop(rng.choice(sorted(body)))
        elif kind == 3:
            body["params"] = {rng.choice(TEXTS): rng.choice(ODD), "image": rng.choice(IMAGE_WORDS)}
        elif kind == 4:
            body[rng.choice(("at", "exp", "if_rev"))] = rng.choice(NUMBERS)
        else:
            body["target"] = rng.choice(TEXTS)

    def other_signature(self, body: dict[str, Any]) -> str:
        """One bit off, another one's, of another command, cut, or written otherwise."""
        sig, rng = body["sig"], self.rng
        at = rng.randrange(64)
        flipped = sig[:at] + f"{int(sig[at], 16) ^ (1 << rng.randrange(4)):x}" + sig[at + 1 :]
        other = Envelope(body["id"], None, body["target"] + "x")
        return rng.choice(
            (
                flipped,
                flipped,
                sign(KEY_OF["panel"], HOST, "phone", "stop", other),
                sig[:-1],
                sig.upper() + "g",
                "é" * 64,
            )
        )

    def twice(self, body: dict[str, Any]) -> bytes:
        """A key that stands twice, with another value."""
        extra = json.dumps({self.rng.choice(sorted(body)): self.rng.choice(ODD)})[1:-1]
        text = json.dumps(body)[1:-1]
        return ("{" + (f"{extra}, {text}" if self.rng.random() < 0.5 else f"{text}, {extra}") + "}").encode()

    def deep(self, body: dict[str, Any]) -> bytes:
        depth = self.rng.choice((10, 900, 2000, 5000))
        nest = self.rng.choice(("[" * depth + "]" * depth, "[" * depth, '{"a":' * depth, "9" * depth))
        return json.dumps(body).encode()[:-1] + b', "target": ' + nest.encode() + b"}"


def door() -> Gate:
    principals = {name: PrincipalSettings(verbs=verbs) for name, verbs in MAY.items()}
    files = {name: name for name in KEY_OF}
    return Gate(CommandsSettings(principals=principals, images=IMAGES), HOST, Keys(files, lambda name: KEY_OF[name]))


def only_what_may(message: Message, ruling: Ruling, signed: set[str], now: float) -> bool:
    """Whether it was let pass; AssertionError where it should not have been."""
    principal, verb, payload, retained = message
    if ruling.refused is not None:
        assert not ruling.refused.ok
        assert not ruling.signed
        assert ruling.refused.text.endswith(".")
        return False
    assert not retained
    assert len(payload) <= 4096
    assert verb in MAY[principal]
    pairs: list[tuple[str, Any]] = json.loads(payload, object_pairs_hook=lambda found: found)
    body = json.loads(payload)
    assert len(pairs) == len(body)
    assert set(body) <= set(KEYS)
    assert ruling.envelope.id == (body["id"] if body.get("id") is not None else body["transaction"])
    assert body.get("at") is None or abs(body["at"] - now) <= 60
    assert body.get("exp") is None or body["exp"] >= now
    assert body.get("aud") in (None, HOST)
    image = ruling.envelope.params.get("image", "current")
    assert image in ("current", "last-known-good") or (image.startswith("local/oracle:") and image.count("/") == 1)
    assert ruling.signed is (body.get("sig") is not None)
    if ruling.signed:
        assert meaning(principal, verb, body) in signed, "nobody has ever said that"
    return True


def test_nothing_passes_the_door_that_nobody_said() -> None:
    writer, gate = Writer(SEED, NOW), door()
    passed = {True: 0, False: 0}
    for _ in range(MESSAGES):
        message = writer.message()
        ruling = gate.judge(*message[:3], NOW, retained=message[3])
        if only_what_may(message, ruling, writer.signed, NOW):
            passed[ruling.signed] += 1
    assert min(passed.values()) > MESSAGES / 50, "else it proves nothing"
    assert passed[True] + passed[False] < MESSAGES / 2


def test_the_door_keeps_nothing_of_what_knocks() -> None:
    writer, gate = Writer(SEED + 1, NOW), door()
    messages = [writer.message() for _ in range(4000)]
    for message in messages[:500]:
        gate.judge(*message[:3], NOW)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for message in messages:
            gate.judge(*message[:3], NOW)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64_000
    assert peak - before < 2_000_000


def settings(folder: Path) -> dict[str, Any]:
    principals = {
        name: {"verbs": list(verbs)}
        | ({"secret_file": key_file(folder, f"{name}.key", KEY_OF[name])} if name in KEY_OF else {})
        for name, verbs in MAY.items()
    }
    return {"principals": principals, "images": list(IMAGES)}


def through_all(count: int, check: Callable[[Words, Writer], None], folder: Path) -> None:
    """So many messages through a whole box, some of them again later, over a day."""

    async def story(words: Words) -> None:
        await words.run(3)
        phone, writer = Phone(words), Writer(SEED + 2, words.clock.wall(), good=0.3)
        said: list[Message] = []
        for _ in range(count):
            writer.now = words.clock.wall()
            again = bool(said) and writer.rng.random() < 0.1
            message = writer.rng.choice(said) if again else writer.message()
            said.append(message)
            principal, verb, payload, retained = message
            phone.broker.take(f"{CMD}/{principal}/{verb}", payload, retained)
            await words.run(writer.rng.choice((0.5, 0.5, 2, 40)))
            if len(said) % 20 == 0:
                await words.says("resume", "*")
        await words.run(150)
        check(words, writer)

    told(story, playbooks="", commands=settings(folder))


def test_a_whole_box_obeys_only_what_was_said_and_each_once(tmp_path: Path) -> None:
    def check(words: Words, writer: Writer) -> None:
        commands, life = words.life.telling.commands, words.life
        assert commands is not None
        assert (commands.crashes, life.telling.pump is not None and life.telling.pump.inbox.crashes) == (0, 0)
        rows = everything(words, "daemon.command")
        assert len(rows) > THROUGH_ALL / 3, "else it proves nothing"
        assert len([row for row in rows if row.body["allowed"]]) > THROUGH_ALL / 50
        for row in rows:
            if row.body["allowed"] and row.body["verb"] in DISTURBS and not row.body["repeat"]:
                assert row.body["signed"] or not row.body["plan"]
        plans = [row for row in rows if row.body["plan"] and not row.body["repeat"]]
        assert plans, "some were obeyed"
        assert len({row.body["plan"] for row in plans}) == len({row.body["id"] for row in plans}) == len(plans)
        opened = [row for row in everything(words, "action.planned") if row.body["by"].startswith("bus:")]
        assert {row.body["plan"] for row in opened} <= {row.body["plan"] for row in plans}
        assert bounded(words, words.world.broker)

    through_all(THROUGH_ALL, check, tmp_path)


def everything(words: Words, kind: str) -> list[Row]:
    """Every row of a kind; the journal gives a thousand at a time."""
    found: list[Row] = []
    while more := words.world.disk.rows(kinds=(kind,), after=found[-1].seq if found else 0):
        found += more
    return found


def bounded(words: Words, broker: SimBrokerWorld) -> bool:
    """What is kept for ever does not grow with what is said, and every answer went to whoever asked."""
    revisions = [key for key in words.life.core.snapshot.revisions if key.startswith("bus:")]
    assert set(revisions) <= {"bus:phone", "bus:panel", "bus:unkeyed", "bus:?"}
    kept = words.world.disk.space("command").values()
    assert {one["principal"] for one in kept} <= {"bus:phone", "bus:panel", "bus:unkeyed"}
    assert len(words.open) <= 15
    assert not [topic for topic in broker.retained if topic.startswith((CMD, REPLY))]
    return True
