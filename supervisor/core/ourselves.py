"""What the core does about itself: its clock, its settings, its pauses, its edges, its bus, and what rules may know of
it."""

import re
from typing import TYPE_CHECKING

from supervisor.core.standing import Loaded
from supervisor.facts import BusState, EdgeState, Gathered, Metric, Reloaded, Sample, Stopping, labels
from supervisor.facts.words import ALIAS

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

_PLACED = re.compile(r"(.+?):\d+:\d+: ")
"""a mistake in a playbook file, as its text has it"""
PILES = 16
"""piles of messages that are known by name: more are never under way"""
JUMP = 5.0
"""seconds the two hands may drift apart in a turn before it counts as a jump of the clock"""


METRICS = (
    Metric("resurgam_rules_file_healthy", "gauge", ("file",), 60.0, events=True),
    Metric("resurgam_engine_up", "gauge", ("engine",), 60.0, events=True),
    Metric("resurgam_faults_total", "counter", ("kind",), 60.0, events=True),
    Metric("resurgam_problems", "gauge", (), 60.0, events=True),
    Metric("resurgam_alias_taken", "gauge", (), 60.0, events=True),
    Metric("resurgam_broker_connected", "gauge", ("broker",), 60.0, events=True),
    Metric("resurgam_messages_waiting", "gauge", (), 60.0, events=True),
    Metric("resurgam_alerts_unheard", "gauge", (), 60.0, events=True),
)
"""what `sample` makes, with every repeat of the event-sourced series"""


def check_hands(core: "Decider") -> None:
    """A wall clock that moved against the monotonic one: suspend, NTP step or a person's `date`. One that was set back
    by less counts as standing still until it has caught up: no sample is older than the one before it."""
    if core.hands is not None:
        wall, mono = core.hands
        gap = (core.now - wall) - (core.mono - mono)
        if abs(gap) > JUMP:
            core.rules.gap(gap, core.now)
            core.admission.gap(core, gap)
            core.approvals.gap(core, gap)
            core.outside.gap(core, gap)
            core.holds.gap(core, gap)
            core.profiles.gap(core, gap)
            core.slots.gap(core, gap)
            core.book.gap(gap)
            core.registry.gap(gap)
            core.reviewed_later()
            core.timers["repeat"] = core.mono  # alerts are held until there is fresh input
            core.row("daemon.clock_jump", "daemon", {"text": f"The clock jumped by {gap:+.0f} s.", "seconds": gap})
        else:
            core.now = max(core.now, wall)
    core.hands = (core.now, core.mono)


def sample(core: "Decider") -> None:
    """Series about us: rule files that are bad or err, engines that do not answer, edges in trouble, what was lost."""
    found = [
        Sample(labels("resurgam_rules_file_healthy", file=health.file), 0.0 if health.text else 1.0)
        for health in core.rules.health()
    ]
    playbooks = {book.file: 1.0 for book in core.loaded.playbooks}
    playbooks |= {match[1]: 0.0 for text in core.loaded.problems if (match := _PLACED.match(text))}
    found += [Sample(labels("resurgam_rules_file_healthy", file=file), well) for file, well in playbooks.items()]
    engines = sorted(core.standing.engines.items())
    found += [Sample(labels("resurgam_engine_up", engine=name), float(state.up)) for name, state in engines]
    counts = core.store.counts | core.standing.edge_counts
    found += [
        Sample(labels("resurgam_faults_total", kind=kind), float(count)) for kind, count in sorted(counts.items())
    ]
    found.append(Sample(labels("resurgam_problems"), float(len(core.standing.edges))))
    found.append(Sample(labels("resurgam_alias_taken"), float(ALIAS in core.standing.edges)))
    found += _bus(core.standing.bus)
    core.rules.arrived("resurgam", core.store.append(core.now, found), core.now)


def _bus(state: BusState | None) -> list[Sample]:
    """Series about the message bus; none where there is none."""
    if state is None or state.broker == "none":
        return []
    return [
        Sample(labels("resurgam_broker_connected", broker=state.broker), float(state.connected)),
        Sample(labels("resurgam_messages_waiting"), float(state.waiting)),
        Sample(labels("resurgam_alerts_unheard"), float(len(state.unheard_alerts))),
    ]


