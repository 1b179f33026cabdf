"""`resurgam replay [SOURCE]`: what a rule set would have fired, and done, over what was recorded.

In: a state folder of a stopped daemon (or a copy), the JSON of a Prometheus range query, or nothing: then the running
daemon is asked for its recording. Out: alerts and deeds in time order; with `--against` in what a second rule set
differs. Nothing is touched. Exit 1 where the two differ.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from supervisor import config
from supervisor.cli import features
from supervisor.cli.client import Client
from supervisor.cli.output import Output, counted
from supervisor.core.standing import Loaded
from supervisor.errors import AlreadyRunning, UsageError
from supervisor.facts import Json
from supervisor.lab.recording import Recording, from_daemon, from_export, from_folder
from supervisor.lab.rehearsal import Deed, Fired, Played
from supervisor.lab.replay import Difference, difference, replay
from supervisor.lab.rulesets import ruleset
from supervisor.units import duration, iso, show_duration

_MOST_SERVICES = 12
"""named for people; -o json has all"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to play, to which rules."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a state folder, or a file with a range query's answer (default: ask the running daemon)",
    )
    paths = "rule files, playbook files, folders, or the word `shipped`"
    parser.add_argument("--rules", nargs="+", metavar="PATH", help=f"{paths} (default: what `run` would use)")
    parser.add_argument("--against", nargs="+", metavar="PATH", help="another rule set, to say in what the two differ")
    parser.add_argument("--from", dest="since", metavar="T", help="RFC 3339, unix seconds, or -2h before the end")
    parser.add_argument("--to", dest="until", metavar="T", help="the same")
    features.argument(parser)


def run(args: argparse.Namespace) -> int:
    """Play, and print."""
    delayed = features.delayed_names(args)
    _find_source(args)
    path = config.find(args.config)
    settings = config.load(path, check_trust=False) if path is not None else config.Settings()
    a = ruleset(args.rules or settings.rules, settings)
    b = ruleset(args.against, settings) if args.against else None
    with ExitStack() as opened:
        recording = _open(args, opened)
        if recording.first == 0 == recording.last:
            raise UsageError(f"nothing is recorded in {recording.name}, so there is nothing to replay")
        since = max(_moment(args.since, recording, recording.first), recording.first)
        until = min(_moment(args.until, recording, recording.last), recording.last)
        if since > until:
            shown = f"{iso(recording.first / 1000)} to {iso(recording.last / 1000)}"
            raise UsageError(f"--from is later than --to within what was recorded, which is {shown}")
        with_a = replay(recording, a, since, until, delayed)
        with_b = replay(recording, b, since, until, delayed) if b is not None else None
        services = [one.id for one in recording.actors(lambda _ident: None)]
    found = difference(with_a, with_b) if with_b is not None else []
    output = Output(args.output)
    if output.for_people:
        _say(output, recording, services, since, until, a, with_a)
        if b is not None:
            _say_difference(output, b, found, since / 1000)
    else:
        output.document(_document(recording, services, since, until, with_a, with_b, found))
    return 1 if found else 0


def _find_source(args: argparse.Namespace) -> None:
    """`--rules a.yaml STATE` reads like a source after an option, but argparse takes it for one more rule file."""
    for listed in (args.rules, args.against):
        if not args.source and listed and len(listed) > 1:
            last = Path(listed[-1])
            if last.suffix == ".json" or (last / "recorder.db").exists():
                args.source = listed.pop()


def _open(args: argparse.Namespace, opened: ExitStack) -> Recording:
    if not args.source:
        return from_daemon(Client.of(args).stream("recording"))
    path = Path(args.source)
    if not path.exists():
        raise UsageError(f"{path} does not exist; name a state folder, a JSON file, or leave it out")
    try:
        return from_folder(path, opened) if path.is_dir() else from_export(path)
    except AlreadyRunning as err:
        raise UsageError(str(err)) from None


def _moment(text: str | None, recording: Recording, default: int) -> int:
    """An instant in ms; `-2h` counts back from the end of the recording."""
    if not text:
        return default
    try:
        if text.startswith("-"):
            return recording.last - round(duration(text[1:]) * 1000)
        if text.replace(".", "", 1).isdigit():
            return round(float(text) * 1000)
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; write 2026-01-31T12:00:00Z, unix seconds, or -2h") from None
    if when.tzinfo is None:
        raise UsageError(f"{text!r} has no time zone; write it with one: {text}Z")
    return round(when.timestamp() * 1000)


