"""The pages a person reads, and their command blocks.

A block is marked `sh run` (tests/real/test_docs.py executes it) or `sh show` (it needs a daemon, root or time).
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what is written after the fence, its text."""

    page: str
    mark: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines that are commands of ours."""
        return [line for line in self.text.splitlines() if line.startswith("resurgam ")]


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    return [Block(page.name, mark.strip(), text) for mark, text in _BLOCK.findall(page.read_text("utf-8"))]


def all_blocks() -> list[Block]:
    """Every fenced block of every page."""
    return [block for page in PAGES for block in blocks(page)]
