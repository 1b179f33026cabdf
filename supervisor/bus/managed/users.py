"""The users of the managed broker: ourselves and `listener`, whoever may command, and those a person added.

In: the names in `commands.principals`, and `users`, the file with those that `resurgam bus users add` made (their
hashes alone; the password is known to who added them). Out: `passwords` and `access`, which mosquitto reads at its
start and at SIGHUP. The passwords of the other users lie beside them, readable by us alone. All of it is written
under a lock, since the daemon and the command line may do so at once.
"""

import base64
import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from supervisor.bus.managed.configuration import OURS, access
from supervisor.bus.managed.files import put
from supervisor.clock import Clock
from supervisor.config.fields import principal
from supervisor.errors import UsageError

HASH_ROUNDS = 2000
MOST = 1000
"""users that may be added"""


@dataclass(frozen=True, slots=True)
class User:
    """One user. `origin`: ours | commands.principals | added; `secret`: the file with the password, '' where only
    its hash is kept."""

    name: str
    origin: str
    secret: str = ""


class Users:
    """Who may use the broker of one folder."""

    def __init__(
        self, folder: Path, clock: Clock, commanders: Iterable[str] = (), prefix: str = "homeassistant"
    ) -> None:
        """`commanders` may command over the bus; `prefix` is Home Assistant's."""
        self.folder, self._clock, self._prefix = folder, clock, prefix
        self._commanders = tuple(dict.fromkeys(commanders))
        self.lock = folder / "users.lock"

    def all(self) -> tuple[User, ...]:
        """Everyone, ours first, then by name."""
        added = self._added()
        found = [User(name, "ours", str(self._secret(name))) for name in OURS]
        others = {name: User(name, "added") for name in added}
        for name in self._commanders:
            others[name] = User(name, "commands.principals", "" if name in added else str(self._secret(name)))
        return (*found, *(others[name] for name in sorted(others)))

    def add(self, name: str, password: str) -> None:
        """A new user, or a new password for one that was added before. UsageError where that cannot be. Under the
        lock; `write` makes it count."""
        _checked(name)
        added = self._added()
        if name in self._commanders and name not in added and self._secret(name).exists():
            where = self._secret(name)
            raise UsageError(f"{name} is a user already, because commands.principals names it; its password: {where}")
        if name not in added and len(added) >= MOST:
            raise UsageError(f"there are {MOST} users already; remove some with `resurgam bus users remove`")
        self._keep(added | {name: self._hash(password)})
        with contextlib.suppress(FileNotFoundError):
            self._secret(name).unlink()

    def remove(self, name: str) -> None:
        """Take a user away that was added. UsageError where it was not."""
        if name in OURS:
            raise UsageError(f"{name} is the broker's own user and stays")
        added = self._added()
        if name not in added:
            if name in self._commanders:
                raise UsageError(f"commands.principals names {name}; take it away there and restart the daemon")
            raise UsageError(f"there is no user {name[:100]!r}; `resurgam bus users list` shows who there is")
        del added[name]
        self._keep(added)

    def write(self) -> None:
        """Write what mosquitto reads. Passwords that do not exist yet are made. OSError where it cannot be written."""
        added = self._added()
        lines: list[str] = []
        everyone = self.all()
        for user in everyone:
            if user.secret:
                secret = Path(user.secret)
                if not secret.exists():
                    put(secret, self._clock.token(24) + "\n")
                secret.chmod(0o600)
                lines.append(f"{user.name}:{self._hash(secret.read_text().strip())}")
            else:
                lines.append(f"{user.name}:{added[user.name]}")
        put(self.folder / "passwords", "\n".join(lines) + "\n")
        put(self.folder / "access", access([user.name for user in everyone], self._prefix))

    def written(self) -> bool:
        """Whether what mosquitto reads names the users that there are, and no other. OSError."""
        everyone = [user.name for user in self.all()]
        try:
            lines = (self.folder / "passwords").read_text("utf-8").splitlines()
            rights = (self.folder / "access").read_text("utf-8")
        except FileNotFoundError:
            return False
        return [line.partition(":")[0] for line in lines] == everyone and rights == access(everyone, self._prefix)

    def _secret(self, name: str) -> Path:
        return self.folder / f"{name}.password"

    def _added(self) -> dict[str, str]:
        """name -> hash of those that were added; a line that makes no sense is left out."""
        try:
            text = (self.folder / "users").read_text("utf-8")
        except FileNotFoundError:
            return {}
        found = {}
        for line in text.splitlines():
            name, colon, hashed = line.partition(":")
            if colon and hashed.startswith("$7$") and _may_be(name):
                found[name] = hashed
        return found

    def _keep(self, added: dict[str, str]) -> None:
        put(self.folder / "users", "".join(f"{name}:{added[name]}\n" for name in sorted(added)))

    def _hash(self, secret: str) -> str:
        """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
        salt = bytes.fromhex(self._clock.token(12))
        digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, HASH_ROUNDS)
        return f"$7${HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _checked(name: str) -> None:
    try:
        principal(name)
    except ValueError as err:
        raise UsageError(str(err)) from None


def _may_be(name: str) -> bool:
    try:
        principal(name)
    except ValueError:
        return False
    return True
