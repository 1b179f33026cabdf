"""Reads what the configuration names under `rules:`, at the start and at every reload; never in a turn."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.errors import UsageError
from supervisor.gpu import xids
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
    table, bad = xids.load(settings.gpu.xids or "", uid)
    return Loaded(settings, rules, books, (*(str(mistake) for mistake in mistakes), *bad), table)


class Reader:
    """Reads again while the daemon runs, on a thread: one reading after another, so that what was read last is also
    what is taken last."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting: set[str] = set()

    async def read(self, settings: Callable[[], Settings], uid: int | None, kind: str) -> Loaded | None:
        """What lies there now; UsageError with every mistake where something is bad. None where a reading of the same
        kind waits already: it will see all that this one would."""
        if kind in self._waiting:
            return None
        self._waiting.add(kind)
        async with self._turn:
            self._waiting.discard(kind)
            return await asyncio.get_running_loop().run_in_executor(None, _good, settings, uid)


def _good(settings: Callable[[], Settings], uid: int | None) -> Loaded:
    loaded = read_rules(settings(), uid)
    bad = [text for health in loaded.rules.health for text in health.complaints]
    if bad or loaded.problems:
        raise UsageError("; ".join([*bad, *loaded.problems]))
    return loaded
