"""`resurgam plan VERB SERVICE`: exactly what would happen, and nothing is touched.

In: /v1/preview of the daemon, with the same words as the command itself. Out: whether it would be done now, the images,
the steps and the way back, the fidelity report, what it may have to wait for. Exit 0 it would be done, 3 it would be
refused.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.cli.act import target
from supervisor.cli.client import Client
from supervisor.cli.foreseen import SLOT_BACK, SLOT_STEPS, lines_of_slot
from supervisor.cli.output import Output, counted
from supervisor.facts import SLOT, Json
from supervisor.units import plain, short_image, show_duration
from supervisor.verbs import GENTLE, OF_SLOTS, VERBS

PLANNED = (
    *("phoenix", "rollback", "restart", "start", "stop", *GENTLE, "quiesce", "gpu-reset", "reboot"),
    *(verb for verb in OF_SLOTS if verb not in (*GENTLE, "keep")),
)
_STEPS = {
    "look": "look at it once more",
    "protect": "tag the image, so that no clean-up takes it",
    "before": "run the backup inside, and check it",
    "create": "make the new container, while the old one serves",
    "stop": "stop it with its own signal and grace",
    "hold": "take its restart policy away, so that nothing starts it",
    "keep_down": "take its restart policy away, so that it stays down",
    "park": "give it another name",
    "adopt": "give the new one its name",
    "room": "wait for what the old one held (ports, memory)",
    "policy": "give it its restart policy back",
    "start": "start it",
    "verify": "watch until it is well",
    "probation": "watch until it is proved healthy",
    "commit": "it is the service now",
    "retag": "let the tag stand for that image, too",
    "spare": "keep what was before, never started",
    "clear": "remove the old one",
    "unload": "ask its server to put the model away, and see what comes back",
    "drop-cache": "let the kernel forget the files of its model",
    "reclaim": "let the kernel take memory back",
    "fuse": "slow it down where it grows on; it ends by itself",
    "unfuse": "take the fuse away",
    "freeze": "let it stand still; it goes on by itself",
    "thaw": "let it go on",
    "raise-limit": "write the higher limit; its next start has the old one again",
    "reset": "let go of the driver, and reset the card",
    "reboot": "wait ten seconds, and ask the system to restart the machine",
}
_BACK = {
    "back_stop": "stop it",
    "back_aside": "keep the new one aside, to be looked at",
    "back_name": "give the old one its name back",
    "back_policy": "give it its restart policy back",
    "back_start": "start it if it ran",
    "back_verify": "watch until it is healthy",
}
"""the steps of a way back that a person wants to know of"""
_WORDS = {
    "lost": "cannot be carried over",
    "ambiguous": "yours or the image's? nobody can tell",
    "changed": "changed on purpose",
    "image": "comes with the image",
    "kept": "stays as it is",
}
_MOST_NAMES = 14


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb, the service, and the parameters of the verb, as the command itself has them."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in PLANNED:
        verb = VERBS[name]
        one = verbs.add_parser(
            name, help=verb.help, description=f"What it would do to {verb.help}; nothing is touched."
        )
        target(one, verb)
        for key, param in verb.params.items():
            text = param.help + (f" (default {param.default})" if param.default else "")
            if param.kind == "flag":
                option = f"--{key.replace('_', '-')}"
                one.add_argument(option, action="store_const", const="true", default="", help=text)
            else:
                one.add_argument(f"--{key}", default="", metavar=param.kind.upper(), help=text)
        if name == "phoenix":
            one.add_argument("--from-compose", default="", metavar="FILE", help="as this compose file says")
        one.add_argument("--override", default="", metavar="REASON", help="as if given with the command")
        one.add_argument("--all", action="store_true", help="every field that stays, not only its name")
        one.add_argument(
            "-o", "--output", choices=("table", "json", "yaml"), default=argparse.SUPPRESS, help="how to print"
        )
        one.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="resurgam.yaml to use")
        one.add_argument("--socket", metavar="PATH", default=argparse.SUPPRESS, help="the daemon's control socket")


def run(args: argparse.Namespace) -> int:
    """Ask, and print."""
    client, output = Client.of(args), Output(args.output)
    params = {name: getattr(args, name) for name in VERBS[args.verb].params if getattr(args, name)}
    body: Json = {"verb": args.verb, "target": args.service, "params": params, "override": args.override}
    if getattr(args, "from_compose", ""):
        body["document"] = _services_of(args.from_compose)
    document = client.post("preview", body=body)
    if output.for_people:
        show(document, output, whole=args.all)
    else:
        output.document(document)
    return 0 if document["allowed"] else 3


def _services_of(given: str) -> Json:
    """The services of a compose file, resolved as the person who asks; ConfigError for a file with mistakes."""
    # what reads a compose file costs a moment: nobody who does not want it waits for it
    from supervisor.actions.compose.sources import AsPerson, read_file
    from supervisor.cli import from_compose

    project = read_file(str(from_compose.find(given)), AsPerson(os.environ, str(Path.home())))
    documents: Json = project.documents()
    return documents


def show(document: Json, output: Output, *, whole: bool = False) -> None:
    """The preview for people."""
    what = f"{document['verb']} {document['target'].removeprefix(SLOT) or '?'}"
    if document["allowed"]:
        output.line(f"{what}: it would be done now.", "green")
    else:
        output.line(f"{what}: it would be refused now ({document['reason']}).", "red")
        output.line(f"  {document['text']}")
    for note in document["notes"]:
        output.line(f"  {note}")
    stages = document["stages"]
    if len(stages) > 1:
        names = ", ".join(stage["service"] for stage in stages)
        output.line(f"{counted(len(stages), 'plan')}, one after the other: {names}")
    if document["left"]:
        output.line(f"left alone: {', '.join(document['left'])}")
    for number, stage in enumerate(stages, 1):
        if len(stages) > 1:
            output.line()
            output.line(f"{number}. {stage['verb']} {stage['service']}", "bold")
            if stage["refused"]:
                output.line(f"  it would be refused now: {stage['refused']['text']}", "red")
        _stage(stage, output, whole)
    output.line()
    output.line("Nothing was touched.", "dim")


def _stage(stage: Json, output: Output, whole: bool) -> None:
    image = stage.get("image") or {}
    if image.get("to"):
        same = image["from"] == image["to"]
        moved = f"{short_image(image['from'])} (the same)" if same else _moved(image)
        output.line()
        output.line(f"image  {image['ref'] + '  ' if image['ref'] else ''}{moved}")
    for change in stage.get("differences") or ():
        output.line(f"  {plain(str(change.get('text') or ''), 300)}")
    for text, colour in lines_of_slot(stage.get("slot") or {}):
        output.line(text, colour)
    if stage["steps"]:
        _steps(stage, output)
    for change in stage.get("rights") or ():
        output.line(
            f"  more rights: {change['text']} ({change['field']}: {change['before']} -> {change['after']})", "red"
        )
    if stage["fidelity"]:
        _fidelity(stage["fidelity"], output, whole)
    _waits(stage, output)


def at_step(plan: Json) -> str:
    """What an open plan is at: `probation: watch until it is proved healthy`; its phase where that has no words."""
    steps, backs = _words_of(str(plan["service"]))
    begun = [step["name"] for step in plan["steps"] if step["state"] in ("begun", "failed")]
    name = begun[-1] if begun else ""
    words = steps.get(name) or backs.get(name) or ""
    return f"{name}: {words}" if words else name or str(plan["phase"])


def _words_of(service: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """(step -> what it does, step of a way back -> what it does): those of slots have words of their own."""
    return (SLOT_STEPS, SLOT_BACK) if service.startswith(SLOT) else (_STEPS, _BACK)


def _moved(image: Json) -> str:
    return f"{short_image(image['from'])} -> {short_image(image['to'])}"


def _steps(stage: Json, output: Output) -> None:
    output.line()
    output.line("steps", "bold")
    steps, backs = _words_of(stage["service"])
    wide = max([10, *[len(step["name"]) for step in stage["steps"] if not step["back"]]])
    away = False
    for step in stage["steps"]:
        if step["back"]:
            continue
        if step["phase"] == "inside" and not away:
            away = True
            stays = stage["verb"] in ("start", "gpu-reset", "reboot", *GENTLE, *OF_SLOTS)
            away_words = "" if stays else "the service is away; "
            output.line(f"  -- from here on {away_words}it is brought to its end, or back --", "dim")
        writes = f"  [{', '.join(step['writes'])}]" if step["writes"] else ""
        output.line(f"  {step['name']:<{wide}} {steps.get(step['name'], '')}{writes}")
    back = [backs[step["name"]] for step in stage["steps"] if step["name"] in backs]
    if back:
        output.line(f"  {'way back':<{wide}} if that fails: {', '.join(back)}")


def _fidelity(traits: list[Json], output: Output, whole: bool) -> None:
    output.line()
    output.line("what becomes of it", "bold")
    for kind, words in _WORDS.items():
        mine = [trait for trait in traits if trait["kind"] == kind]
        if not mine:
            continue
        if kind == "kept" and not whole:
            names = [trait["what"] for trait in mine]
            more = f" and {len(names) - _MOST_NAMES} more (--all)" if len(names) > _MOST_NAMES else ""
            output.line(f"  {kind:<10} {', '.join(names[:_MOST_NAMES])}{more}")
            continue
        output.line(f"  {kind:<10} {words}", "dim" if kind in ("kept", "image") else "yellow")
        same = [trait["what"] for trait in mine if kind == "image" and trait["before"] == trait["after"]]
        for trait in mine:
            if whole or trait["what"] not in same:
                output.line(f"             {_trait(trait)}")
        if same and not whole:
            output.line(f"             unchanged: {', '.join(same)}")


def _trait(trait: Json) -> str:
    before, after = trait["before"], trait["after"]
    value = f" {before} -> {after or 'gone'}" if before and before != after else f" {after}" if after else ""
    if trait["kind"] == "lost" and not after:
        value = f" {before}" if before else ""
    how = f": {trait['how']}" if trait["how"] else ""
    return f"{trait['what']}{value}{how}"


def _waits(stage: Json, output: Output) -> None:
    waits = stage.get("waits") or {}
    lines = [waits["why"]] if waits.get("why") else []
    if waits.get("grace") and any(step["name"] == "stop" for step in stage["steps"]):
        lines.append(f"It gets {show_duration(waits['grace'])} to stop.")
    if waits.get("held"):
        lines.append(f"It would wait: {waits['held']}.")
    lines += stage.get("notes") or []
    if lines:
        output.line()
        output.line("to know", "bold")
    for text in lines:
        output.line(f"  {text}")
