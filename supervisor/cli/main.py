"""`resurgam`: picks the command, and turns every error into one sentence and an exit code.

In: argv. Out: 0 fine or verified, 1 a finding, rolled back or degraded, 2 usage or bad configuration, 3 refused by
policy, 4 no daemon or broker. Only the chosen command's file is imported: a tired person waits for nothing.
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence

from supervisor import __version__
from supervisor.errors import BrokerError, ConfigError, DaemonAbsent, Refused, ResurgamError, UsageError

COMMANDS = {
    "run": ("run", "watch this box and heal it"),
    "demo": ("demo", "show a crash loop being healed on a real engine"),
    "check": ("check", "look for mistakes in configuration, rules and playbooks, without a daemon"),
    "test": ("test", "run unit tests of rules, and of what they set off, without a daemon"),
    "query": ("query", "what an expression gives: of the running daemon's samples, or of series in a file"),
    "replay": ("replay", "what rules would have fired and done over what was recorded"),
    "status": ("status", "how everything stands"),
    "events": ("events", "what happened"),
    "explain": ("explain", "why an alert fires, or what is with a service"),
    "history": ("history", "what was done, and how it ended"),
    "show": ("show", "everything about one plan, incident or event"),
    "plan": ("plan", "what a command would do, exactly, without doing it"),
    "phoenix": ("act", "recreate a container from its last known good image, verified, or put it back"),
    "rollback": ("act", "recreate a container from the image it had before, verified, or put it back"),
    "restart": ("act", "stop and start the same container, verified"),
    "start": ("act", "start a service and want it running"),
    "stop": ("act", "stop a service and keep it stopped"),
    "scale": ("act", "0 stops and keeps stopped, 1 starts"),
    "swap": ("swap", "put another model into a slot, proved, or bring the one before back"),
    "load": ("swap", "load a model into a slot that has room for it"),
    "unload": ("swap", "let a model server put its model away"),
    "sleep": ("swap", "let a model sleep: its memory is free, its server keeps running"),
    "wake": ("swap", "wake a model that sleeps, and see that it is in its senses"),
    "keep": ("swap", "keep a model loaded: it is not put away to make room"),
    "bench": ("swap", "measure how fast a model answers, and ask its canaries"),
    "drop-cache": ("act", "let the kernel forget the files of a model that is not loaded"),
    "reclaim": ("act", "let the kernel take memory back from a service"),
    "fuse": ("act", "slow a service down where it grows on, for a while"),
    "unfuse": ("act", "end a fuse"),
    "freeze": ("act", "let a service stand still as it is, for a while"),
    "thaw": ("act", "let a frozen service go on"),
    "raise-limit": ("act", "give a running container a higher memory limit"),
    "quiesce": ("act", "stop what uses a GPU until that is well again"),
    "gpu-reset": ("act", "reset a GPU that nobody uses, where that is switched on"),
    "reboot": ("act", "restart the machine, where that is switched on"),
    "pause": ("pause", "start no new plan for a while"),
    "resume": ("pause", "end a pause"),
    "release": ("release", "give back the restart policies we took, and list what of ours stays"),
    "approve": ("approve", "say yes to what waits for a person's word"),
    "deny": ("approve", "say no to what waits for a person's word"),
    "ack": ("ack", "take an incident on, for everybody to see"),
    "silence": ("silence", "send no messages about matching alerts for a while; or list what is silenced"),
    "gpu": ("gpu", "the GPUs: how they are, let go of their driver, practise a fault"),
    "doctor": (
        "doctor",
        "what works here of memory, GPUs, probes, scrapes, disks, slots; what does not, and what to do",
    ),
    "bus": ("bus", "the message broker: serve it, its users, what is with it"),
    "fleet": ("fleet", "all machines that speak on your broker, and how they are"),
    "export": ("export", "the contract of the message bus, for tools that read AsyncAPI"),
}
"""command -> (file in this folder, help)"""

_EXITS = "exit codes: 0 fine or verified, 1 a finding or not verified, 2 usage, 3 refused, 4 no daemon or broker"


def build_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of the one command that argv names (and only the names of the others)."""
    parser = argparse.ArgumentParser(
        prog="resurgam", description="A self-healing supervisor for your own AI box.", epilog=_EXITS
    )
    _everywhere(parser, "table", "")
    parser.add_argument("--version", action="version", version=f"resurgam {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if word in COMMANDS), "")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, epilog=_EXITS, parents=[shared()])
        command._negative_number_matcher = re.compile(r"-\d.*")  # or `--from -5m` is taken for an option
        if name == chosen:
            importlib.import_module(f"supervisor.cli.{module}").arguments(command)
    return parser


def shared() -> argparse.ArgumentParser:
    """The options that may stand after any command, and after a command's own commands."""
    # There they have no defaults: those would undo what stands before.
    found = argparse.ArgumentParser(add_help=False)
    _everywhere(found, argparse.SUPPRESS, argparse.SUPPRESS)
    return found


def _everywhere(parser: argparse.ArgumentParser, form: str, path: str) -> None:
    """The options that may stand before the command and after it, with their defaults."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("-o", "--output", choices=("table", "json", "yaml"), default=form, help="how to print")
    group.add_argument("--config", metavar="FILE", default=path, help="resurgam.yaml to use")
    group.add_argument("--socket", metavar="PATH", default=path, help="the daemon's control socket")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the process'."""
    words = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(words).parse_args(words)
    module = importlib.import_module(f"supervisor.cli.{COMMANDS[args.command][0]}")
    try:
        code: int = module.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as err:
        print("\n".join(str(mistake) for mistake in err.mistakes), file=sys.stderr)
        return 2
    except ResurgamError as err:
        print(f"resurgam: {err}", file=sys.stderr)
        return _code(err)
    return code


def _code(err: ResurgamError) -> int:
    if isinstance(err, UsageError):
        return 2
    if isinstance(err, Refused):
        return 3
    return 4 if isinstance(err, DaemonAbsent | BrokerError) else 1


if __name__ == "__main__":
    sys.exit(main())
