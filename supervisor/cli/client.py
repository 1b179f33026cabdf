"""The only door to a running daemon: HTTP over its control socket.

In: what a command wants. Out: JSON documents. DaemonAbsent says what to do where nobody answers. Only the standard
library is used: `resurgam status` must answer at once.
"""

import argparse
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from supervisor.errors import DaemonAbsent, Refused, ResurgamError, UsageError
from supervisor.facts import Json
from supervisor.web.where import SYSTEM, control_path

_PATIENCE = 30.0


def find_socket(args: argparse.Namespace, env: Mapping[str, str] = os.environ) -> Path:
    """The control socket: --socket, where the environment or --config says, the system service's, the state folder."""
    if args.socket:
        return Path(args.socket)
    if env.get("RUNTIME_DIRECTORY") or (env.get("RESURGAM_STATE_DIR") and not args.config):
        return control_path(env, Path(env.get("RESURGAM_STATE_DIR", "")))
    named = args.config or env.get("RESURGAM_CONFIG", "")
    if not named and os.access(SYSTEM, os.F_OK):
        return SYSTEM
    # Reading the configuration costs a tenth of a second, so it comes last.
    from supervisor import config

    path = config.find(args.config, env)
    return control_path(env, config.load(path, env=env, check_trust=False).state_dir)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """One daemon, seen through its control socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Client":
        """The daemon that these command line arguments mean."""
        return cls(find_socket(args))

    def get(self, *parts: str, **query: str | int | None) -> Json:
        """One document. UsageError for what does not exist, Refused where the socket is not ours to use."""
        connection, response = self._call("GET", _target(parts, query), None, _PATIENCE)
        try:
            return _document(response)
        finally:
            connection.close()

    def stream(self, *parts: str, **query: str | int | None) -> Iterator[Json]:
        """Documents as they come, until the daemon ends the answer or goes away."""
        connection, response = self._call("GET", _target(parts, query), None, None)
        try:
            if response.status != 200:
                _document(response)
            for line in response:
                if line.strip():
                    yield json.loads(line)
        except (http.client.HTTPException, ConnectionError):
            return
        finally:
            connection.close()

    def command(
        self, verb: str, target: str, params: Mapping[str, str], override: str = "", document: Json | None = None
    ) -> Json:
        """Ask for something: `{"plan": id, "decision": {…}}` once the decision is durable. `document`: the compose
        services it is to be recreated from."""
        body: Json = {"verb": verb, "target": target, "params": dict(params), "override": override}
        return self.post("command", body=body | ({"document": document} if document else {}))

    def post(self, *parts: str, body: Json) -> Json:
        """Send one document, get one back. Errors as those of `get`."""
        connection, response = self._call("POST", _target(parts, {}), json.dumps(body), _PATIENCE)
        try:
            return _document(response)
        finally:
            connection.close()

    def prometheus(self, name: str, form: Mapping[str, str]) -> Json:
        """What the Prometheus API at /api/v1/NAME answers: a success or an error, in its own form."""
        kind = "application/x-www-form-urlencoded"
        connection, response = self._call("POST", f"/api/v1/{name}", urlencode(form), _PATIENCE * 12, kind)
        try:
            if response.status in (400, 422, 503):
                document: Json = json.loads(response.read())
                return document
            return _document(response)
        except ValueError:
            raise ResurgamError(f"the daemon's answer cannot be read ({response.status}); see its log") from None
        finally:
            connection.close()

    def _call(
        self, method: str, target: str, body: str | None, timeout: float | None, kind: str = "application/json"
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(self.path, timeout)
        try:
            connection.request(method, target, body, {"Content-Type": kind} if body else {})
            return connection, connection.getresponse()
        except PermissionError:
            text = f"you may not use {self.path}; use sudo, or join its group and log in again"
            raise Refused("not_owned", text) from None
        except TimeoutError:
            connection.close()
            raise ResurgamError(
                f"the daemon at {self.path} did not answer in {timeout or 0:.0f} s; see its log"
            ) from None
        except (OSError, http.client.HTTPException):
            connection.close()
            text = f"no daemon answers at {self.path}; start it with `resurgam run`, or name its socket with --socket"
            raise DaemonAbsent(text) from None


def _target(parts: tuple[str, ...], query: Mapping[str, str | int | None]) -> str:
    path = "/v1/" + "/".join(quote(part, safe="") for part in parts)
    given = {name: value for name, value in query.items() if value is not None and value != ""}
    return path + ("?" + urlencode(given) if given else "")


def _document(response: http.client.HTTPResponse) -> Json:
    try:
        document: Any = json.loads(response.read())
    except ValueError:
        document = {}
    except TimeoutError:
        raise ResurgamError("the daemon stopped in the middle of its answer; ask again, or see its log") from None
    if not isinstance(document, dict):
        document = {}
    found: Json = document
    if response.status == 200:
        return found
    text = document.get("error") or document.get("sentence") or f"the daemon answered {response.status}"
    if response.status == 403:
        raise Refused("not_owned", text)
    if response.status in (400, 404, 413, 415):
        raise UsageError(text)
    raise ResurgamError(text)
