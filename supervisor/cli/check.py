"""`resurgam check [PATH…]`: every mistake in configuration, rule files and playbooks, without a daemon.

In: files and folders; without any, the configuration that `run` would use and the rules it names. Out: one line per
mistake as file:line:column, then what is fine. Exit 2 for a bad configuration, 1 for a bad rule file or playbook;
hints (an annotation that is no verb, a file that `run` would refuse) change nothing.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supervisor import config
from supervisor.cli.output import Output
from supervisor.config import trust
from supervisor.config.settings import WITHOUT_EFFECT
from supervisor.config.yaml import Document, load_yaml
from supervisor.errors import ConfigError, Mistake, UsageError
from supervisor.incidents import binding, playbooks, veto
from supervisor.rules.files import Origin, shipped_folder
from supervisor.rules.files import load as load_rules
from supervisor.signals.probes import LATER as PROBES_LATER
from supervisor.verdicts import Reason, Verdict

Source = tuple[Path, Origin]
"""a file or folder, and whose it is"""

_PLACED = re.compile(r"(.+?):(\d+):(\d+): (.*)", re.DOTALL)
_TESTS = (".test.yaml", ".test.yml", ".actions-test.yaml", ".actions-test.yml")
_YAML = (".yaml", ".yml")


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found there."""

    files: list[tuple[str, str, int]] = field(default_factory=list)
    """(file, kind, how many rules, playbooks or services)"""
    bad_config: list[Mistake] = field(default_factory=list)
    bad_rules: list[Mistake] = field(default_factory=list)
    hints: list[Mistake] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit code."""
        return 2 if self.bad_config else 1 if self.bad_rules else 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: what `run` would use)")


def run(args: argparse.Namespace) -> int:
    """Look, and print."""
    report = inspect(args.paths, args.config)
    output = Output(args.output)
    if output.for_people:
        _print(report, output)
    else:
        output.document(_document(report))
    return report.code


def inspect(paths: Sequence[str], config_path: str = "") -> Report:
    """Look at everything named; UsageError where a path does not exist."""
    report = Report()
    sources: list[Source] = []
    settings = config.Settings()
    if not paths or config_path:
        found = Path(config_path) if config_path else config.find()
        settings = _config(found, report) or settings
        sources += [_rule_source(name) for name in settings.rules]
    for name in paths:
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name} does not exist")
        files = _files(path)
        if not files:
            report.hints.append(Mistake(name, 0, 0, "no YAML file lies in this folder, so there was nothing to check"))
        for file in files:
            if _kind(file) == "config":
                settings = _config(file, report) or settings
            elif _kind(file) == "rules":
                sources.append((file, "owner"))
    for path, _origin in sources:
        report.hints += _doubts(path) if path.exists() else []
    _rules(sources, _kube_names(settings), report)
    _playbooks(sources, report)
    return report


def _rule_source(name: str) -> Source:
    """A name under `rules:`; the word `shipped` stands for ours."""
    return (shipped_folder(), "shipped") if name == "shipped" else (Path(name), "owner")


def _kube_names(settings: config.Settings) -> set[str]:
    """The deployments that some service stands for."""
    entries = [entry.kube for entry in settings.services.values() if entry.kube]
    return {kube.deployment for kube in entries if kube.deployment}


def _doubts(path: Path) -> list[Mistake]:
    """Why `run` would not obey a file or folder, as hints: here nothing is obeyed."""
    return [Mistake(str(path), 0, 0, f"`run` would refuse this: {text}") for text in trust.problems(path)]


def _files(path: Path) -> list[Path]:
    """A file itself; of a folder its YAML files, in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(inside for inside in path.iterdir() if _is_yaml(inside))


def _is_yaml(path: Path) -> bool:
    return path.name.endswith(_YAML) and not path.name.startswith(".") and path.is_file()


def _kind(file: Path) -> str:
    """`config`, `rules` (playbooks too) or `tests`: by its name, else by its first key."""
    if file.name == "resurgam.yaml":
        return "config"
    if file.name.endswith(_TESTS):
        return "tests"
    if playbooks.is_playbook_file(file):
        return "rules"
    head = file.read_text("utf-8", "replace")[:65536]
    return "rules" if re.search(r"^groups\s*:", head, re.MULTILINE) or "resurgam" not in file.name else "config"


def _config(path: Path | None, report: Report) -> config.Settings | None:
    if path is None:
        report.files.append(("(no resurgam.yaml: the defaults)", "configuration", 0))
        return None
    try:
        settings = config.load(path, check_trust=False)
    except ConfigError as err:
        report.bad_config += err.mistakes
        return None
    report.files.append((str(path), "configuration", len(settings.services)))
    report.hints += [*_doubts(path), *_idle(path)]
    return settings


