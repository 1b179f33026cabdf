"""What time alone brings about: an image is proved, a streak of deaths is over, a service is gone for good.

The registry asks when the next of these is due and lets it happen. All of it runs on monotonic time.
"""

from supervisor import units
from supervisor.facts import Needs
from supervisor.services import trouble
from supervisor.services.record import Record
from supervisor.services.state import State
from supervisor.services.tally import CHAIN, chain
from supervisor.units import show_duration

GRACE = 60.0
"""seconds a service may be without a container before it counts as gone: a recreation is no end"""
MOST_REMEMBERED = 500
"""services without a container whose history the journal keeps, beyond which the oldest are forgotten"""


class Timers:
    """The timers of all services, recomputed from their state: nothing to cancel, nothing to leak."""

    def __init__(self, state: State) -> None:
        self._state = state

    def due(self) -> float | None:
        """The next monotonic instant at which something happens."""
        records = self._state.records.values()
        found = [at for record in records for at in (*self._of(record), self._eases(record)) if at is not None]
        return min(found, default=None)

    def tick(self) -> None:
        """Do what is due at the state's time."""
        mono = self._state.mono
        for record in [self._state.records[service] for service in sorted(self._state.records)]:
            settles, calms, ends = self._of(record)
            if settles is not None and settles <= mono:
                self._settle(record)
            if calms is not None and calms <= mono:
                self._calm(record)
            eases = self._eases(record)
            if eases is not None and eases <= mono:
                trouble.clear(self._state, record)
                self._state.refresh(record)
            if ends is not None and ends <= mono:
                self._end(record)

    def _eases(self, record: Record) -> float | None:
        """When the cause of its last trouble counts no more: it has run well since, for as long as ends a streak."""
        if not record.tally.trouble or record.tally.streak or record.healthy_since is None:
            return None
        return max(record.healthy_since, record.trouble_since or 0.0) + CHAIN

    def _of(self, record: Record) -> tuple[float | None, float | None, float | None]:
        """(when its image is proved, when its streak is over, when it is gone)."""
        settles = calms = ends = None
        if record.healthy_since is not None and not record.settled:
            settles = record.healthy_since + self._proof_time(record)
        if record.running_since is not None and record.tally.streak:
            # not well yet: a load that takes long and then dies is a loop all the same
            calms = record.running_since + chain(record.needs, unwell=self._loads(record))
        if record.lost_since is not None and self._state.plan_on(record, None) is None:
            ends = record.lost_since + GRACE
        return settles, calms, ends

    def _watched(self, record: Record) -> bool:
        """Whether a plan has not made up its mind about it: it may ask a probe that says no while nothing else does."""
        return self._state.plan_on(record, self._state.current(record)) is not None

    def _loads(self, record: Record) -> bool:
        """Whether its own check, or its probe, has not said yet that it is well."""
        found = record.service.container if record.service is not None else None
        if found is None:
            return False
        return found.health in ("starting", "unhealthy") or self._state.probe_says(record, found) is False

    def _proof_time(self, record: Record) -> float:
        """Seconds it must be healthy. Where plainly running is all we can see, a declared long load is no proof: the
        time counts from its end."""
        found, proof = record.service.container if record.service is not None else None, self._state.settings.proof
        blind = found is not None and found.health == "none" and not self._state.probe_says(record, found)
        return proof + record.needs.startup if blind and record.needs.startup > Needs().startup else proof

    def _settle(self, record: Record) -> None:
        """Healthy for the whole proof time without a break."""
        state, held = self._state, self._state.current(record)
        record.tally.streak = 0
        if held is not None and self._watched(record):
            record.healthy_since = state.mono  # no proof yet: the time counts anew
            state.keep_tally(record)
            state.refresh(record)
            return
        record.settled = True
        if held is None:
            return
        container = held.container
        known = state.ledger.last_known_good(record.id)
        if container.image_id and known != container.image_id:
            freed = bool(state.ledger.why_bad(record.id, container.image_id))
            state.put(*state.ledger.prove(record.id, container.image_id, container.image_ref, state.at))
            took = show_duration(self._proof_time(record))
            image = f"{units.short_image(container.image_id)} ({container.image_ref})"
            text = f"{record.id} was healthy for {took} on {image}: proved."
            data = {"ref": container.image_ref, "before": known, "unquarantined": freed}
            state.tell("drift.proved", record, container, **data, text=text)
        state.keep_tally(record)
        state.refresh(record)

    def _calm(self, record: Record) -> None:
        record.tally.streak = 0
        self._state.keep_tally(record)
        self._state.refresh(record)

    def _end(self, record: Record) -> None:
        """No container for a while: its series end. A history worth having is kept, within bounds."""
        state = self._state
        state.end_series(record)
        state.shelve(record)
        record.tally.gone_at = state.at
        state.keep_tally(record)
        if not self._worth_keeping(record):
            self._forget(record.id)
        while len(state.remembered) > MOST_REMEMBERED:
            watched = [one.id for one in state.remembered.values() if not one.tally.owned]
            self._forget(next(iter(watched), next(iter(state.remembered))))

    def _worth_keeping(self, record: Record) -> bool:
        return record.tally.owned or record.wanted.state != "any" or bool(self._state.ledger.proofs(record.id))

    def _forget(self, service: str) -> None:
        self._state.remembered.pop(service, None)
        self._state.counted.pop(service, None)
        for space in ("tally", "wanted", "proved", "quarantine", "load"):
            self._state.put((space, service, None))
