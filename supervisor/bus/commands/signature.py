"""Who said it: HMAC-SHA256 over everything a command means, with a key that only its principal and this box have.

From: gate.py, and `commands.principals.NAME.secret_file`. What is signed is one JSON object, keys sorted, no spaces,
UTF-8 (RFC 8785): `{"at", "aud": host, "exp", "id", "if_rev", "params", "principal", "target", "verb"}`, with `null` for
an `if_rev` that is not given and whole seconds in `at` and `exp`. So neither the topic nor the box nor a word of it can
be exchanged. `docs/examples/sign_command.py` is the other side of it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping

from supervisor.bus.commands.envelope import Envelope
from supervisor.config.files import read_secret
from supervisor.errors import ConfigError
from supervisor.verdicts import Reason, Verdict, no

SHORTEST = 32
"""bytes of a key"""
LONGEST_LIFE = 60
"""seconds from `at` to `exp`"""
_DIGITS = re.compile(r"[0-9a-f]{64}", re.ASCII)


def canonical(host: str, principal: str, verb: str, envelope: Envelope) -> bytes:
    """The text that is signed."""
    meant = {
        "aud": host,
        "at": envelope.at,
        "exp": envelope.exp,
        "id": envelope.id,
        "if_rev": envelope.if_rev,
        "params": dict(envelope.params),
        "principal": principal,
        "target": envelope.target,
        "verb": verb,
    }
    return json.dumps(meant, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sign(key: str, host: str, principal: str, verb: str, envelope: Envelope) -> str:
    """The signature of a command: 64 hexadecimal digits."""
    return hmac.new(key.encode(), canonical(host, principal, verb, envelope), hashlib.sha256).hexdigest()


class Keys:
    """The keys of the principals: read from their files whenever one is needed, so that a new one counts at once."""

    def __init__(self, files: Mapping[str, str], read: Callable[[str], str] = read_secret) -> None:
        """`files`: principal -> file, '' for none."""
        self._files, self._read = {name: file for name, file in files.items() if file}, read
        self._wrong: dict[str, str] = {}
        for name in sorted(self._files):
            self.of(name)

    @property
    def trouble(self) -> str:
        """Keys that cannot be used, for a person; '' for none."""
        found = "; ".join(f"{name}: {why}" for name, why in sorted(self._wrong.items()))
        return f"Signed commands are refused, because the key cannot be used: {found}." if found else ""

    def of(self, principal: str) -> str:
        """The key of a principal; '' where there is none that can be used."""
        if principal not in self._files:
            return ""
        try:
            key = self._read(self._files[principal])
        except ConfigError as err:
            self._wrong[principal] = str(err)
            return ""
        if len(key.encode()) < SHORTEST:
            short = f"{self._files[principal]} has fewer than {SHORTEST} bytes; make one: openssl rand -hex 32"
            self._wrong[principal] = short
            return ""
        self._wrong.pop(principal, None)
        return key

    def check(self, host: str, principal: str, verb: str, envelope: Envelope) -> Verdict | None:
        """What is wrong with the signature of a command that has one; None where it is good. Takes as long whatever is
        wrong with the digits."""
        at, exp, given = envelope.at, envelope.exp, envelope.sig or ""
        if not isinstance(at, int) or not isinstance(exp, int):
            return no(Reason.BAD_SIGNATURE, "A signed command says `at` and `exp`, in whole unix seconds.")
        if not at < exp <= at + LONGEST_LIFE:
            return no(Reason.BAD_SIGNATURE, f"A signed command has an `exp` at most {LONGEST_LIFE} s after its `at`.")
        if _DIGITS.fullmatch(given) is None:
            return no(Reason.BAD_SIGNATURE, "A signature is 64 hexadecimal digits in small letters.")
        key = self.of(principal)
        if not key:
            why = self._wrong.get(principal) or f"commands.principals.{principal} names no `secret_file`"
            return no(Reason.BAD_SIGNATURE, f"The signature cannot be checked: {why}.")
        if not hmac.compare_digest(sign(key, host, principal, verb, envelope), given):
            text = (
                f"The signature is not that of {principal} for this very command (host, verb, id, target, params, at, "
                "exp, if_rev); docs/examples/sign_command.py makes one."
            )
            return no(Reason.BAD_SIGNATURE, text)
        return None
