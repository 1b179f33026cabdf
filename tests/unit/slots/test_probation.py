"""What sends a model on probation back."""

import pytest

from supervisor.facts import Criteria, Probation
from supervisor.slots.probation import Seen, due, trouble

TRIAL = Probation("b", "a", until=2000.0, began=1000.0)
GIB = 2**30


@pytest.mark.parametrize(
    ("criteria", "seen", "why"),
    [
        (Criteria(), Seen(), ""),
        (Criteria(), Seen(died_at=1001.0), "it died"),
        (Criteria(), Seen(died_at=999.0), ""),
        (Criteria(), Seen(faults=("XID 79 was told of its GPU",)), "XID 79 was told of its GPU"),
        (Criteria(), Seen(unwell="its probe fails: 503"), "its probe fails: 503"),
        (Criteria(), Seen(errors=99), ""),
        (Criteria(errors=0), Seen(errors=1), "callers got 1 errors, allowed are 0"),
        (Criteria(errors=3), Seen(errors=3), ""),
        (Criteria(memory=GIB), Seen(memory=2.0 * GIB), "it uses 2 GiB of memory, allowed are 1 GiB"),
        (
            Criteria(vram=(("0", GIB),)),
            Seen(vram={"0": 2.0 * GIB}),
            "it uses 2 GiB of VRAM on GPU 0, allowed are 1 GiB",
        ),
        (
            Criteria(memory=100 * 10**9),
            Seen(memory=100e9 + 50e6),
            "it uses 100 GB (50 MB too much) of memory, allowed are 100 GB",
        ),
        (Criteria(vram=(("0", GIB),)), Seen(), ""),
        (Criteria(), Seen(failed="9.8 tokens/s, wanted 12 at least"), "9.8 tokens/s, wanted 12 at least"),
    ],
)
def test_a_reason(criteria: Criteria, seen: Seen, why: str) -> None:
    assert trouble(TRIAL, criteria, seen) == why


def test_when_time_brings_something_about() -> None:
    assert due(TRIAL) == 2000.0
    assert due(Probation("b", "a", 2000.0, 1000.0, next_bench=1500.0)) == 1500.0
