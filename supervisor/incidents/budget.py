"""How often: disruptive plans are counted from the journal, per service and per host, in sliding windows.

The plans counted come with the World (`spent`), the limits from the settings. A restart refills nothing, since nothing
is counted anywhere else. After an hour in which nothing had to be done, one try is allowed though a window is full.
"""

from collections.abc import Sequence

from supervisor import units
from supervisor.facts import Intent
from supervisor.incidents.words import until
from supervisor.incidents.world import Spend, World
from supervisor.verbs import Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

HALF_OPEN = 3600.0
"""seconds without a disruptive plan, up to the beginning of the present trouble, that earn one try"""


def full(intent: Intent, world: World) -> tuple[Verdict, float | None] | None:
    """The refusal if a budget is spent, with the instant it ends (None: never); None if there is room."""
    if disturbance(intent.verb, dict(intent.params)) is not Disturbance.DISRUPTIVE:
        return None
    own = [spend for spend in world.spent if spend.disruptive and spend.service == intent.target]
    all_of_them = _once_per_rollout(world.spent)
    if intent.rollout and any(spend.rollout == intent.rollout for spend in all_of_them):
        all_of_them = []  # its rollout is paid for
    limits = world.settings.budget
    began = _trouble_began(intent, world)
    for reason, budgets, spends, of in (
        (Reason.BUDGET_SERVICE, limits.service, own, f" of {intent.target}"),
        (Reason.BUDGET_HOST, limits.host, all_of_them, " on this host"),
    ):
        if budgets and _rested(spends, began):
            budgets = tuple(budget for budget in budgets if budget.count == 0)
        refused = over([spend.at for spend in spends], budgets, world.now)
        if refused is not None:
            budget, room = refused
            return no(reason, sentence(budget, room, world.now, f"disruptive plans{of}")), room
    return None


def _once_per_rollout(spent: Sequence[Spend]) -> list[Spend]:
    """The disruptive ones, of each rollout only the first: for the host that is one deed."""
    found: list[Spend] = []
    seen: set[int] = set()
    for spend in spent:
        if spend.disruptive and not (spend.rollout and spend.rollout in seen):
            found.append(spend)
            seen.add(spend.rollout)
    return found


def over(
    instants: Sequence[float], budgets: Sequence[units.Budget], now: float
) -> tuple[units.Budget, float | None] | None:
    """The full budget that keeps the next one waiting longest, with the instant it has room again (None: never)."""
    worst: tuple[units.Budget, float | None] | None = None
    for budget in budgets:
        inside = sorted(at for at in instants if at > now - budget.window)
        if len(inside) < budget.count:
            continue
        if budget.count == 0:
            return budget, None
        room = inside[len(inside) - budget.count] + budget.window
        if worst is None or worst[1] is None or room > worst[1]:
            worst = (budget, room)
    return worst


def sentence(budget: units.Budget, room: float | None, now: float, what: str) -> str:
    """`3 disruptive plans of x in 1h are spent; the next is possible at 12:40 (in 25m).`"""
    window = units.show_duration(budget.window)
    if room is None:
        return f"No {what} are allowed in {window}; change `budget:` to allow some."
    return f"{budget.count} {what} in {window} are spent; the next is possible {until(room, now)}."


def _trouble_began(intent: Intent, world: World) -> float:
    """When what this intent is about began: its alert's first sight; a person's command is about now."""
    fingerprint = intent.key.split("|", 1)[0]
    found = [alert.active_at for alert in world.alerts if fingerprint and alert.fingerprint == fingerprint]
    return found[0] if found else world.now


def _rested(spends: Sequence[Spend], began: float) -> bool:
    return bool(spends) and began - max(spend.at for spend in spends) >= HALF_OPEN
