"""`resurgam swap|load|unload|sleep|wake|keep|bench SLOT`: another model in a slot, one put away, one measured.

In: the verb table (its parameters become options), the slots of /v1/status. Out: the plan's phases as they come, with
the time that went by and the expected end, then the GO/NO-GO report; exit 0 GO (or done), 1 for a NO-GO, a way back or
any other end, 3 refused. `--dry-run` shows the plan and touches nothing. Ctrl-C only stops following.
"""

import argparse
from collections.abc import Sequence
from datetime import datetime

from supervisor.cli import act, status_slots
from supervisor.cli import plan as preview
from supervisor.cli.client import Client
from supervisor.cli.events import COLOURS
from supervisor.cli.output import Output
from supervisor.errors import DaemonAbsent, Refused, UsageError
from supervisor.facts import Json
from supervisor.units import show_duration
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason
from supervisor.views.slots import report_document

LASTING = (
    *("dry_run", "drain", "freed", "start", "ready", "warmup", "bench", "canary", "move", "drain_old"),
    *("back_stop", "back_freed", "back_start", "back_ready"),
)
"""steps that may take long: their beginning is told, too"""
REPORTS = ("model.swapped", "model.no_go")
"""kinds of rows that carry the report"""
_LIFTABLE = ("veto", "budget_service", "budget_host")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The slot, and the parameters of the verb with the names they have in rules and playbooks."""
    verb = VERBS[parser.prog.split()[-1]]
    act.target(parser, verb)
    parameters(parser, verb.name)
    parser.add_argument("--dry-run", action="store_true", help="show what it would do, with sizes; nothing is touched")
    parser.add_argument(
        "--override", default="", metavar="REASON", help="lift budget, cooldown, brake and veto this once, and say why"
    )
    parser.add_argument("--no-follow", action="store_true", help="do not wait for the end")


def parameters(parser: argparse.ArgumentParser, verb: str) -> None:
    """The verb's parameters as options."""
    for name, param in VERBS[verb].params.items():
        text = param.help + (f" (default {param.default})" if param.default not in ("", "false") else "")
        if param.kind == "flag":
            parser.add_argument(f"--{name}", action="store_const", const="true", default="", help=text)
        else:
            word = "MODEL" if name in ("to", "model") else param.kind.upper()
            parser.add_argument(f"--{name}", default="", metavar=word, help=text)


def run(args: argparse.Namespace) -> int:
    """Ask, tell, follow."""
    client, output = Client.of(args), Output(args.output)
    params = {name: getattr(args, name) for name in VERBS[args.command].params if getattr(args, name)}
    aim, params = aimed(client, args.command, args.service, params)
    if args.dry_run:
        return _foreseen(client, output, args, aim, params)
    answer = client.command(args.command, aim, params, args.override)
    decision, plan = answer["decision"], answer["plan"]
    already = decision["reason"] == Reason.ALREADY_DONE
    if not decision["allowed"] and not already:
        if not output.for_people:
            output.document(answer)
        raise Refused(decision["reason"], f"refused: {decision['text']}{_way(decision['reason'])}")
    if output.for_people:
        output.line(decision["text"])
    if args.no_follow or not plan or already:
        if not output.for_people:
            output.document(answer)
        return 0
    try:
        ended = follow(client, plan, output)
    except KeyboardInterrupt:
        output.line(f"plan {plan} goes on; `resurgam show {plan}` tells how it ends")
        return 130
    report = report_of(ended)
    if output.for_people:
        _ended(ended, report, output)
    else:
        output.document(answer | {"outcome": ended, "report": report})
    return 0 if ended["state"] == "verified" and (report or {}).get("verdict") != "NO-GO" else 1


def _way(reason: str) -> str:
    """What a person may do about a refusal of this kind; '' where only its own text knows."""
    return " To do it all the same, once: --override 'why'." if reason in _LIFTABLE else ""


