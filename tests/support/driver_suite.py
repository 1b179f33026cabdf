"""One suite for both drivers of GPUs (ports.GpuDriver): the real reader with its child, before a driver that is a C
library, and the simulated one. What the lab's stories build on must hold of both.

A check is `async def check(lab: Lab)`. The machine of a lab has two cards of the same kind, and nobody uses them.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from supervisor.ports import GpuDriver


class Lab(Protocol):
    """A machine with a driver."""

    driver: GpuDriver

    def lose(self, index: int) -> None:
        """The driver does not reach this card any more."""

    def refuse(self) -> None:
        """Nobody may open the driver's device files any more."""


Check = Callable[[Lab], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Make it part of the suite."""
    CHECKS.append(function)
    return function


@check
async def every_card_is_told_by_index_with_its_names_and_its_memory(lab: Lab) -> None:
    assert not lab.driver.running, "it is opened with the first question"
    reading = await lab.driver.snapshot("rare")
    assert (reading.trouble, reading.text) == ("", "")
    assert [card.index for card in reading.cards] == [0, 1]
    assert len({card.uuid for card in reading.cards} - {""}) == 2
    assert all(card.bus_id == card.bus_id.lower() and card.bus_id.count(":") == 2 for card in reading.cards)
    assert all(0 < card.free <= card.most <= card.total for card in reading.cards)
    assert all(card.values and not card.users and not card.error for card in reading.cards)
    assert all(card.compute for card in reading.cards)
    assert reading.driver
    assert lab.driver.running


@check
async def a_reading_says_whether_everything_was_asked(lab: Lab) -> None:
    assert [(await lab.driver.snapshot(depth)).full for depth in ("fast", "slow", "rare")] == [False, True, True]


@check
async def a_lost_card_keeps_its_name_and_the_other_one_goes_on(lab: Lab) -> None:
    before = (await lab.driver.snapshot("slow")).cards
    lab.lose(0)
    lost, well = (await lab.driver.snapshot("fast")).cards
    assert (lost.uuid, lost.bus_id, lost.code) == (before[0].uuid, before[0].bus_id, 15)
    assert lost.error
    assert not lost.values
    assert (well.uuid, well.error) == (before[1].uuid, "")


@check
async def one_that_is_held_is_not_open_and_not_asked_until_it_may_be_again(lab: Lab) -> None:
    await lab.driver.snapshot("fast")
    lab.driver.hold("XID 119 came.")
    assert (lab.driver.held, lab.driver.running) == ("XID 119 came.", False)
    reading = await lab.driver.snapshot("slow")
    assert (reading.trouble, reading.text, reading.cards) == ("stopped", "XID 119 came.", ())
    assert not lab.driver.running
    lab.driver.resume()
    assert lab.driver.held == ""
    assert len((await lab.driver.snapshot("fast")).cards) == 2


@check
async def who_lets_go_of_it_says_once_it_is_open_no_more(lab: Lab) -> None:
    await lab.driver.snapshot("fast")
    assert await lab.driver.release("The card is reset.")
    assert (lab.driver.held, lab.driver.running) == ("The card is reset.", False)
    assert await lab.driver.release(""), "twice does no harm"
    assert lab.driver.held, "a reason there always is"
    lab.driver.resume()
    assert len((await lab.driver.snapshot("fast")).cards) == 2


@check
async def a_driver_that_refuses_us_is_a_trouble_and_not_an_empty_machine(lab: Lab) -> None:
    lab.refuse()
    reading = await lab.driver.snapshot("fast")
    assert (reading.trouble, reading.cards, lab.driver.running) == ("refused", (), False)
    assert reading.text.endswith("."), "a sentence with what to do"