def watched(core: "Decider", count: int) -> str:
    """How many containers there are, and which services of them are healed: one sentence, said at the first sweep."""
    owned = [service.id for service in core.registry.services() if service.owned.ok]
    said = "1 container is" if count == 1 else f"{count} containers are"
    if owned:
        return f"{said} watched; healed are: {', '.join(owned[:20])}."
    listed = core.loaded.settings.consent == "listed"
    consent = "is listed under `services:` with `enable: true`" if listed else "says `resurgam.enable=true`"
    return f"{said} watched, none is healed: none {consent}."


def reloaded(core: "Decider", fact: Reloaded) -> None:
    """Configuration and rules were read again; what is bad leaves the running set as it is."""
    if fact.payload is None:
        core.row("daemon.rules_bad", "daemon", {"text": fact.text})
        core.standing.load_problems = (fact.text,)
        return
    loaded: Loaded = fact.payload
    core.loaded = loaded
    core.standing.load_problems = loaded.problems
    core.registry.reload(loaded.settings)
    core.book.reload(loaded.playbooks)
    outside = loaded.settings.external_labels, loaded.settings.external_url
    core.announce(core.rules.load(loaded.rules, core.now, *outside))
    core.store.keep(loaded.retention())
    core.row("daemon.reloaded", "daemon", {"text": fact.text})
    core.reviewed_later()


def edge(core: "Decider", fact: EdgeState) -> None:
    """An edge says that it is in trouble, or not any more, or what it counted."""
    core.standing.edge_counts.update(fact.counts)
    if fact.text:
        core.standing.edges[fact.part] = fact.text
    else:
        core.standing.edges.pop(fact.part, None)
    core.stale_snapshot = True


def bus(core: "Decider", fact: BusState) -> None:
    """How the message bus is."""
    core.standing.bus = fact
    core.stale_snapshot = True
    sample(core)


def stopping(core: "Decider", _fact: Stopping) -> None:
    """We were asked to end: from now on no plan begins."""
    core.standing.stopping = True
    core.row("daemon.stopping", "daemon", {"text": "Asked to end."})
    core.reviewed_later()


def gathered(core: "Decider", fact: Gathered) -> None:
    """Write the one row that tells of many messages. The pump hands it in again where it does not see the row."""
    known = core.standing.piles
    if fact.pile not in known:
        known[fact.pile] = None
        if len(known) > PILES:
            del known[next(iter(known))]
        core.row(f"daemon.{fact.what}", "daemon", {**fact.body, "pile": fact.pile})


def pause_end(core: "Decider") -> float | None:
    """When the next pause ends by itself, unix seconds."""
    return min((until for _why, until in core.standing.pauses.values() if until), default=None)


def end_pauses(core: "Decider") -> None:
    """End what was paused for so long."""
    for subject, (_why, until) in list(core.standing.pauses.items()):
        if until and until <= core.now:
            resume(core, subject, "the time it was paused for is over")


def pause(core: "Decider", subject: str, why: str, until: float) -> None:
    """Start no new plan (for one service, or `*`)."""
    core.standing.pauses[subject] = (why, until)
    core.batch.put("pause", subject, {"why": why, "until": until})
    text = f"Paused: {why}."
    core.row("daemon.paused", "daemon" if subject == "*" else subject, {"text": text, "until": until})
    core.reviewed_later()


def resume(core: "Decider", subject: str, why: str, *, word: bool = False) -> None:
    """End a pause. `word`: a person said so, which for `*` ends the caution after a journal was set aside, too."""
    core.standing.pauses.pop(subject, None)
    core.batch.put("pause", subject, None)
    if word and subject == "*" and core.standing.confirm:
        core.standing.confirm = ""
        core.batch.put("meta", "confirm", None)
    core.row("daemon.resumed", "daemon" if subject == "*" else subject, {"text": f"Resumed: {why}."})
    core.reviewed_later()
