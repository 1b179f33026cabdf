"""Builds the decider from what the journal kept: the daemon does it once per start, the lab at every life of its own.

In: what was loaded, the journal, the recorder's readings. Out: windows, alerts, incidents, wanted states, budgets,
pauses, rollouts, approvals and the locks of open plans as they stood when the last process ended.
"""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor import __version__
from supervisor.clock import Clock
from supervisor.core.admission import Admission
from supervisor.core.approvals import Approvals
from supervisor.core.decider import Decider
from supervisor.core.gpu import GpuDesk
from supervisor.core.holds import Holds
from supervisor.core.made import ours
from supervisor.core.mail import Mail
from supervisor.core.memory import MemoryDesk
from supervisor.core.outside import Outsiders
from supervisor.core.probing import ProbeDesk
from supervisor.core.profiles import Profiles
from supervisor.core.rollouts import Rollouts
from supervisor.core.silences import Silences
from supervisor.core.slots import SlotDesk
from supervisor.core.standing import Identity, Loaded, Standing
from supervisor.facts import Alert, Container, StepAsked
from supervisor.incidents import Book
from supervisor.journal import Journal
from supervisor.journal.codec import load as decode
from supervisor.ports import Ask, Permit
from supervisor.rules import RuleEngine
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import Store
from supervisor.services import Registry
from supervisor.verdicts import Verdict

SPACES = (
    "alert",
    "approval",
    "bench",
    "command",
    "footprint",
    "gpu",
    "hold",
    "incident",
    "load",
    "meta",
    "nogo",
    "outside",
    "pause",
    "plan",
    "profile",
    "proved",
    "quarantine",
    "request",
    "rollout",
    "run",
    "silence",
    "slot",
    "spent",
    "tally",
    "wanted",
)
LATELY = 10_000
"""samples among which the newest one is"""


def assemble(
    loaded: Loaded,
    journal: Journal,
    clock: Clock,
    remembered: Sequence[tuple[tuple[tuple[str, str], ...], int, float]] = (),
    store: Store | None = None,
    options: Options = Options(),
    machine: str = "",
) -> Decider:
    """The decider, restored: windows, alerts, incidents, wanted states, budgets, pauses, locks of open plans. `store`:
    an empty one to use, where the lab has its own. `options`: how rules are evaluated. `machine`: what tells one boot
    of this machine from the next."""
    now = clock.wall()
    kept: dict[str, Mapping[str, dict[str, object]]] = {space: journal.space(space) for space in SPACES}
    registry = Registry(loaded.settings, kept, own=platform.node() if Path("/.dockerenv").exists() else "")
    store = Store() if store is None else store
    rules = RuleEngine(store, options=options)
    rules.load(loaded.rules, now, loaded.settings.external_labels, loaded.settings.external_url)
    store.keep(loaded.retention())
    store.restore(remembered, brought=lambda name: not ours(name))
    alerts = tuple(decode(Alert, value) for _key, value in sorted(kept["alert"].items()))
    last = journal.rows(limit=1, newest_first=True)
    newest = [ms / 1000 for _labels, ms, _value in remembered[-LATELY:]]  # a rule with an offset writes into the past
    looked = max([row.at for row in last] + newest, default=now)
    lost = rules.restore(alerts, now, max(0.0, now - looked))
    standing = Standing(load_problems=loaded.problems)
    standing.pauses = {key: (str(value["why"]), float(str(value["until"]))) for key, value in kept["pause"].items()}
    standing.requests = {key: [str(one) for one in value["seen"]] for key, value in kept["request"].items()}  # type: ignore[attr-defined]
    standing.confirm = str(kept["meta"].get("confirm", {}).get("text", ""))
    identity = Identity(loaded.settings.host, __version__, journal.epoch, now)
    book = Book(loaded.playbooks, kept)
    decider = Decider(
        loaded,
        identity,
        standing,
        registry,
        store,
        rules,
        book,
        Admission(clock, kept),
        Approvals(kept["approval"]),
        Rollouts(kept["rollout"], kept["meta"], machine),
        Silences(kept["silence"]),
        Mail(kept["command"]),
        Outsiders(kept["outside"]),
        Holds(kept["hold"]),
        MemoryDesk(loaded.settings.memory, kept["footprint"]),
        GpuDesk(loaded.settings.gpu, kept["gpu"], machine),
        ProbeDesk(loaded.settings.probes),
        Profiles(kept["profile"]),
        SlotDesk(loaded.settings, kept),
    )
    decider.desk.restored(alerts, lost)
    decider.last_seq = journal.last_seq
    decider.revisions = journal.revisions()
    return decider


def caution(journal: Journal, clock: Clock) -> None:
    """After a journal was lost nobody knows what was done and how often: from then on only observe, until a person
    says `resume`. Kept in the new journal, so that a restart does not forget it."""
    if journal.set_aside is None:
        return
    batch = journal.batch()
    text = f"{journal.why} Nothing disruptive is done until you say `resurgam resume`."
    batch.put("meta", "confirm", {"text": text})
    batch.row("daemon.mode", "daemon", {"text": text}, clock.wall(), True)
    journal.commit(batch)


def permit_from(ask: Ask, clock: Clock) -> Permit:
    """`permit(plan, step, seen)` of the runner, as a question to the core."""

    async def permit(plan: int, step: str, seen: tuple[Container, ...]) -> Verdict:
        answer: Verdict = await ask(StepAsked(clock.wall(), clock.mono(), plan, step, seen))
        return answer

    return permit
