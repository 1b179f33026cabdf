"""reboot: the system is asked to restart the machine; the next start of Resurgam says what came of it.

That it is to be restarted, and why, is durable and told before it is asked for, and it waits a moment, so that whoever
is there may say `resurgam pause`. It is asked for once. A process that finds this plan open looks at the machine: in
another boot it was restarted; in the same boot it is waited for, and then given up.
"""

from supervisor import units
from supervisor.actions.common import sentence
from supervisor.actions.hand import Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.errors import HardwareError
from supervisor.verdicts import Reason, no, yes

GRACE = 10.0
"""seconds between its announcement and the deed"""
GOES_DOWN = 600.0
"""seconds in which the machine goes down once it was asked: services are stopped, disks are written"""
_AT_LEAST, _LOOK = 30.0, 30.0


async def run(hand: Hand) -> Ending:
    """Do it, or say what came of it."""
    try:
        if hand.phase == "before":
            await _announce(hand)
            await hand.step("reboot")
            await hand.hardware.reboot()
            hand.mark("reboot", "The system was asked to restart the machine.", done=True)
            hand.tell()
        return await _came(hand)
    except Cannot as err:
        return cannot(err)
    except Denied as err:
        return ended_early(err)
    except HardwareError as err:
        text = sentence(f"The machine could not be restarted: {err}")
        return Ending(no(Reason.FAILED, f"{text} It is not tried again by itself."))


async def _announce(hand: Hand) -> None:
    await hand.step("look")
    why = hand.hardware.cannot(hand.plan.verb, "")
    if why:
        raise Cannot(no(Reason.UNSUPPORTED, sentence(f"The machine cannot be restarted from here: {why}")))
    now = hand.clock.wall()
    text = f"The machine is restarted in {units.show_duration(GRACE)}; `resurgam pause` holds it up."
    hand.mark("look", text, boot=hand.hardware.boot(), asked_at=now + GRACE)
    end = hand.clock.mono() + GRACE
    while hand.wish is None and (left := end - hand.clock.mono()) > 0:
        await hand.nap(left)


async def _came(hand: Hand) -> Ending:
    """What came of it, as far as this process lives to see it."""
    boot = str(hand.data.get("boot") or "")
    left = GOES_DOWN
    if hand.resumed:
        gone = max(0.0, hand.clock.wall() - float(hand.data.get("asked_at") or 0.0))
        left = max(_AT_LEAST, GOES_DOWN - gone)
    end = hand.clock.mono() + left
    while True:
        if boot and hand.hardware.boot() != boot:
            took = max(0.0, hand.clock.wall() - float(hand.data["asked_at"]))
            text = f"The machine was restarted and is back, {units.show_duration(round(took))} after it was asked."
            return Ending(yes(text, Reason.VERIFIED))
        now = hand.clock.mono()
        if now >= end:
            break
        await hand.nap(min(_LOOK, end - now))
    asked = (
        "The machine was asked to restart" if hand.data.get("done") else "The machine may have been asked to restart"
    )
    text = (
        f"{asked}, and did not within {units.show_duration(GOES_DOWN)}; `systemctl list-jobs` tells what it waits for."
    )
    return Ending(no(Reason.FAILED, f"{text} It is not asked again by itself."))
