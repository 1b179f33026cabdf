"""`resurgam check [PATH…]`: every mistake in configuration, rule files and playbooks, without a daemon.

In: files and folders; without any, the configuration that `run` would use and the rules it names. Out: one line per
finding as file:line:column, then what is fine and which Prometheus takes it. Exit 2 for a bad configuration, 1 for a
bad rule file or playbook; warnings (a rule that will surprise its owner) count with `--strict` only, hints never.
"""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from supervisor import config
from supervisor.bus.notify import checking as notify
from supervisor.cli import checked
from supervisor.cli.checked import Checked, Report
from supervisor.cli.output import Output, dotted
from supervisor.config import probing, slotting, trust
from supervisor.config.reading import read_bytes, read_text
from supervisor.config.yaml import MAX_BYTES, Document, load_yaml
from supervisor.core.made import METRICS
from supervisor.errors import ConfigError, Mistake, UsageError
from supervisor.gpu import xids
from supervisor.incidents import binding, playbooks, veto
from supervisor.journal.recorder import KEEP_MS
from supervisor.rules import RecordRule, RuleFile
from supervisor.rules.checking import accepts
from supervisor.rules.checking.lint import lint
from supervisor.rules.files import Origin, document_of, read, shipped_folder
from supervisor.rules.files import load as load_rules
from supervisor.servers.finding import kinds
from supervisor.signals.probes import grpc
from supervisor.verdicts import Reason, Verdict

Source = tuple[Path, Origin]
"""a file or folder, and whose it is"""

_TESTS = (".test.yaml", ".test.yml", ".actions-test.yaml", ".actions-test.yml")
_YAML = (".yaml", ".yml")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: what `run` would use)")
    parser.add_argument("-r", "--recursive", action="store_true", help="look into the folders inside folders, too")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings, too")


def run(args: argparse.Namespace) -> int:
    """Look, and print."""
    report = inspect(args.paths, args.config, recursive=args.recursive, strict=args.strict)
    output = Output(args.output)
    if output.for_people:
        checked.show(report, output)
    else:
        output.document(checked.document(report))
    return report.code


def inspect(paths: Sequence[str], config_path: str = "", *, recursive: bool = False, strict: bool = False) -> Report:
    """Look at everything named; UsageError where a path does not exist."""
    report = Report(strict=strict)
    sources: list[Source] = []
    settings = config.Settings()
    if not paths or config_path:
        found = config.find(config_path)
        settings = _config(found, report) or settings
        sources += [_rule_source(name) for name in settings.rules]
    for name in paths:
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name} does not exist")
        for file in _files(path, recursive, report):
            if _kind(file) == "config":
                settings = _config(file, report) or settings
            elif _kind(file) == "rules":
                sources.append((file, "owner"))
            elif file == path:
                text = f"these are tests: `resurgam test {name}` reads them and runs them"
                report.add("hint", [Mistake(name, 0, 0, text)])
            if playbooks.is_playbook_file(file) and not file.is_file():
                report.add("error", [Mistake(name, 0, 0, "it cannot be read: it is a pipe or a device, not a file")])
    told: set[str] = set()
    for path, _origin in sources:
        report.add("hint", _doubts(path, told) if path.exists() else [])
    _rules(sources, settings, report)
    _playbooks(sources, report)
    return report


def _rule_source(name: str) -> Source:
    """A name under `rules:`; the word `shipped` stands for ours."""
    return (shipped_folder(), "shipped") if name == "shipped" else (Path(name), "owner")


def _kube_names(settings: config.Settings) -> set[str]:
    """The deployments that some service stands for."""
    entries = [entry.kube for entry in settings.services.values() if entry.kube]
    return {kube.deployment for kube in entries if kube.deployment}


def _doubts(path: Path, told: set[str]) -> list[Mistake]:
    """Why `run` would not obey a file or folder, as hints: here nothing is obeyed. Each reason is told once."""
    found = [text for text in trust.problems(path) if text not in told]
    told.update(found)
    return [Mistake(str(path), 0, 0, f"`run` would refuse this: {text}") for text in found]


def _files(path: Path, recursive: bool, report: Report) -> list[Path]:
    """A file itself; of a folder its YAML files, in the order of their names. Folders inside are looked into where
    that was asked for, or where nothing lies beside them."""
    if not path.is_dir():
        return [path]
    found = sorted(inside for inside in path.iterdir() if _is_yaml(inside))
    deep = sorted(inside for inside in path.rglob("*") if _is_yaml(inside) and not _hidden(inside.relative_to(path)))
    if recursive or not found:
        found = deep
    elif len(deep) > len(found):
        left = len(deep) - len(found)
        more = f"{left} more files lie" if left > 1 else "one more file lies"
        text = f"{more} in folders inside, where `run` does not look; -r looks there, too"
        report.add("hint", [Mistake(str(path), 0, 0, text)])
    if not found:
        text = "no YAML file lies in this folder, so there was nothing to check"
        report.add("hint", [Mistake(str(path), 0, 0, text)])
    return found


def _is_yaml(path: Path) -> bool:
    return path.name.endswith(_YAML) and not path.name.startswith(".") and path.is_file()


def _hidden(path: Path) -> bool:
    """Whether a part of this path has a name that tools keep for themselves, like `.git`."""
    return any(part.startswith(".") for part in path.parts)


