"""Which line of a log says why a model server gave up.

From: the last lines of its container. To: back.py and dry_run.py, which show people that one line first. Servers write
the cause some lines before their last word, which is "exiting" or the end of a trace.
"""

import re
from collections.abc import Iterable

_CAUSES = re.compile(
    r"(?i)unknown (model )?arch|out of memory|not within|no such file|CUDA error|corrupt|unsupported",
)
_TROUBLE = re.compile(r"(?i)error|unknown|fail|unable|cannot|can't")


def telling(lines: Iterable[str], *, killed: bool = False) -> str:
    """The last line that names a cause, else the last that tells of any trouble, else the last there is; '' for none.
    `killed`: something outside ended it, so it had no time to say why: only a cause by its name counts."""
    said = [line.strip() for line in lines if line.strip()]
    for known in (_CAUSES,) if killed else (_CAUSES, _TROUBLE):
        for line in reversed(said):
            if known.search(line):
                return line
    return "" if killed or not said else said[-1]
