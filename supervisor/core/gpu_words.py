"""What a person says about the GPUs themselves: let go of the driver, ask it again, forget a card, practise a fault.

From: commands.py (`gpu-release`, `gpu-resume`, `gpu-forget CARD`, `gpu-drill CARD`). To: gpu.py and faults.py, which
keep it in the journal; the watch at the edge obeys the snapshot. None of it touches a container.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core.faults import DRILL
from supervisor.facts import Command, Decision, Intent
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

WORDS = ("gpu-release", "gpu-resume", "gpu-forget", "gpu-drill")
RELEASED, LONGEST = 600.0, 86400.0
"""seconds for which the driver is let go of where nobody says for how long, and at the longest"""


def answer(core: "Decider", fact: Command) -> Decision:
    """Do what is asked, or say why not. Over the bus none of it is to be had: who stands at the machine says it."""
    intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
    if fact.door == "bus":
        text = f"{fact.verb} is a word for the command line of the machine itself."
        return core.admission.refuse(core, intent, no(Reason.NOT_ALLOWED, text))
    try:
        verdict = _SAID[fact.verb](core, fact)
    except ValueError as err:
        verdict = no(Reason.BAD_PARAMETER, f"{str(err)[:1].upper()}{str(err)[1:]}.")
    if not verdict.ok:
        return core.admission.declined(core, intent, verdict)
    return Decision(core.now, intent, verdict)


def _release(core: "Decider", fact: Command) -> Verdict:
    seconds = units.duration(fact.params["for"]) if fact.params.get("for") else RELEASED
    if not 1.0 <= seconds <= LONGEST:
        raise ValueError(f"it is let go of for 1s to {units.show_duration(LONGEST)}")
    until = core.now + seconds
    core.gpu.release(core, until)
    text = (
        f"NVIDIA's driver is let go of for {units.show_duration(seconds)}; nothing is known of the GPUs meanwhile. "
        "It is asked again at once with: resurgam gpu resume"
    )
    core.row("gpu.released", "host", {"by": fact.principal, "until": until, "text": f"{text}."})
    return yes(text)


def _resume(core: "Decider", fact: Command) -> Verdict:
    state = core.gpu.state(core)
    if state is None or not (state.released or state.quiet):
        return yes("Nothing keeps NVIDIA's driver from being asked.")
    core.gpu.resume(core)
    text = "NVIDIA's driver is asked again."
    core.row("gpu.resumed", "host", {"by": fact.principal, "text": text})
    return yes(text)


def _forget(core: "Decider", fact: Command) -> Verdict:
    text = core.gpu.forget(core, fact.target)
    core.row("gpu.forgotten", "host", {"by": fact.principal, "card": fact.target, "text": text})
    return yes(text)


def _drill(core: "Decider", fact: Command) -> Verdict:
    word = fact.params.get("xid", "")
    if not (word.isascii() and word.isdigit()) or len(word) > 5:
        raise ValueError(f"{word[:20]!r} is no XID; write a number like 79")
    card = "" if fact.target in ("", "*") else fact.target
    seconds = units.duration(fact.params["for"]) if fact.params.get("for") else DRILL
    named = fact.params.get("service", "")
    service = core.registry.find(named) if named else ("",)
    if len(service) != 1:
        raise ValueError(f"the service {units.plain(named, 60)!r} is not known, or stands for several")
    return core.gpu.faults.practise(core, int(word), card, seconds, fact.principal, service[0])


_SAID = {"gpu-release": _release, "gpu-resume": _resume, "gpu-forget": _forget, "gpu-drill": _drill}