def _idle(path: Path) -> list[Mistake]:
    """What a good configuration says that has no effect yet, as hints."""
    document = load_yaml(path.read_text("utf-8"), str(path))
    found = []
    for name, entry in ((document.data or {}).get("services") or {}).items():
        for key in (key for key in WITHOUT_EFFECT if key in (entry or {})):
            said = f"services.{name}.{key}: this key has no effect yet in this version"
            found.append(document.mistake(("services", name, key), said, key=True))
        probe = str((entry or {}).get("probe") or "")
        if probe.partition(":")[0] in PROBES_LATER:
            said = f"services.{name}.probe: this version cannot ask {probe!r} yet; use http:// or tcp://"
            found.append(document.mistake(("services", name, "probe"), said))
    return found


def _rules(sources: Sequence[Source], mapped: set[str], report: Report) -> None:
    ours = [(path, origin) for path, origin in sources if not playbooks.is_playbook_file(path)]
    for health in load_rules(ours, trust_uid=None).health:
        if health.text:
            report.bad_rules += _mistakes(health.file, health.text)
            continue
        report.files.append((health.file, "rules", health.rules))
        shipped = health.origin == "shipped"
        _annotations(str(shipped_folder() / Path(health.file).name) if shipped else health.file, mapped, report)


def _playbooks(sources: Sequence[Source], report: Report) -> None:
    found, mistakes = playbooks.load([(path, str(origin)) for path, origin in sources])
    report.bad_rules += mistakes
    counts: dict[str, int] = {}
    for playbook in found:
        counts[playbook.file] = counts.get(playbook.file, 0) + 1
    report.files += [(file, "playbooks", count) for file, count in counts.items()]


def _annotations(file: str, mapped: set[str], report: Report) -> None:
    """What is to be said about the annotations `action` and `veto` of a rule file that loads."""
    document = load_yaml(Path(file).read_text("utf-8"), file)
    for i, group in enumerate((document.data or {}).get("groups") or []):  # an empty file is a rule file, too
        for j, rule in enumerate(group.get("rules") or []):
            place = ("groups", i, "rules", j, "annotations")
            notes = rule.get("annotations") or {}
            if isinstance(notes.get("action"), str):
                _action(document, (*place, "action"), notes["action"], mapped, report)
            if isinstance(notes.get("veto"), str):
                try:
                    veto.parse(notes["veto"])
                except ValueError as err:
                    report.bad_rules.append(document.mistake((*place, "veto"), str(err)))


def _action(document: Document, place: tuple[str | int, ...], text: str, mapped: set[str], report: Report) -> None:
    """A text that is no verb is a hint for people; a verb with wrong arguments is a mistake."""
    verdict = binding.look(text)
    if not verdict.ok:
        wrong = verdict.reason is Reason.BAD_PARAMETER
        (report.bad_rules if wrong else report.hints).append(document.mistake(place, verdict.text))
        return
    found = binding.bind(text)
    name = "" if isinstance(found, Verdict) else dict(found.kube).get("deployment", "")
    if name and name not in mapped:
        fix = f"add `kube: {{deployment: {name}}}` to a service under services: in resurgam.yaml"
        said = f"no service here stands for the deployment {name!r}, so nothing would be done; {fix}"
        report.hints.append(document.mistake(place, said))


def _mistakes(file: str, text: str) -> list[Mistake]:
    """Mistakes again from their text, one a line."""
    found = []
    for line in text.splitlines() or [text]:
        match = _PLACED.fullmatch(line)
        found.append(Mistake(match[1], int(match[2]), int(match[3]), match[4]) if match else Mistake(file, 0, 0, line))
    return found


def _print(report: Report, output: Output) -> None:
    for mistake in (*report.bad_config, *report.bad_rules):
        output.line(str(mistake), "red")
    for hint in report.hints:
        output.line(f"{hint.file}:{hint.line}:{hint.column}: hint: {hint.text}", "yellow")
    for file, kind, count in report.files:
        output.line(f"ok  {file}: {kind}" + (f", {count}" if count else ""), "green")
    wrong = len(report.bad_config) + len(report.bad_rules)
    if wrong:
        output.line(f"{wrong} mistake{'s' if wrong > 1 else ''}")


def _document(report: Report) -> dict[str, object]:
    levels = (("error", [*report.bad_config, *report.bad_rules]), ("hint", report.hints))
    return {
        "ok": report.code == 0,
        "files": [{"file": file, "kind": kind, "count": count} for file, kind, count in report.files],
        "findings": [
            {"level": level, "file": one.file, "line": one.line, "column": one.column, "text": one.text}
            for level, mistakes in levels
            for one in mistakes
        ],
    }
