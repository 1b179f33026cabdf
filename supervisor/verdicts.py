"""Why: every decision returns a Verdict, and the same value feeds log, message, metric label and test."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The closed list of reasons. The value is what machines read; the sentence beside it is for people."""

    ALLOWED = "allowed"
    # who may be touched
    NOT_OWNED = "not_owned"
    NOT_ALLOWED = "not_allowed"
    """who asks may not do that"""
    BAD_SIGNATURE = "bad_signature"
    """a command over the bus is signed, and not by whom it says"""
    DUPLICATE_IDENTITY = "duplicate_identity"
    NO_TARGET = "no_target"
    AMBIGUOUS_TARGET = "ambiguous_target"
    # what the person wants
    OBSERVE_MODE = "observe_mode"
    PAUSED = "paused"
    WANTED_STOPPED = "wanted_stopped"
    NEEDS_APPROVAL = "needs_approval"
    DENIED = "denied"
    DRY_RUN = "dry_run"
    VETO = "veto"
    # how often
    COOLDOWN = "cooldown"
    BUDGET_SERVICE = "budget_service"
    BUDGET_HOST = "budget_host"
    BUDGET_PLAYBOOK = "budget_playbook"
    BRAKE = "brake"
    """too many maneuvers failed on this host: something larger is wrong"""
    # who goes first
    LOCKED = "locked"
    OUTRANKED = "outranked"
    OWNER_FIRST = "owner_first"
    BUSY = "busy"
    OWN_ACTION = "own_action"
    ALREADY_DONE = "already_done"
    LADDER_SPENT = "ladder_spent"
    UNLESS = "unless"
    HELD = "held"
    # what the world allows
    UNKNOWN_VERB = "unknown_verb"
    BAD_PARAMETER = "bad_parameter"
    NO_KNOWN_GOOD = "no_known_good"
    QUARANTINED = "quarantined"
    IMAGE_GONE = "image_gone"
    NAME_TAKEN = "name_taken"
    INTERFERED = "interfered"
    VANISHED = "vanished"
    UNSUPPORTED = "unsupported"
    NO_USE = "no_use"
    """the cause is known, and this verb does not mend it"""
    HEAVY = "heavy"
    """too large to be loaded again on suspicion"""
    NO_ROOM = "no_room"
    """the memory that is planned with does not suffice"""
    WITHIN_PLAN = "within_plan"
    """it keeps to its memory plan, so nothing is done to it for want of memory"""
    SWITCHED_OFF = "switched_off"
    """resurgam.yaml does not allow it: what reaches beyond containers only tells unless it is switched on"""
    GPU_BUSY = "gpu_busy"
    """something still uses the card"""
    IN_USE = "in_use"
    """requests are in flight, or nobody knows whether there are any"""
    NO_GO = "no_go"
    """the model was tried on this server image and failed; it is asked again when the image changes"""
    NO_FIT = "no_fit"
    """the preflight says that it cannot run here: files, architecture, size"""
    RESIDENT = "resident"
    """it was loaded too short a time ago to be put away, or a person keeps it"""
    WIDENS = "widens"
    """it would give the container more rights, or less hardening, than it has"""
    UNFAITHFUL = "unfaithful"
    """the container cannot be made again as it is"""
    BACKUP_FAILED = "backup_failed"
    STALE = "stale"
    """a request too old to be obeyed"""
    ENGINE_ABSENT = "engine_absent"
    ENGINE_REFUSED = "engine_refused"
    JOURNAL_FAILED = "journal_failed"
    NOT_READY = "not_ready"
    STOPPING = "stopping"
    RESOLVED = "resolved"
    # how it ended
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    DEGRADED = "degraded"
    FAILED = "failed"
    ENDED_EARLY = "ended_early"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, why (enum), and one plain sentence that says what to do next where there is something to do."""

    ok: bool
    reason: Reason
    text: str

    def __bool__(self) -> bool:
        return self.ok


def yes(text: str = "", reason: Reason = Reason.ALLOWED) -> Verdict:
    """A verdict that allows."""
    return Verdict(True, reason, text)


def no(reason: Reason, text: str) -> Verdict:
    """A verdict that refuses."""
    return Verdict(False, reason, text)
