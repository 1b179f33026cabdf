"""Who is to blame, and the sentence about it."""

from dataclasses import replace

import pytest

from supervisor.facts import MemoryBudget, ServiceMemory
from supervisor.memory.culprit import blamed, sentence, suspect, swapped
from supervisor.memory.forecast import Outlook, Standing
from supervisor.memory.trend import History, Mark
from supervisor.units import speaker

GIB, MIB = float(1 << 30), float(1 << 20)


def part(name: str = "a", **more: object) -> ServiceMemory:
    given = {"plan": 4 * GIB, "source": "declared", "used": 8 * GIB, "running": True}
    return ServiceMemory(name, **(given | more))


def grew(**rates: float) -> History:
    """Half a minute in which these grew so fast, in MiB/s, from 8 GiB."""
    found = History()
    for t in range(31):
        used = {name: 8 * GIB + t * rate * MIB for name, rate in rates.items()}
        found = found.then(Mark(float(t), 50 * GIB, 0.0, used, foreign=5 * GIB))
    return found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"used": 4 * GIB}, False),
        ({"used": 4.02 * GIB}, False),
        ({"used": 3 * GIB, "loading": True}, False),
        ({"loading": True}, True),
        ({"plan": 0.0}, True),
        ({"plan": 0.0, "loading": True}, False),
        ({"running": False}, False),
        ({"unread": True}, False),
        ({"frozen": True}, True),
    ],
)
def test_who_may_be_to_blame(more: dict[str, object], expected: bool):
    assert suspect(part(**more)) is expected


def test_it_is_who_grew_most_and_not_who_is_largest():
    parts = (part("large", used=200 * GIB), part("small"), part("planned", used=2 * GIB))
    found = blamed(parts, grew(large=1.0, small=24.0, planned=900.0), Outlook(60.0, 1.0, 25 * MIB), 64 * GIB)
    assert found is not None
    assert found.service == "small"


def test_a_growth_that_explains_nothing_blames_nobody():
    assert blamed((part("a"),), grew(a=1.0), Outlook(60.0, 1.0, 500 * MIB), 64 * GIB) is None
    assert blamed((part("a"),), grew(a=-5.0), Outlook(60.0, 1.0, 500 * MIB), 64 * GIB) is None


def test_where_nothing_is_left_and_all_holds_still_scatter_is_nobodys_fault():
    """Whoever is above its plan by an old leak is not frozen because its last reading was a little higher."""
    spent = Outlook(0.0, 0.0, 0.0)
    assert blamed((part("a"),), grew(a=0.5), spent, 64 * GIB) is None
    found = blamed((part("a"),), grew(a=2.0), spent, 64 * GIB)
    assert found is not None
    assert found.service == "a"


def test_the_sentence_has_the_figures():
    history = grew(a=24.0)
    now = part(used=8 * GIB + 30 * 24 * MIB)
    budget = MemoryBudget(
        0.0, 64 * GIB, GIB, 0.0, 50 * GIB, 6 * GIB, services=(now, part("b", used=5 * GIB, swap=2 * GIB))
    )
    ram = Standing(Outlook(250.0, 6 * GIB, 24 * MIB), certain=True)
    text = sentence(budget, ram, Standing(), blamed((now,), history, ram.outlook, 64 * GIB), history)
    assert text == (
        "Memory runs out in 4m10s at 24 MiB a second: a grew from 8.6 GiB to 8.7 GiB in 4s, "
        "4.7 GiB over its plan of 4 GiB. In swap: b 2 GiB."
    )
    assert sentence(budget, replace(ram, certain=False), Standing(), None, history) == ""


def test_what_is_over_is_not_looked_for_any_more():
    calm = MemoryBudget(0.0, 64 * GIB, GIB, 0.0, 30 * GIB, 29 * GIB, services=(part("a", used=GIB),))
    over = Standing(Outlook(), certain=True)
    text = sentence(calm, over, Standing(), None, grew(a=0.0))
    assert text == "Memory was about to run out, and does not fall any more."


def test_the_time_that_is_left_is_told_though_all_of_it_is_planned():
    spent = MemoryBudget(0.0, 64 * GIB, GIB, 0.0, 8 * GIB, 0.0, services=(part("a"),))
    for seconds, begins in (
        (7.6, "Memory runs out in 8s at 1 GiB a second: "),
        (0.0, "All memory is taken or planned: "),
    ):
        ram = Standing(Outlook(seconds, 0.0, GIB), certain=True)
        assert sentence(spent, ram, Standing(), None, grew(a=0.0)).startswith(begins)


def test_one_without_a_plan_is_told_to_declare_it():
    one = part(plan=0.0, source="")
    budget = MemoryBudget(0.0, 64 * GIB, GIB, 0.0, 50 * GIB, 6 * GIB, services=(one,))
    ram = Standing(Outlook(250.0, 6 * GIB, 24 * MIB), certain=True)
    text = sentence(budget, ram, Standing(), blamed((one,), grew(a=24.0), ram.outlook, 64 * GIB), grew(a=24.0))
    assert text.endswith("it has no plan: declare `memory` for it.")


def test_who_is_in_swap_the_most_first():
    parts = (part("a", swap=GIB), part("b", swap=3 * GIB), part("c"), part("d", swap=9 * GIB, running=False))
    assert swapped(parts, speaker(())) == "b 3 GiB, a 1 GiB"