# ---------------------------------------------------------------- for people


def _say(
    output: Output, recording: Recording, services: Sequence[str], since: int, until: int, rules: Loaded, played: Played
) -> None:
    start = since / 1000
    output.line(
        f"{show_duration((until - since) / 1000)} of {recording.name}, {iso(start)} to {iso(until / 1000)}: "
        f"{len(recording.series)} series, {counted(len(rules.rules.rules), 'rule')}, "
        + counted(len(rules.playbooks), "playbook"),
        "bold",
    )
    named = ", ".join(services[:_MOST_SERVICES]) or "none, so only the host is looked after"
    if len(services) > _MOST_SERVICES:
        named += f" and {len(services) - _MOST_SERVICES} more"
    output.line(
        f"services, simulated: healthy at first, and ours unless the configuration says otherwise: {named}", "dim"
    )
    for trouble in played.troubles:
        output.line(f"a rule erred: {trouble}", "yellow")
    lines = [(one.at, *_alert(one)) for one in played.fired]
    lines += [(deed.at, *_deed(deed)) for deed in played.deeds if not deed.quiet]
    for at, text, colour in sorted(lines, key=lambda line: line[0]):
        output.line(f"{iso(start + at) if at >= 0 else 'before':<24}  {text}", colour)
    quiet = len([deed for deed in played.deeds if deed.quiet])
    if not lines:
        output.line("No alert would have fired, and nothing would have been done.")
    elif quiet:
        said = f"left out: {counted(quiet, 'refusal')} because something else was being done; -o json has all"
        output.line(said, "dim")


def _alert(one: Fired) -> tuple[str, str]:
    how_long = "to the end" if one.until is None else f"for {show_duration(one.until - max(one.at, 0.0))}"
    said = f": {one.text}" if one.text != one.name else ""
    return f"fires    {one.name} {one.subject} {how_long}{said}", "red"


def _deed(deed: Deed) -> tuple[str, str]:
    if deed.outcome == "refused":
        return f"refused  {deed.verb} {deed.target} ({deed.reason}): {deed.text}", "yellow"
    return f"does     {deed.verb} {deed.target}, {deed.outcome} by {deed.by}: {deed.cause}", "green"


def _say_difference(output: Output, other: Loaded, found: Sequence[Difference], start: float) -> None:
    output.line()
    if not found:
        output.line(
            f"The other rule set ({counted(len(other.rules.rules), 'rule')}, B) would have done the same.", "green"
        )
        return
    sides = {"a": "only A", "b": "only B", "both": "differs"}
    output.line(f"Against the other rule set ({counted(len(other.rules.rules), 'rule')}, B):", "bold")
    for one in found:
        when = iso(start + one.at) if one.at >= 0 else "before"
        output.line(f"{when:<24}  {sides[one.side]:<8} {one.what}: {one.text}", "yellow")


# ---------------------------------------------------------------- for machines


def _document(
    recording: Recording,
    services: Sequence[str],
    since: int,
    until: int,
    a: Played,
    b: Played | None,
    found: Sequence[Difference],
) -> Json:
    start = since / 1000
    document: Json = {
        "source": recording.name,
        "from": iso(start),
        "to": iso(until / 1000),
        "series": len(recording.series),
        "services": list(services),
        **_played(a, start),
    }
    if b is not None:
        document["against"] = _played(b, start)
        document["differences"] = [
            {"at": iso(start + one.at), "side": one.side, "what": one.what, "text": one.text} for one in found
        ]
    return document


def _played(played: Played, start: float) -> Json:
    return {
        "alerts": [
            {
                "alertname": one.name,
                "labels": dict(one.labels),
                "subject": one.subject,
                "from": iso(start + one.at),
                "to": None if one.until is None else iso(start + one.until),
                "text": one.text,
            }
            for one in played.fired
        ],
        "actions": [
            {
                "at": iso(start + deed.at),
                "verb": deed.verb,
                "target": deed.target,
                "outcome": deed.outcome,
                "reason": deed.reason,
                "by": deed.by,
                "cause": deed.cause,
                "text": deed.text,
                "quiet": deed.quiet,
            }
            for deed in played.deeds
        ],
        "troubles": list(played.troubles),
    }
