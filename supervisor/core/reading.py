"""Reads what the configuration names under `rules:`, at the start and at every reload; never in a turn."""

from pathlib import Path

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.incidents import playbooks
from supervisor.rules import files, shipped_folder
from supervisor.rules.files import Origin


def rule_folders(settings: Settings) -> list[tuple[Path, Origin]]:
    """Where rule files and playbooks lie, and whose they are; the word `shipped` stands for ours."""
    return [(shipped_folder(), "shipped") if name == "shipped" else (Path(name), "owner") for name in settings.rules]


def read_rules(settings: Settings, uid: int | None) -> Loaded:
    """Rules and playbooks of the configured folders. Bad files are left out and named in `problems`. `uid`: whose
    files, besides root's, are obeyed."""
    folders = rule_folders(settings)
    rules = files.load(folders, trust_uid=uid, settle=settings.settle)
    books, mistakes = playbooks.load(folders, trust_uid=uid)
    return Loaded(settings, rules, books, tuple(str(mistake) for mistake in mistakes))
