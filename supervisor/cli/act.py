"""`resurgam phoenix|rollback|restart|start|stop|scale SERVICE`: ask for a plan, say its number at once, follow it.
A compose project (or a service whose namespaces others share) is a rollout: several plans, one after the other. So is
`quiesce` of a card (`gpu:0`); `gpu-reset` takes a card, `reboot` the machine.

In: the verb table (its parameters become options). Out: the plan's events; exit 0 verified, 1 any other end, 3 refused.
Ctrl-C only stops following: the plan goes on.
"""

import argparse

from supervisor.cli import from_compose
from supervisor.cli.client import Client
from supervisor.cli.events import Printer, worth_a_line
from supervisor.cli.output import Output
from supervisor.errors import DaemonAbsent, Refused
from supervisor.facts import Json
from supervisor.verbs import VERBS, Verb

LIFTABLE = ("veto", "budget_service", "budget_host")
"""refusals of what a person asks for that `--override` lifts"""
_SLOTS = {
    "swap": ("SLOT", "a slot, as resurgam.yaml names it"),
    "bench": ("MODEL|SLOT", "a model; or a slot: the model that holds it"),
    "unload": ("SLOT|SERVICE", "a slot, one of its models, or a service whose server can put its model away"),
}
"""verb -> how its target is called, and what it is (cli/swap.py)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The service, and the parameters of the verb with the names they have in rules and playbooks."""
    verb = VERBS[parser.prog.split()[-1]]
    target(parser, verb)
    for name, param in verb.params.items():
        text = param.help + (f" (default {param.default})" if param.default else "")
        if param.kind == "flag":
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, action="store_const", const="true", default="", help=param.help)
            continue
        needed = (verb.name, name) in (("scale", "replicas"), ("raise-limit", "to"))
        parser.add_argument(f"--{name}", default="", required=needed, metavar=param.kind.upper(), help=text)
    parser.add_argument(
        "--override", default="", metavar="REASON", help="lift budget, cooldown, brake and veto this once, and say why"
    )
    parser.add_argument("--no-follow", action="store_true", help="do not wait for the end")
    if verb.name == "phoenix":
        from_compose.arguments(parser)


def target(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """What it is aimed at: a service, a slot, a card, or (where nothing is named) the machine."""
    if "slot" in verb.targets:
        name, text = _SLOTS.get(verb.name, ("SLOT", "a slot, or one of its models"))
        parser.add_argument("service", metavar=name, help=text)
        return
    if "host" in verb.targets and "service" not in verb.targets:
        text = "the card it is for (gpu:0, or its UUID); left out: the machine itself"
        parser.add_argument("service", metavar="CARD", nargs="?", default="host", help=text)
    elif "service" not in verb.targets:
        parser.add_argument("service", metavar="CARD", help="gpu:0, an index, or a UUID (or its beginning)")
    elif "gpu" in verb.targets:
        text = "a service; or a card (gpu:0, or its UUID): everything that uses it"
        parser.add_argument("service", metavar="SERVICE|CARD", help=text)
    else:
        text = "a service id, alias or container name; a compose project"
        parser.add_argument("service", metavar="SERVICE", help=text)


def run(args: argparse.Namespace) -> int:
    """Ask, tell, follow."""
    client, output = Client.of(args), Output(args.output)
    params = {name: getattr(args, name) for name in VERBS[args.command].params if getattr(args, name)}
    document: Json | None = {}
    if args.command == "phoenix" and args.from_compose:
        document = from_compose.resolve(args, client, output)
        if document is None:
            return 3
    answer = client.command(args.command, args.service, params, args.override, document)
    decision, plan = answer["decision"], answer["plan"]
    if not decision["allowed"]:
        if not output.for_people:
            output.document(answer)
        raise Refused(decision["reason"], f"refused: {decision['text']}{_lifted(decision['reason'])}")
    if decision.get("rollout"):
        return rollout(client, answer, output, wait=not args.no_follow)
    if output.for_people:
        waits = "" if decision["text"] == f"Plan {plan} was started." else f": {decision['text']}"
        output.line(f"plan {plan}: {args.command} {decision['target']}{waits}")
    if args.no_follow or not plan:
        if not output.for_people:
            output.document(answer)
        return 0
    try:
        ended = follow(client, plan, output)
    except KeyboardInterrupt:
        output.line(f"plan {plan} goes on; `resurgam show {plan}` tells how it ends")
        return 130
    if not output.for_people:
        output.document(answer | {"outcome": ended})
    return 0 if ended["state"] == "verified" else 1


def _lifted(reason: str) -> str:
    """What a person may do about a refusal of this kind; '' where only its own text knows."""
    if reason in LIFTABLE:
        return " To do it all the same, once: --override 'why'."
    return ""


def rollout(client: Client, answer: Json, output: Output, *, wait: bool) -> int:
    """Tell of a rollout, and follow it."""
    ident = answer["decision"]["rollout"]
    if not wait:
        if output.for_people:
            output.line(answer["decision"]["text"])
        else:
            output.document(answer)
        return 0
    if output.for_people:  # its first row tells the rest
        output.line(f"rollout {ident}: {answer['decision']['verb']} {answer['decision']['target']}")
    try:
        ended = _follow(client, "rollout", ident, output)
    except KeyboardInterrupt:
        output.line(f"rollout {ident} goes on; `resurgam show rollout:{ident}` tells how it ends")
        return 130
    if not output.for_people:
        output.document(answer | {"outcome": ended})
    return 0 if ended["state"] == "verified" else 1


def follow(client: Client, plan: int, output: Output) -> Json:
    """The plan's events as they come; the plan itself at its end. DaemonAbsent where the daemon goes first."""
    return _follow(client, "plan", plan, output)


def _follow(client: Client, what: str, ident: int, output: Output) -> Json:
    printer = Printer(output)
    for item in client.stream(f"{what}s", str(ident), wait=1):
        if "event" in item and output.for_people and worth_a_line(item["event"]):
            printer.show(item["event"])
        if item.get(what):
            ended: Json = item[what]
            return ended
    raise DaemonAbsent(f"the daemon ended while {what} {ident} was open; its next start finishes or undoes it")
