"""What is wrong with `notify:` beyond what its settings say by themselves: templates that cannot be read, and an
Apprise that is not installed.

In: settings that load. Out: findings with the place they are about, for `resurgam check`, and for `run`, which starts
with no template that cannot be read.
"""

from collections.abc import Sequence

from supervisor.bus.notify import apprise, template
from supervisor.config.settings import NotifySettings

Place = tuple[str | int, ...]
"""where in the document it is"""


def template_mistakes(entries: Sequence[NotifySettings]) -> list[tuple[Place, str]]:
    """(place, sentence) of each template that cannot be used."""
    found: list[tuple[Place, str]] = []
    for number, entry in enumerate(entries):
        for name, said in template.mistakes(entry.template).items():
            place = ("notify", number, "template", name)
            found.append((place, f"notify[{number}].template.{name}: this template cannot be used: {said}"))
    return found


def cautions(entries: Sequence[NotifySettings]) -> list[tuple[Place, str]]:
    """(place, sentence) of what would tell nobody on this machine."""
    if not apprise.missing():
        return []
    return [
        (("notify", number, "apprise"), f"notify[{number}].apprise: {apprise.INSTALL}")
        for number, entry in enumerate(entries)
        if entry.apprise is not None
    ]
