"""May a service be run by its safe profile, or as before again? Pure.

In: an intent to recreate it, and the service. Out: the refusal, for the guard.
"""

from supervisor.facts import Intent, Service
from supervisor.verdicts import Reason, Verdict, no

SAFE, NORMAL = "safe", "normal"


def refused(intent: Intent, service: Service) -> Verdict | None:
    """Why `phoenix profile=…` makes no sense here; None where it does, or nothing is said of a profile."""
    wanted = intent.params.get("profile", "")
    if intent.verb != "phoenix" or not wanted:
        return None
    if wanted not in (SAFE, NORMAL):
        return no(Reason.BAD_PARAMETER, f"phoenix profile={wanted[:40]!r} is neither safe nor normal.")
    if intent.document:
        text = "A compose file says all there is to say, so no profile goes with it; leave one of the two out."
        return no(Reason.BAD_PARAMETER, text)
    if wanted == SAFE and service.needs.safe is None:
        text = (
            f"{service.id} declares no safe profile; say under `services:` what runs it more carefully, like "
            'safe: {env: {GGML_CUDA_DISABLE_GRAPHS: "1"}}.'
        )
        return no(Reason.UNSUPPORTED, text)
    if wanted == SAFE and service.profile == SAFE:
        return no(Reason.ALREADY_DONE, f"{service.id} runs with its safe profile already.")
    if wanted == NORMAL and service.profile != SAFE:
        return no(Reason.ALREADY_DONE, f"{service.id} runs as it always does: it has no safe profile to leave.")
    return None
