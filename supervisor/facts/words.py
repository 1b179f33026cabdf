"""The words all facts and snapshots are spelt with."""

from typing import Any

Json = dict[str, Any]
Labels = tuple[tuple[str, str], ...]
"""A label set: sorted (name, value) pairs, `__name__` among them for a series."""


ALIAS = "alias"
"""the part of our edge that is in trouble while another machine has our name at the broker (bus/twins.py)"""


def labels(name: str = "", /, **pairs: str) -> Labels:
    """A label set from a metric name and pairs; empty values are the same as absent ones and are left out."""
    items = {key: value for key, value in pairs.items() if value}
    if name:
        items["__name__"] = name
    return tuple(sorted(items.items()))
