"""Both sides of a slot's plan: who leaves and who comes, where their containers are, and how each goes and comes.

From: `Plan.found` (through checks/case.py) and the marks of the plan. To: every step in this folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from supervisor.actions.hand import Hand
from supervisor.actions.swap.checks.case import Case, Part, case_of
from supervisor.facts import Bench, Container, Criteria
from supervisor.facts.slots import EXCLUSIVE, SLEEP
from supervisor.journal.codec import load
from supervisor.ports import ModelAt
from supervisor.services.names import COMPOSE_SERVICE_LABEL, NUMBER_LABEL, PROJECT_LABEL
from supervisor.slots.address import upstream

STOPS, SLEEPS, UNLOADS = "stops", "sleeps", "unloads"
"""how a model leaves: its container stops | it sleeps in it | its server puts it away"""
MADE = "made_id"
"""among the data of a plan: the container that this plan made for the model that comes"""


@dataclass(frozen=True, slots=True)
class Sides:
    """A slot's plan, taken apart."""

    case: Case
    coming: Part
    leaving: Part | None
    """who holds the slot; None for nobody"""
    criteria: Criteria
    baseline: Bench | None
    pivot: bool
    golden: str
    """the folder of golden files of the model that comes"""
    left_running: bool
    """who holds the slot ran when the plan began: only then there is something to go back to"""

    @property
    def slot(self) -> str:
        """Its name."""
        return self.case.slot.name

    @property
    def left(self) -> str:
        """The name of the model that leaves; '' for none."""
        return self.leaving.model.name if self.leaving is not None else ""

    @property
    def exclusive(self) -> bool:
        """Only one of them may be in memory at any instant."""
        return self.case.shape in (EXCLUSIVE, SLEEP)

    @property
    def same_box(self) -> bool:
        """Both live in one container, or in one server elsewhere."""
        if self.leaving is None:
            return False
        return self.leaving.model.inside and self.leaving.container_id == self.coming.container_id

    @property
    def rival(self) -> str:
        """The container that must not run while the other one loads; '' for none."""
        if self.leaving is None or not self.exclusive or self.leaves(self.leaving) != STOPS:
            return ""
        return self.leaving.container_id

    def leaves(self, part: Part) -> str:
        """How a model goes: one of STOPS, SLEEPS, UNLOADS."""
        if part.model.inside:
            return UNLOADS
        return SLEEPS if part.model.sleep and self.case.shape == SLEEP else STOPS

    def limit(self, part: Part) -> float:
        """Seconds until it is ready, at most."""
        return float(self.case.limits.get(part.model.name) or part.needs.startup)


def sides(hand: Hand) -> Sides:
    """Both sides, by what was found when the plan was built and what it has done since."""
    found = hand.plan.found
    case = case_of(hand.plan)
    coming = case.to
    made = str(hand.data.get(MADE) or "")
    if made:
        name, policy = (str(hand.data.get(key) or "") for key in ("made_name", "made_policy"))
        coming = replace(coming, container_id=made, name=name or coming.name, policy=policy or coming.policy)
    parts = found.get("parts") or {}
    golden = str((parts.get(coming.model.name) or {}).get("golden") or "")
    kept = found.get("baseline")
    return Sides(
        case,
        coming,
        case.before,
        case.slot.criteria_of(coming.model.name),
        load(Bench, kept) if kept else None,
        bool(found.get("pivot")),
        golden,
        bool(hand.data.get("left_running", case.before is not None)),
    )


@contextmanager
def as_of(hand: Hand, part: Part) -> Iterator[None]:
    """Let the hand work on this model's service: its needs, its container. One plan has one task, so nobody else is
    misled meanwhile."""
    kept = hand.plan
    hand.plan = replace(kept, needs=part.needs, container_id=part.container_id, name=part.name)
    try:
        yield
    finally:
        hand.plan = kept


async def box_of(hand: Hand, part: Part | None) -> Container | None:
    """Its container as it stands now; None where it has none, or it is gone."""
    return await hand.inspect(part.container_id) if part is not None and part.container_id else None


async def where(hand: Hand, part: Part) -> ModelAt:
    """Where its server answers, by a fresh look."""
    return ModelAt(part.model, part.needs, await box_of(hand, part))


def address(at: ModelAt) -> str:
    """Where callers are sent: `http://host:port`, '' where nobody knows."""
    return upstream(at.model, at.needs, at.container)


def own_name(part: Part, seen: Container, borrowed: str) -> str:
    """What a container is called while another one bears the slot's name. `borrowed`: that name."""
    if seen.name != borrowed:
        return seen.name
    if part.name and part.name != borrowed:
        return part.name
    labels = seen.labels
    project, service = labels.get(PROJECT_LABEL, ""), labels.get(COMPOSE_SERVICE_LABEL, "")
    if project and service:
        return f"{project}-{service}-{labels.get(NUMBER_LABEL) or 1}"
    return f"{borrowed}-{part.model.name}"
