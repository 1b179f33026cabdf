"""The tables of metrics that rules are checked with say what the daemon really makes: no more, no less."""

from supervisor.core import profiles
from supervisor.core.decider import REPEAT
from supervisor.core.made import METRICS
from supervisor.gate import series as gates
from supervisor.gpu import dcgm, fault_series
from supervisor.gpu import series as cards
from supervisor.memory.series import CULPRIT
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.services import series
from supervisor.signals import disk, models
from supervisor.signals.gpu import series as driver
from supervisor.signals.memory.series import FIELDS, MAC
from supervisor.signals.probes import series as probes
from supervisor.signals.scrapes import series as scrapes
from supervisor.slots import series as slots
from tests.sim.stage import Stage, play


def test_every_series_that_is_made_is_of_a_known_metric_with_known_labels() -> None:
    async def story(stage: Stage) -> None:
        stage.world.host.memory = dict.fromkeys(FIELDS, 1e9)
        stage.world.kernel.machine.nodes = 2
        stage.world.every = 15.0
        await stage.proved()
        stage.engine.crash("box-oracle-1", 139)
        await stage.world.run(70)
        made: dict[str, set[str]] = {}
        for labels, _ms, _value in stage.life.core.decider.store.latest(stage.clock.wall()):
            pairs = dict(labels)
            made.setdefault(pairs.pop("__name__"), set()).update(pairs)
        for name in (ALERTS, ALERTS_FOR_STATE):
            made.pop(name, None)
        # a Mac's, one that is only there while memory runs out, and those of watches that this box has no use for
        rooms = (cards, fault_series, dcgm, driver, probes, profiles, scrapes, disk, models, gates, slots)
        elsewhere = {*MAC, CULPRIT, *(metric.name for room in rooms for metric in room.METRICS)}
        assert sorted(made) == sorted(METRICS.keys() - elsewhere)
        for name, labels_seen in made.items():
            assert labels_seen <= set(METRICS[name].labels), name
        counters = {name for name, metric in METRICS.items() if metric.kind == "counter" and name not in elsewhere}
        assert counters == {name for name in made if name.endswith("_total") or name.startswith("node_vmstat_")}

    play(story)


def test_event_sourced_series_are_repeated_as_often_as_the_table_says() -> None:
    assert {metric.every for metric in series.METRICS} == {REPEAT}
