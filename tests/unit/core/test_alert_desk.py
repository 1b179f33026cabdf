"""What the journal says of an alert: who it is about stays the same from its firing to its end."""

from collections.abc import Mapping

from supervisor.core.alerts import AlertDesk
from supervisor.core.silences import Silences
from supervisor.facts import Alert, AlertChange, Json
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.rules import RuleEngine
from supervisor.samples import Store


def test_the_end_of_an_alert_is_about_the_service_it_fired_for_though_that_is_forgotten_by_then() -> None:
    known = {"oracle": ("oracle",)}
    rows: list[tuple[str, str]] = []

    def row(kind: str, subject: str, _body: Json, _public: bool) -> int:
        rows.append((kind, subject))
        return len(rows)

    def find(word: str | Mapping[str, str]) -> tuple[str, ...]:
        return known.get(word, ()) if isinstance(word, str) else ()

    clock = SimLoop().clock
    batch = Journal.open(None, clock).batch()
    desk = AlertDesk(RuleEngine(Store()), find, Silences({}), lambda: ())
    for state, before in (("firing", "pending"), ("resolved", "firing"), ("firing", "pending")):
        alert = Alert("f", "Gone", state, {"name": "oracle"}, {}, 0.0, 1.0)
        desk.journal((AlertChange(alert, before, 5.0),), row, batch)
        known.clear()
    assert rows == [("alert.firing", "oracle"), ("alert.resolved", "oracle"), ("alert.firing", "host")]
