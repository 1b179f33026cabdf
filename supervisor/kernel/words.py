"""What stands in files of `name value` lines: all of it, or the numbers that are read fifty times a round.

From: files of control groups and /proc/vmstat. To: kernel/host, kernel/groups, signals/memory. Building a table of
every line costs as much as the read, so `Words` looks where the numbers stood the last time: the same lines are
written again.
"""


def pairs(raw: bytes) -> dict[bytes, bytes]:
    """Every name with the word behind it."""
    words = raw.split()
    return dict(zip(words[::2], words[1::2], strict=False))


class Words:
    """Picks the numbers behind these names, in their order; 0 for those that are not there."""

    def __init__(self, names: tuple[bytes, ...]) -> None:
        self._names = names
        self._at: tuple[int, ...] = ()
        self.there: tuple[bool, ...] = ()
        """which of them were there when they were picked last"""
        self._count = -1

    def pick(self, raw: bytes) -> tuple[float, ...]:
        """One number per name. ValueError where something else stands behind a name."""
        words = raw.split()
        if len(words) != self._count or any(
            words[at - 1] != name for at, name in ((self._at[0], self._names[0]), (self._at[-1], self._names[-1])) if at
        ):
            self._look(words)
        return tuple([float(words[at]) if at else 0.0 for at in self._at])

    def _look(self, words: list[bytes]) -> None:
        last = len(words) - 1
        self._at = tuple([words.index(name) + 1 if name in words[:last] else 0 for name in self._names])
        self.there = tuple([at > 0 for at in self._at])
        self._count = len(words)
