"""Sizes as the person who planned with them would write them."""

import pytest

from supervisor.facts import MemoryBudget, ServiceMemory
from supervisor.memory.words import like, speaking
from supervisor.units import listed_sizes as listed
from supervisor.units import speaker

GIB = float(1 << 30)


@pytest.mark.parametrize(
    ("declared", "size", "expected"),
    [
        ((341e9,), 341e9, "341 GB"),
        ((341e9,), 7.68e9, "7.7 GB"),
        ((341e9,), 999.97e6, "1 GB"),
        ((800e6,), 0.0, "0 B"),
        ((90 * GIB,), 90 * GIB, "90 GiB"),
        ((), 1.5 * GIB, "1.5 GiB"),
        ((), 512.0, "512 B"),
        ((90 * GIB, 341e9), 90 * GIB, "96.6 GB"),
        ((), 3.0 * 1024**5, "3072 TiB"),
        ((), -2 * GIB, "-2 GiB"),
    ],
)
def test_a_size_is_of_the_family_in_which_something_was_declared(declared, size, expected):
    assert speaker(declared)(size) == expected


def test_the_largest_are_listed_and_the_rest_counted():
    say = speaker(())
    parts = [(name, size * GIB) for name, size in (("a", 1), ("b", 5), ("c", 3), ("d", 2), ("e", 0), ("f", 4))]
    assert listed(parts, say) == "b 5 GiB, f 4 GiB, c 3 GiB, 2 more 3 GiB"
    assert listed(parts[:4], say) == "b 5 GiB, c 3 GiB, d 2 GiB, a 1 GiB", "one more is named, not counted"
    assert listed([], say) == ""


@pytest.mark.parametrize(("declared", "swap"), [((341e9,), 0.0), ((90 * GIB,), 64e9), ((90 * GIB,), 0.0), ((), 0.0)])
def test_who_has_no_budget_writes_sizes_as_who_has_it(declared, swap):
    parts = tuple(ServiceMemory(f"s{size}", size, "declared") for size in declared)
    budget = MemoryBudget(0.0, 384e9, 0.0, 0.0, 0.0, 0.0, swap_declared=swap, services=parts)
    assert speaker((like(budget),))(123.4e9) == speaking(budget)(123.4e9)
