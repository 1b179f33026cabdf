"""One line of a fidelity report, and what may be shown in it. Pure.

From: report.py and injected.py. To: `resurgam plan`, the proof of a plan. Values whose name looks secret are never
shown, nor are the contents of files.
"""

import re
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import Json

KEPT, IMAGE, CHANGED, LOST, AMBIGUOUS = "kept", "image", "changed", "lost", "ambiguous"
KINDS = (LOST, AMBIGUOUS, CHANGED, IMAGE, KEPT)
"""in the order in which a person wants to read them"""
_SECRET_NAME = re.compile(
    r"(?i)passw|passphrase|(?:^|_)pass(?:$|_)|pwd|secret|token|key|auth|credential|cookie|private|salt|dsn|webhook|license"
)
HIDDEN = "***"
_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Trait:
    """What becomes of one thing. `kind`: kept | image | changed | lost | ambiguous; `how` it is dealt with."""

    kind: str
    what: str
    before: str = ""
    after: str = ""
    how: str = ""

    def document(self) -> Json:
        """As JSON."""
        return {"kind": self.kind, "what": self.what, "before": self.before, "after": self.after, "how": self.how}


def _words(values: list[object] | tuple[object, ...]) -> str:
    """A command line in one piece; what follows `--api-key` is hidden like what follows `--api-key=`, also within the
    one long word of a `sh -c`."""
    found, hide = list[str](), False
    for each in (word for value in values for word in str(value).split()):
        found.append(HIDDEN if hide and not each.startswith("-") else each)
        hide = each.startswith("-") and "=" not in each and bool(_SECRET_NAME.search(each))
    return " ".join(found)


def shown(name: str, value: object) -> str:
    """A value for people, bounded; hidden where its name looks secret."""
    if value in (None, "", [], {}):
        return ""
    if _SECRET_NAME.search(name.rpartition(" ")[2]):
        return HIDDEN
    text = _words(value) if isinstance(value, list | tuple) else str(value)
    return units.plain(units.mask(text.replace("\n", " ")), _WIDTH)
