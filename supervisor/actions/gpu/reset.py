"""gpu-reset: one card, which nobody uses, is reset, and is looked at afterwards.

Our own handle on the driver is a user of the card, too: it is let go of first, and taken again once the reset is done.
A reset that was begun is never begun again, by this process or a later one: what came of it is seen on the card. Where
the reset fails the driver stays let go of if it was so before: a fault after which asking hangs is no better then.
"""

from supervisor import units
from supervisor.actions.common import sentence
from supervisor.actions.hand import Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.errors import HardwareError
from supervisor.facts import GpuCard, GpuReading
from supervisor.kernel.hardware import PERSISTENCED
from supervisor.verdicts import Reason, no, yes

WITHIN = 120.0
"""seconds the reset may take"""
WELL_WITHIN, AGAIN = 120.0, 5.0
"""seconds in which the card must be well afterwards, and between two looks at it"""
_HELD = "the card is being reset"
_UNSURE = "Resurgam was ended while it was being reset"


async def run(hand: Hand) -> Ending:
    """Do it, or look what came of it."""
    before = hand.driver.held
    try:
        if hand.phase == "before":
            await _look(hand)
            await _hands_off(hand)
            await hand.step("reset")
            said = await hand.hardware.reset_gpu(_bus(hand), WITHIN)
            hand.mark("reset", sentence(f"It was reset: {said}"), said=said, done=True)
        await hand.step("verify")
    except (Denied, HardwareError) as err:
        _give_back(hand, before)
        return _not_done(hand, err)
    return await _judge(hand)


async def _look(hand: Hand) -> None:
    """Whether it can be done, by what is seen at this moment."""
    await hand.step("look")
    why = hand.hardware.cannot(hand.plan.verb, _bus(hand))
    if why:
        raise Cannot(no(Reason.UNSUPPORTED, sentence(f"{_card(hand)} cannot be reset here: {why}")))
    users = await hand.hardware.users(_bus(hand))
    if users:
        text = f"{_card(hand)} is still used by {units.plain(', '.join(users[:8]), 300)}; end that first."
        if any(user.startswith(PERSISTENCED) for user in users):
            text += " The persistence daemon ends with `systemctl stop nvidia-persistenced`."
        raise Denied(no(Reason.GPU_BUSY, text))  # nothing was touched: it is tried again later
    hand.mark("look", f"Nobody has {_card(hand)} open.")


async def _hands_off(hand: Hand) -> None:
    """Let go of the driver ourselves. One of our processes that hangs in it has the card open until it went."""
    if not await hand.driver.release(_HELD):
        text = f"{_card(hand)} is still open in our own process, which hangs in NVIDIA's driver"
        raise Denied(no(Reason.GPU_BUSY, f"{text}; it is reset once that went, else restart the machine."))


async def _judge(hand: Hand) -> Ending:
    """Whether the card is well. Where nobody knows whether the reset was done, a well card says that it was."""
    hand.driver.resume()
    end = hand.clock.mono() + WELL_WITHIN
    trouble = ""
    while True:
        trouble = _trouble(hand, await hand.driver.snapshot("slow"))
        if not trouble:
            hand.mark("verify", f"{_card(hand)} is well.")
            was = "was reset and is well again" if hand.data.get("done") else f"is well; {_UNSURE}"
            return Ending(yes(f"{_card(hand)} {was}.", Reason.VERIFIED))
        if hand.clock.mono() >= end:
            break
        await hand.nap(AGAIN)
    begun = "was reset" if hand.data.get("done") else _UNSURE
    text = f"{_card(hand)}: {begun}, and it is not well within {units.show_duration(WELL_WITHIN)}: {trouble}"
    text = f"{sentence(text)} It is not reset again; the next thing to try is a restart of the machine."
    return Ending(no(Reason.FAILED, text))


def _trouble(hand: Hand, reading: GpuReading) -> str:
    """What is wrong with the card by a reading, '' for nothing."""
    if reading.trouble:
        return reading.text or reading.trouble
    card = _found(hand, reading)
    if card is None:
        return "the driver does not know it any more"
    if card.error:
        return f"the driver says: {card.error}"
    return f"the driver asks for more: {card.recovery}" if card.recovery not in ("", "none") else ""


def _found(hand: Hand, reading: GpuReading) -> GpuCard | None:
    """The card: by its UUID, or, while it cannot tell that, by its place."""
    known = [card for card in reading.cards if card.uuid == hand.data.get("uuid")]
    known += [card for card in reading.cards if not card.uuid and card.bus_id == _bus(hand)]
    return known[0] if known else None


def _not_done(hand: Hand, err: Denied | HardwareError) -> Ending:
    if isinstance(err, Cannot):
        return cannot(err)
    if isinstance(err, Denied) and hand.phase == "before":
        return ended_early(err)
    text = sentence(f"{_card(hand)} could not be reset: {err}")
    return Ending(no(Reason.FAILED, f"{text} It is not tried again by itself."))


def _give_back(hand: Hand, before: str) -> None:
    """The driver as it was: let go of for the same reason, or asked again."""
    if before:
        hand.driver.hold(before)
    else:
        hand.driver.resume()


def _card(hand: Hand) -> str:
    return str(hand.data.get("card") or hand.plan.service)


def _bus(hand: Hand) -> str:
    return str(hand.data.get("bus_id") or "")
