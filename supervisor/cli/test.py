"""`resurgam test FILE…`: are the rules, and what they set off, as expected? Without a daemon, on a virtual clock.

In: promtool's unit-test files, and `*.actions-test.yaml` (docs/rules); a folder stands for those that lie in it. Out:
one line a file, and for each expectation that did not hold its place and the difference. Exit 1 where something did
not hold, 2 for a file that cannot be used.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from supervisor.cli import features
from supervisor.cli.output import Output, counted
from supervisor.clock import SystemClock
from supervisor.errors import ResurgamError, UsageError
from supervisor.lab import actions_test, junit, promtest
from supervisor.lab.outcomes import Failure, FileRun
from supervisor.units import iso, regex

ACTIONS = (".actions-test.yaml", ".actions-test.yml")
_TESTS = (".test.yaml", ".test.yml", *ACTIONS)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to run."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="test files, or folders in which such files lie")
    parser.add_argument("--run", action="append", metavar="REGEX", help="only tests with a name like this; may repeat")
    parser.add_argument("--junit", metavar="OUT.xml", help="write the results as JUnit XML, too")
    features.argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run, and print."""
    delayed = features.delayed_names(args)
    wanted = _wanted(args.run)
    output = Output(args.output)
    runs: list[FileRun] = []
    for path in _files(args.files):
        if path.name.endswith(ACTIONS):
            found = actions_test.run_file(path, wanted, delayed)
        else:
            found = promtest.run_file(path, wanted, delayed)
        runs.append(found)
        if output.for_people:
            _print(found, output)
    if not output.for_people:
        output.document({"ok": all(one.ok for one in runs), "files": [one.json() for one in runs]})
    if args.junit:
        _write(Path(args.junit), junit.xml(runs, iso(SystemClock().wall())))
    if any(one.mistakes for one in runs):
        return 2
    return 1 if any(one.failed for one in runs) else 0


def _files(names: Sequence[str]) -> list[Path]:
    """The test files, each once; UsageError for what is not there, or for a folder without any."""
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name} does not exist")
        inside = [path]
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.name.endswith(_TESTS) and one.is_file())
            if not inside:
                raise UsageError(f"no test lies in {name}; tests are called *.test.yaml or *.actions-test.yaml")
        for one in inside:
            found[one] = None
    return list(found)


def _wanted(patterns: Sequence[str] | None) -> promtest.Wanted:
    """Whether a test's name is asked for. As in promtool, a part of the name is enough."""
    if not patterns:
        return lambda _name: True
    try:
        asked = regex("|".join(patterns))
    except ValueError as err:
        raise UsageError(f"--run: {err}") from None
    return lambda name: asked.search(name) is not None


def _print(run: FileRun, output: Output) -> None:
    for warning in run.warnings:
        output.line(f"warning: {warning}", "yellow")
    if run.mistakes:
        output.line(f"BAD     {run.file}: it cannot be used", "red")
        for mistake in run.mistakes:
            output.line(f"  {mistake}", "red")
        return
    if run.ok:
        said = counted(len(run.tests), "test") if run.tests else "no test was run"
        output.line(f"ok      {run.file}: {said}", "green" if run.tests else "yellow")
        return
    output.line(f"FAILED  {run.file}: {run.failed} of {counted(len(run.tests), 'test')}", "red")
    for test in run.tests:
        for failure in test.failures:
            _show(run.file, test.name, failure, output)


def _show(file: str, test: str, failure: Failure, output: Output) -> None:
    place = f"{file}:{failure.line}:{failure.column}: " if failure.line else ""
    output.line(f"  {place}{failure.text}  ({test})", "bold")
    for line in failure.lines:
        output.line(f"      {line}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as err:
        raise ResurgamError(f"{path} cannot be written: {err.strerror}") from None
