"""The real daemon, made to die at a point of a maneuver: its commits and its writes to the engine, before and after.

    python -m tests.support.killable POINT RECORD -- run --config resurgam.yaml

runs `resurgam run …` and ends it with SIGKILL at POINT (empty: never). RECORD gets a line for every point passed.
In a nursery it can be made to stand still there instead (SIGSTOP), for a person to do something in exactly that moment.
Points count from the moment a phoenix or a swap is planned. They have names, because a turn may hold more facts in one
run than in the next: `before commit begin stop`, `after write rename#2`.

    python -m tests.support.killable

is a nursery (tests/support/daemon.py talks to it): it imports Resurgam once and forks a daemon per line of JSON on
stdin, which saves a second of importing each time. Each can be given a *view*: it then sees only the containers with
that value of the label VIEW, as if it were alone on the engine. Nothing of this is known to the code that is tested.
"""

import ctypes
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import docker

from supervisor.engines.docker import DockerEngine
from supervisor.engines.docker.stream import Stream
from supervisor.facts import EngineEvent, Json
from supervisor.journal import Batch, Journal, Row

WRITES = ("create", "put_archive", "start", "stop", "rename", "remove", "set_policy", "tag", "untag")
MANEUVERS = ("phoenix", "swap")
VIEW = "rsgr.view"
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG"""


class Points:
    """Counts points, records them, and kills at the one that is wanted. `number` is the signal for it."""

    def __init__(self, wanted: str, record: str, number: int = signal.SIGKILL) -> None:
        self._wanted, self._number = wanted, number
        self._file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._seen: Counter[str] = Counter()
        self.armed = False

    def names(self, words: Sequence[str]) -> list[str]:
        """Each word with its number, from the second time on."""
        made = []
        for word in words:
            self._seen[word] += 1
            made.append(word if self._seen[word] == 1 else f"{word}#{self._seen[word]}")
        return made

    def passing(self, when: str, names: Sequence[str]) -> None:
        """Here is a point; several names where one commit holds several rows."""
        found = [f"{when} {name}" for name in names]
        os.write(self._file, (" | ".join(found) + "\n").encode())
        if self._wanted in found:
            os.kill(os.getpid(), self._number)


def word(row: Row) -> str:
    """A short name for a row: `begin stop`, `container.died`."""
    step = row.body.get("step")
    return f"{row.kind.removeprefix('action.')} {step}" if step else row.kind


def install(points: Points) -> None:
    """Put the points around every commit of the journal and every write of the engine."""
    plain_commit = Journal.commit

    def commit(journal: Journal, batch: Batch) -> None:
        if any(row.kind == "action.planned" and row.body.get("verb") in MANEUVERS for row in batch.rows):
            points.armed = True
        if not points.armed or batch.empty:
            plain_commit(journal, batch)
            return
        names = points.names([f"commit {word(row)}" for row in batch.rows] or ["commit of kept values"])
        points.passing("before", names)
        plain_commit(journal, batch)
        points.passing("after", names)

    Journal.commit = commit  # type: ignore[method-assign]
    for write in WRITES:
        setattr(DockerEngine, write, _around(points, write, getattr(DockerEngine, write)))


def _around(points: Points, write: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    async def watched(engine: DockerEngine, *args: Any) -> Any:
        if not points.armed:
            return await plain(engine, *args)
        names = points.names([f"write {write}"])
        points.passing("before", names)
        answer = await plain(engine, *args)
        points.passing("after", names)
        return answer

    return watched


def run(argv: Sequence[str]) -> int:
    """The daemon's own command line."""
    from supervisor.cli.main import main

    return main(argv)


def one(point: str, record: str, argv: Sequence[str], number: int = signal.SIGKILL) -> int:
    """One daemon in this process. With no record it is the daemon as it is."""
    if record:
        install(Points(point, record, number))
    return run(argv)


# ------------------------------------------------------------ the nursery


def nursery() -> None:
    """Fork a daemon per request `{"argv", "log", "env", "point", "signal", "record", "patience", "view"}`; answer
    `{"pid"}`. `patience` are waiting times that are shorter than in earnest: {"module:NAME": seconds}.

    A request `{"wait": pid}` answers `{"code"}`, null while it lives; the number is negative for a signal.
    """
    import supervisor.daemon  # noqa: F401 - what all the children need

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            answer = {"pid": _fork(request)}
        print(json.dumps(answer), flush=True)


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        _child(request)
        code = one(request["point"], request["record"], request["argv"], request["signal"])
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _child(request: dict[str, Any]) -> None:
    # a test run that is killed must not leave daemons behind
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["env"])
    for place, value in request["patience"].items():
        module, _, name = place.partition(":")
        assert hasattr(sys.modules[module], name), place
        setattr(sys.modules[module], name, value)
    if request["view"]:
        narrow(request["view"])


def narrow(view: str) -> None:
    """See only the containers whose label VIEW says so. Images are seen whole."""
    plain_list, plain_shape = docker.APIClient.containers, Stream.shape

    def containers(client: docker.APIClient, **options: Any) -> Any:
        return plain_list(client, **options, filters={"label": f"{VIEW}={view}"})

    def shape(stream: Stream, raw: Json) -> EngineEvent | None:
        event = plain_shape(stream, raw)
        other = event is not None and event.type == "container" and event.attributes.get(VIEW) != view
        return None if other else event

    docker.APIClient.containers = containers
    Stream.shape = shape  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        nursery()
    else:
        split = sys.argv.index("--")
        sys.exit(one(sys.argv[1], sys.argv[2], sys.argv[split + 1 :]))
