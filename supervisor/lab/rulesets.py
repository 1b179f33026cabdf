"""Rules and playbooks from named places, for a rehearsal or a replay: what is bad is refused, not left out.

In: paths (rule files, playbook files, folders), or the word `shipped` for ours. Out: a `Loaded`.
"""

from collections.abc import Sequence
from pathlib import Path

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.errors import ConfigError, Mistake, UsageError
from supervisor.incidents.playbooks import SUFFIXES, is_playbook_file
from supervisor.incidents.playbooks import load as load_playbooks
from supervisor.rules import load as load_rules
from supervisor.rules import shipped_folder

SHIPPED = "shipped"
Source = tuple[Path, str]
"""a file or folder, and whose it is: `owner` or `shipped`"""


def source(path: Path) -> Source:
    """A path with its origin: what lies in our own folder is ours."""
    ours = shipped_folder().resolve()
    return path, SHIPPED if ours in (path.resolve(), path.resolve().parent) else "owner"


def ruleset(names: Sequence[str], settings: Settings) -> Loaded:
    """The rules and playbooks of these places. A folder is taken with its playbooks, a rule file `x.yaml` with
    `x.playbooks.yaml` beside it. UsageError for a place that is not there, ConfigError with every mistake."""
    rules: list[Source] = []
    books: list[Source] = []
    for name in names:
        path = shipped_folder() if name == SHIPPED else Path(name)
        if not path.exists():
            raise UsageError(f"{name} does not exist; name rule files, folders, or `shipped`")
        if is_playbook_file(path):
            books.append(source(path))
            continue
        rules.append(source(path))
        beside = [path] if path.is_dir() else [path.with_name(path.stem + suffix) for suffix in SUFFIXES]
        books += [source(one) for one in beside if one.exists()]
    return load(settings, rules, books)


def load(settings: Settings, rules: Sequence[Source], books: Sequence[Source]) -> Loaded:
    """Everything in these files and folders; ConfigError with every mistake in any of them."""
    loaded, mistakes = look(settings, rules, books)
    if mistakes:
        raise ConfigError(mistakes)
    return loaded


def look(settings: Settings, rules: Sequence[Source], books: Sequence[Source]) -> tuple[Loaded, list[Mistake]]:
    """What is good in these files and folders, and every mistake in the others."""
    found = load_rules(rules, trust_uid=None, settle=settings.settle)
    mistakes = [Mistake.read(line, health.file) for health in found.health for line in health.complaints]
    playbooks, wrong = load_playbooks(books)
    return Loaded(settings, found, playbooks), [*mistakes, *wrong]