def aimed(client: Client, verb: str, word: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
    """(the target, the parameters) that a word means: a model's name stands for its slot and that model. What is
    neither goes to the daemon as it is, which says what there is. UsageError for a model of several slots."""
    if params.get("model"):
        return word, params
    status = client.get("status")
    slots = status.get("slots", [])
    if word in [one["slot"] for one in slots] or word.startswith("slot:"):
        return word, params
    if verb == "unload" and word in [name for one in status["services"] for name in (one["service"], one["container"])]:
        return word, params
    found = _models(slots, word)
    if not found:
        return word, params
    slot, model = found[0]
    if verb == "swap":
        raise UsageError(f"{word} is a model, not a slot; write: resurgam swap {slot} --to {model}")
    if len(found) > 1:
        names = ", ".join(f"{name} of {where}" for where, name in found)
        raise UsageError(f"{word} stands for {names}; write: resurgam {verb} {slot} --model {model}")
    return slot, params | {"model": model}


def _models(slots: Sequence[Json], word: str) -> list[tuple[str, str]]:
    """(slot, model) of the models of that name; of none, those that the service of that name carries."""
    every = [(slot["slot"], model) for slot in slots for model in slot["models"]]
    named = [(slot, model["name"]) for slot, model in every if model["name"] == word]
    return named or [(slot, model["name"]) for slot, model in every if model["service"] == word]


def _foreseen(client: Client, output: Output, args: argparse.Namespace, aim: str, params: dict[str, str]) -> int:
    body: Json = {"verb": args.command, "target": aim, "params": params, "override": args.override}
    document = client.post("preview", body=body)
    if output.for_people:
        preview.show(document, output)
    else:
        output.document(document)
    return 0 if document["allowed"] or document["reason"] == Reason.ALREADY_DONE else 3


# ------------------------------------------------------------ following


def follow(client: Client, plan: int, output: Output) -> Json:
    """The plan's phases as they come; the plan itself at its end. DaemonAbsent where the daemon goes first."""
    printer = Phases(output)
    for item in client.stream("plans", str(plan), wait=1):
        if "event" in item and output.for_people:
            printer.show(item["event"])
        if item.get("plan"):
            ended: Json = item["plan"]
            return ended
    raise DaemonAbsent(f"the daemon ended while plan {plan} was open; its next start finishes or undoes it")


class Phases:
    """One line for each phase that is over, one for the beginning of those that last."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = self._expected = 0.0
        """unix seconds"""
        self._told = ("", "")

    def show(self, event: Json) -> None:
        """One row of the plan, or of its slot."""
        body, kind = event["body"], event["kind"]
        self._began = self._began or event["time"]
        expected = body.get("expected") if kind.startswith("model.") else None
        if isinstance(expected, int | float) and not isinstance(expected, bool):
            self._expected = float(expected)
        step = str(body.get("step") or "")
        if kind == "action.begin" and step in LASTING:
            self._line(step, f"begins{self._until(event['time'])}", "dim")
            self._told = (step, "")
        elif kind == "action.end" and step:
            self._end(step, body, event["time"])
        elif kind in ("action.halt", "action.recovered", "action.approval", "action.approved", "action.denied"):
            self._output.line(f"  {event['text']}", COLOURS.get(kind, "yellow"))

    def _end(self, step: str, body: Json, at: float) -> None:
        """What a step says for itself; of one that lasted and says nothing, that it is over."""
        text = str(body.get("text") or "") or ("done" if body.get("ok", True) and self._told == (step, "") else "")
        if text and (step, text) != self._told:
            self._line(step, f"{text}{self._since(at)}", "" if body.get("ok", True) else "yellow")
            self._told = (step, text)

    def _line(self, step: str, text: str, colour: str) -> None:
        self._output.line(f"  {step:<10} {text}", colour)

    def _since(self, at: float) -> str:
        gone = round(at - self._began)
        return f"  [{show_duration(gone)}]" if gone >= 1 else ""

    def _until(self, at: float) -> str:
        if self._expected <= at:
            return ""
        then = datetime.fromtimestamp(self._expected).strftime("%H:%M")
        return f"; the end is expected at {then} (in {show_duration(round(self._expected - at))})"


def report_of(ended: Json) -> Json | None:
    """The GO/NO-GO report of a plan that has ended; None where it left none (nothing was touched)."""
    reports = [event["body"].get("report") for event in ended["events"] if event["kind"] in REPORTS]
    return report_document(reports[-1]) if reports and isinstance(reports[-1], dict) and reports[-1] else None


def _ended(ended: Json, report: Json | None, output: Output) -> None:
    """How it ended: the report's lines where there are some, and its one sentence."""
    rows: Sequence[Sequence[object]] = status_slots.report_rows(report) if report is not None else []
    if rows:
        output.line()
        output.table(status_slots.REPORT_HEADS, rows)
    text = (report or {}).get("text") or ended["text"]
    good = ended["state"] == "verified" and (report or {}).get("verdict") != "NO-GO"
    output.line()
    output.line(str(text), "green" if good else "red" if ended["state"] in ("degraded", "failed") else "yellow")