def _kind(file: Path) -> str:
    """`config`, `rules` (playbooks too) or `tests`: by its name, else by its first key."""
    if file.name == "resurgam.yaml":
        return "config"
    if file.name.endswith(_TESTS):
        return "tests"
    if playbooks.is_playbook_file(file):
        return "rules"
    try:
        head = read_bytes(file, 65_536).decode("utf-8", "replace")
    except OSError:
        return "config" if "resurgam" in file.name else "rules"  # whoever reads it says what is wrong with it
    return "rules" if re.search(r"^groups\s*:", head, re.MULTILINE) or "resurgam" not in file.name else "config"


def _config(path: Path | None, report: Report) -> config.Settings | None:
    if path is None:
        report.files.append(Checked("(no resurgam.yaml: the defaults)", "configuration"))
        return None
    try:
        settings = config.load(path, check_trust=False)
    except ConfigError as err:
        report.add("error", err.mistakes)
        report.bad_config = True
        report.files.append(Checked(str(path), "configuration", ok=False))
        return None
    document = load_yaml(read_text(path, MAX_BYTES), str(path))
    wrong = notify.template_mistakes(settings.notify)
    report.add("error", [document.mistake(place, said) for place, said in wrong])
    report.bad_config = report.bad_config or bool(wrong)
    bad = xids.load(settings.gpu.xids or "")[1]
    report.add("error", [document.mistake(("gpu", "xids"), said) for said in bad])
    report.add("warning", [document.mistake(place, said, key=True) for place, said in notify.cautions(settings.notify)])
    named = [document.mistake(at, f"{dotted(at)}: {said}") for at, said in config.doubtful(settings)]
    report.add("warning", named)
    report.settings = str(path)
    services, slots = len(settings.services), len(settings.slots)
    report.files.append(Checked(str(path), "configuration", services, ok=not wrong, slots=slots))
    report.add("hint", [*_doubts(path, set()), *_idle(path, settings)])
    for doubt in slotting.doubts(settings, kinds(), os.path.exists):
        found = document.mistake(doubt.place, f"{dotted(doubt.place)}: {doubt.text}", key=True)
        report.add("warning" if doubt.sure else "hint", [found])
    return settings


def _idle(path: Path, settings: config.Settings) -> list[Mistake]:
    """What a good configuration says that has no effect, as hints."""
    document = load_yaml(read_text(path, MAX_BYTES), str(path))
    found = []
    for name, known in settings.services.items():
        for key, said in probing.doubts(known, grpc=not grpc.missing()):
            found.append(document.mistake(("services", name, key), f"services.{name}.{key}: {said}", key=True))
    return found


def _rules(sources: Sequence[Source], settings: config.Settings, report: Report) -> None:
    ours = [(path, origin) for path, origin in sources if not playbooks.is_playbook_file(path)]
    loaded = load_rules(ours, trust_uid=None, settle=settings.settle)
    good = {file.path: file for file in loaded.files}
    documents: dict[str, Document] = {}
    for health in loaded.health:
        file = good.get(health.file)
        if file is None:
            report.add("error", [Mistake.read(line, health.file) for line in health.text.splitlines()])
            report.files.append(Checked(health.file, "rules", ok=False))
            continue
        shipped = health.origin == "shipped"
        path = shipped_folder() / Path(file.path).name if shipped else Path(file.path)
        document = documents[file.path] = document_of(read(path, file.path, None), file.path)
        report.files.append(_checked(file, document))
        _annotations(document, _kube_names(settings), report)
    for finding in lint(loaded.files, METRICS, KEEP_MS / 1000):
        report.add(finding.level, [finding.at(documents[finding.file])], finding.lint)
    groups = {rule.group for rule in loaded.rules}
    idle = [name for name in settings.settle if name not in groups]
    if idle:
        document = load_yaml(read_text(Path(report.settings), MAX_BYTES), report.settings)
        said = "settle: no rule file has a group called {!r}, so this changes nothing"
        report.add("hint", [document.mistake(("settle", name), said.format(name), key=True) for name in idle])


def _checked(file: RuleFile, document: Document) -> Checked:
    """What is to be said about a rule file that loads."""
    needs = accepts.needs(file, document)
    return Checked(
        file.path,
        "rules",
        len(file.rules),
        records=len([rule for rule in file.rules if isinstance(rule, RecordRule)]),
        accepted=accepts.sentence(needs),
        needs=tuple((need.what, accepts.sentence((need,)), need.place) for need in needs),
    )


def _playbooks(sources: Sequence[Source], report: Report) -> None:
    found, mistakes = playbooks.load([(path, str(origin)) for path, origin in sources])
    report.add("error", mistakes)
    counts: dict[str, int] = {}
    for playbook in found:
        counts[playbook.file] = counts.get(playbook.file, 0) + 1
    report.files += [Checked(file, "playbooks", count) for file, count in counts.items()]


def _annotations(document: Document, mapped: set[str], report: Report) -> None:
    """What is to be said about the annotations `action` and `veto` of a rule file that loads."""
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
                    report.add("error", [document.mistake((*place, "veto"), str(err))])


def _action(document: Document, place: tuple[str | int, ...], text: str, mapped: set[str], report: Report) -> None:
    """A text that is no verb is a hint for people; a verb with wrong arguments is a mistake."""
    verdict = binding.look(text)
    if not verdict.ok:
        wrong = verdict.reason is Reason.BAD_PARAMETER
        report.add("error" if wrong else "hint", [document.mistake(place, verdict.text)])
        return
    found = binding.bind(text)
    name = "" if isinstance(found, Verdict) else dict(found.kube).get("deployment", "")
    if name and name not in mapped:
        fix = f"add `kube: {{deployment: {name}}}` to a service under services: in resurgam.yaml"
        said = f"no service here stands for the deployment {name!r}, so nothing would be done; {fix}"
        report.add("hint", [document.mistake(place, said)])
