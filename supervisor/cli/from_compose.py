"""`resurgam phoenix SERVICE|PROJECT --from-compose FILE`: read the file as the person, show what would change, ask.

In: a compose file, `.env` and env_files beside it, this process' environment; what the daemon says of the containers
that run. Out: the resolved services to send with the command; the daemon opens no file of ours. A compose program is
not needed; where one is found that made these containers, it is asked for its hashes, so that a later `up -d` leaves
the result alone.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.errors import Refused, UsageError
from supervisor.facts import Json

_PATIENCE = 20.0
"""seconds a compose program may take"""
_HASH = re.compile(r"(\S+) ([0-9a-f]{32,128})")
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml",
              "docker-compose.override.yaml")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `phoenix` has beside its parameters."""
    parser.add_argument("--from-compose", default="", metavar="FILE", help="recreate it as this compose file says")
    parser.add_argument("--yes", action="store_true", help="with --from-compose: show the differences, do not ask")


def resolve(args: argparse.Namespace, client: Client, output: Output) -> Json | None:
    """The services of the file, to be sent with the command; None where the person said no. ConfigError for a file with
    mistakes, Refused where it cannot be done; then nothing was done."""
    if args.image:
        raise UsageError("--image and --from-compose exclude each other: the file names the image")
    # what reads a compose file costs a moment: nobody who does not want it waits for it
    from supervisor.actions.compose.sources import AsPerson, read_file

    path = find(args.from_compose)
    project = read_file(str(path), AsPerson(os.environ, str(Path.home())))
    notes = list(project.notes)
    notes += [f"{name} beside it was not read; compose itself would merge it." for name in _beside(path)]
    documents = project.documents()
    told = client.post("compose", body=_wish(args.service, documents))
    wanted = {one["name"]: documents[one["name"]] for one in told["services"]}
    if output.for_people:
        _show(told, notes, output)
    troubles = [f"{one['service']}: {one['trouble']}" for one in told["services"] if one["trouble"]]
    if troubles:
        raise Refused("bad_parameter", f"nothing was done. {' '.join(troubles)}")
    if not wanted:
        return documents  # the daemon says what is wrong with the target
    if not args.yes and not _agreed(args.service):
        output.line("nothing was done")
        return None
    versions = sorted({one["compose"] for one in told["services"]})
    hashes, why = config_hashes(path, told["project"], tuple(wanted), versions)
    if why and output.for_people:
        output.line(f"{why} The next `compose up` makes it anew once.", "dim")
    return {
        name: {**found, **({"config_hash": hashes[name]} if name in hashes else {})} for name, found in wanted.items()
    }


def find(given: str) -> Path:
    """The compose file's absolute path; UsageError where there is none."""
    from supervisor.actions.compose.reading import NAMES

    path = Path(os.path.abspath(os.path.expanduser(given)))
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"there is no compose file in {path}; it would be called {' or '.join(NAMES)}")


def _beside(path: Path) -> list[str]:
    return [name for name in _OVERRIDES if (path.parent / name).is_file() and path.name != name]


def _wish(target: str, documents: Json) -> Json:
    return {"verb": "phoenix", "target": target, "params": {}, "document": documents}


def _show(told: Json, notes: Sequence[str], output: Output) -> None:
    for one in told["services"]:
        output.line(one["service"], "bold")
        for difference in one["differences"]:
            output.line(("  ! " if difference["widens"] else "  ") + difference["text"], _colour(difference["widens"]))
        if not one["differences"] and not one["trouble"]:
            output.line("  nothing differs; it is made anew all the same", "dim")
        for note in one["notes"]:
            output.line(f"  {note}", "dim")
        if one["trouble"]:
            output.line(f"  {one['trouble']}", "red")
    if told["new"]:
        output.line(f"only in the file, and not made: {', '.join(told['new'])}", "dim")
    if told["gone"]:
        output.line(f"not in the file, and left alone: {', '.join(told['gone'])}", "dim")
    for note in notes:
        output.line(note, "dim")
    if any(difference["widens"] for one in told["services"] for difference in one["differences"]):
        output.line("What begins with ! widens rights: it waits for `resurgam approve`.", "yellow")


def _colour(widens: bool) -> str:
    return "yellow" if widens else ""


def _agreed(target: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here; look at the differences, then add --yes")
    return input(f"Recreate {target} so? [y/N] ").strip().lower() in ("y", "yes")


# ------------------------------------------------------------ the hash that compose knows its containers by


def config_hashes(
    path: Path, project: str, services: Sequence[str], versions: Sequence[str]
) -> tuple[Mapping[str, str], str]:
    """(service -> hash, ''), or ({}, why there are none). `versions`: of the compose that made the containers; only one
    of the same generation hashes alike."""
    made_by = {version.lstrip("v").partition(".")[0] or "?" for version in versions}
    tools: dict[str, list[str]] = {}
    if shutil.which("docker-compose"):
        tools |= _generation(["docker-compose", "version", "--short"], ["docker-compose"])
    if shutil.which("docker"):
        tools |= _generation(["docker", "compose", "version", "--short"], ["docker", "compose"])
    if len(made_by) != 1 or next(iter(made_by)) not in tools:
        return {}, "No compose program of the kind that made these containers is here, so their config-hash stays."
    tool = tools[next(iter(made_by))]
    options = ["-f", str(path), *(["-p", project] if project else []), "config", "--hash", ",".join(services)]
    said = _said([*tool, *options], path.parent)
    found = {match[1]: match[2] for match in map(_HASH.fullmatch, said.splitlines()) if match}
    missing = [name for name in services if name not in found]
    if missing:
        return {}, f"{' '.join(tool)} gave no hash for {', '.join(missing)}, so their config-hash stays."
    return found, ""


def _generation(argv: list[str], tool: list[str]) -> dict[str, list[str]]:
    said = _said(argv, Path("/")).strip().lstrip("v")
    major = said.partition(".")[0]
    return {major: tool} if major.isdigit() else {}


def _said(argv: list[str], folder: Path) -> str:
    """What a compose program prints; '' where it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, the person's own file, names of its services
            argv, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
