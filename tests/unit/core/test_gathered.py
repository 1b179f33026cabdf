"""One row tells of many messages: the core writes it, once for every pile that the pump hands in."""

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.standing import Loaded
from supervisor.facts import BusState, Gathered
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.rules import RuleSet


def test_a_pile_that_is_handed_in_again_is_written_once() -> None:
    clock = SimLoop().clock
    journal = Journal.open(None, clock)
    decider = assemble(Loaded(Settings(host="sim"), RuleSet(), ()), journal, clock)
    decider.begin(journal.batch(), clock.wall(), clock.mono())
    body = {"count": 3, "text": "3 messages"}
    for what, pile in (("digest", "a"), ("shed", "b"), ("digest", "a"), ("shed", "b"), ("digest", "c")):
        decider.take(Gathered(clock.wall(), clock.mono(), what, pile, body), None)
    rows = [row for row in decider.batch.rows if row.kind in ("daemon.digest", "daemon.shed")]
    assert [(row.kind, row.body["pile"], row.public) for row in rows] == [
        ("daemon.digest", "a", True),
        ("daemon.shed", "b", True),
        ("daemon.digest", "c", True),
    ]
    assert rows[0].body["text"] == "3 messages"


def test_how_the_bus_is_are_series_for_rules_at_once_and_none_without_a_bus() -> None:
    clock = SimLoop().clock
    journal = Journal.open(None, clock)
    decider = assemble(Loaded(Settings(host="sim"), RuleSet(), ()), journal, clock)

    def newest() -> dict[str, float]:
        wanted = ("resurgam_broker_connected", "resurgam_messages_waiting", "resurgam_alerts_unheard")
        latest = [(dict(labels), value) for labels, _at, value in decider.store.latest(clock.wall())]
        return {
            named["__name__"] + named.get("broker", ""): value for named, value in latest if named["__name__"] in wanted
        }

    decider.begin(journal.batch(), clock.wall(), clock.mono())
    decider.take(BusState(clock.wall(), clock.mono(), False, "none", "mqtt.url is none"), None)
    assert newest() == {}
    decider.take(
        BusState(clock.wall(), clock.mono(), True, "mqtt://box", "late", waiting=7, unheard_alerts=("a", "b")), None
    )
    assert newest() == {
        "resurgam_broker_connectedmqtt://box": 1.0,
        "resurgam_messages_waiting": 7.0,
        "resurgam_alerts_unheard": 2.0,
    }
