"""Why it is as it is: the answer to `resurgam explain`."""

import json
from dataclasses import replace

from supervisor import views
from supervisor.cli import explain
from supervisor.cli.output import local
from supervisor.facts import Json, Needs
from supervisor.units import iso
from tests.support.boxes import NOW, box, loop_alert, oracle, phoenix
from tests.support.cards import GIB, PRO
from tests.support.gpu_shown import cards, probe
from tests.support.rules import Box, rule


def test_a_service_is_explained_by_state_deaths_drift_and_alerts() -> None:
    document = views.explain_document("stack.oracle", box())
    assert document["found"]
    assert document["sentence"] == (
        "stack.oracle is restarting; died 3 times in a row, last with exit 139 (SIGSEGV); "
        "it runs bbbbbbbbbbbb, which has not proved healthy (aaaaaaaaaaaa has); firing: ContainerRestartLoop"
    )
    assert [alert["fingerprint"] for alert in document["alerts"]] == ["f00d"]
    assert document["incidents"][0]["id"] == "i-1"


def test_a_service_is_found_by_alias_and_by_container_name() -> None:
    aliased = replace(oracle(), needs=Needs(aliases=("seer",)))
    for word in ("seer", "stack_oracle_1"):
        assert views.explain_document(word, box(services=(aliased,)))["service"]["service"] == "stack.oracle"


def test_what_the_core_found_for_a_word_counts() -> None:
    document = views.explain_document("ktransformers", box(), {"found": True, "services": [{"id": "stack.oracle"}]})
    assert document["service"]["service"] == "stack.oracle"


def test_an_alert_is_explained_with_its_rule_its_plan_and_its_incident() -> None:
    told = {"found": True, "rules": loop().reasons("ContainerRestartLoop")}
    document = views.explain_document("ContainerRestartLoop", box(plans=(phoenix(),)), told)
    assert document["sentence"].startswith("ContainerRestartLoop is firing since ")
    assert document["sentence"].endswith(" (2s ago)")
    assert document["incidents"][0]["subject"] == "stack.oracle"
    assert [plan["id"] for plan in document["plans"]] == [41]
    assert views.explain_document("f00d", box(), told)["sentence"] == document["sentence"], "its fingerprint is a name"


def loop(**keys: str) -> Box:
    """A box with a rule that became true ten seconds ago, as of now."""
    found = Box(rule("streak >= 3", name="ContainerRestartLoop", **keys), start=NOW - 40)
    found.put(streak__oracle=1)
    found.wait(30)
    found.put(streak__oracle=4)
    found.wait(10)
    return found


def told(found: Box, word: str = "ContainerRestartLoop") -> Json:
    """The document about it."""
    known = {"found": True, "rules": found.reasons(word)}
    return views.explain_document(word, box(at=found.now, alerts=found.engine.active(), services=()), known)


def test_the_reasons_of_a_rule_have_times_that_machines_and_people_read() -> None:
    document = told(loop(for_="1m"))
    (rule_,) = document["rules"]
    (whole, _selector) = rule_["parts"]
    assert (whole["since"], whole["at_least"]) == (iso(NOW - 10), False)
    assert whole["moved"]["at"] == whole["moved"]["stamp"] == iso(NOW - 10)
    assert whole["moved"]["series"] == {"__name__": "streak", "name": "oracle"}
    assert (whole["moved"]["value"], whole["moved"]["by"]) == (4, "sample")
    assert (whole["then"]["at"], whole["then"]["rows"], whole["then"]["changes"]) == (iso(NOW + 290), [], True)
    assert rule_["alerts"][0]["fires_at"] == iso(NOW + 50)
    assert rule_["alerts"][0]["kept_until"] is None
    assert [(change["at"], change["state"]) for change in rule_["ahead"]] == [
        (iso(NOW + 50), "firing"),
        (iso(NOW + 290), "resolved"),
    ]
    assert document["at"] == rule_["at"] == iso(NOW)
    json.dumps(document, allow_nan=False)


def test_the_first_sentence_says_how_it_stands_and_what_time_will_do() -> None:
    def clock(after: float) -> str:
        return views.when(NOW + after, NOW)

    assert told(loop(for_="1m"))["sentence"] == (
        f"ContainerRestartLoop is pending since {clock(-10)}; it fires at {clock(50)} if it stays true"
    )
    kept = loop(keep_firing_for="2m")
    kept.now += 5
    kept.put(streak__oracle=0)
    kept.now += 5
    assert told(kept)["sentence"] == (
        f"ContainerRestartLoop is firing since {views.when(NOW - 10, NOW + 10)}; its expression gives nothing since "
        f"{views.when(NOW + 5, NOW + 10)}, it is kept until {views.when(NOW + 125, NOW + 10)}"
    )
    quiet = loop()
    quiet.put(streak__oracle=0)
    quiet.wait(5)
    assert told(quiet)["sentence"] == (
        f"ContainerRestartLoop is not active: its expression gives no result now, since {views.when(NOW, NOW + 5)}"
    )


def test_all_times_are_told_from_the_instant_of_the_reasons_though_the_snapshot_is_older() -> None:
    found = loop(for_="1m")
    known = {"found": True, "rules": found.reasons("ContainerRestartLoop")}
    older = box(at=found.now - 5, alerts=found.engine.active(), services=())
    document = views.explain_document("ContainerRestartLoop", older, known)
    assert (document["at"], document["sentence"]) == (iso(NOW), told(found)["sentence"])


def test_an_alert_has_its_value_of_now() -> None:
    found = loop()
    before = found.engine.active()
    found.put(streak__oracle=7)
    known = {"found": True, "rules": found.reasons("ContainerRestartLoop")}
    document = views.explain_document("ContainerRestartLoop", box(alerts=before, services=()), known)
    assert [alert["value"] for alert in document["alerts"]] == [7]


def test_several_alerts_are_counted_and_the_first_one_is_told() -> None:
    many = loop(for_="15s")
    many.put(streak__letta=9, streak__oracle=4)
    many.wait(8)
    sentence = told(many)["sentence"]
    assert sentence.startswith("ContainerRestartLoop: 1 firing, 1 pending; the first is firing since ")


def test_errors_and_waiting_are_said_first() -> None:
    bad = Box(rule("x + on () y > 1"), start=NOW)
    assert told(bad, "A")["sentence"] == "A was not looked at yet: it waits for its first readings of x, y"
    bad.put(x=1, y__a=1)
    bad.wait(10)
    assert told(bad, "A")["sentence"].startswith("A is firing since ")
    bad.put(x=1, y__b=1)
    assert "; its expression fails now, so its alerts stay as they are: found duplicate" in told(bad, "A")["sentence"]
    fresh = Box(rule("x + on () y > 1"), start=NOW)
    fresh.put(x=1, y__a=1, y__b=1)
    assert told(fresh, "A")["sentence"].startswith("A cannot be evaluated: found duplicate series")


def test_a_recording_rule_is_explained_too() -> None:
    text = "groups:\n- name: g\n  rules:\n  - {record: 'r:x', expr: sum by (name) (x)}\n"
    found = Box(text, start=NOW)
    assert told(found, "r:x")["sentence"].startswith("r:x was not looked at yet")
    found.put(x__a=1, x__b=1)
    assert told(found, "r:x")["sentence"] == "r:x is recorded: it gives 2 series now"
    assert told(found, "r:x")["rules"][0]["kind"] == "record"


def test_a_known_rule_that_does_not_fire_is_said_to_be_quiet() -> None:
    document = views.explain_document("HostMemoryHigh", box(), {"found": True, "rules": []})
    assert document["found"]
    assert "is not active" in document["sentence"]


def test_a_held_alert_says_so() -> None:
    held = replace(loop_alert(), held=True)
    assert "held until" in views.explain_document("ContainerRestartLoop", box(alerts=(held,)))["sentence"]


def test_an_unknown_word_names_what_comes_close() -> None:
    document = views.explain_document("stack.oracel", box(), {"found": False})
    assert not document["found"]
    assert document["sentence"].endswith("did you mean stack.oracle?")
    assert views.explain_document("zzz", box())["near"] == []


def test_what_is_close_need_not_be_written_with_the_same_capitals() -> None:
    told = {"found": False, "names": ["ContainerRestartLoop"]}
    document = views.explain_document("containerrestartloop", box(alerts=()), told)
    assert document["near"] == ["ContainerRestartLoop"]


def test_rules_that_are_quiet_now_come_close_too() -> None:
    told = {"found": False, "names": ["ContainerRestartLoop", "HostMemoryHigh"]}
    document = views.explain_document("HostMemory", box(alerts=()), told)
    assert document["sentence"] == "nothing here is called 'HostMemory'; did you mean HostMemoryHigh?"


def test_the_word_that_is_explained_stands_for_one_service_or_none() -> None:
    assert views.explained_service("stack_oracle_1", box()) == "stack.oracle"
    assert views.explained_service("ContainerRestartLoop", box()) == ""


def test_a_service_is_explained_with_its_probe_and_the_cards_that_it_holds() -> None:
    silent = probe(ok=False, failing=True, text="nothing listens on 172.18.0.4:8000")
    document = views.explain_document("stack.oracle", box(gpus=cards(), probes=(silent, probe("qdrant"))))
    assert (document["probe"]["state"], document["probe"]["text"]) == ("failing", silent.text)
    assert document["gpus"] == [{"gpu": 0, "uuid": PRO, "name": "RTX PRO 6000", "used": 90 * GIB, "total": 96 * GIB}]
    assert explain.watched(document) == [
        (f"probe http://:8000/health fails at {local(document['probe']['at'])}, in 0.042 s: {silent.text}", "red"),
        ("holds 90 GiB of 96 GiB of GPU 0 (RTX PRO 6000)", ""),
    ]
    bare = views.explain_document("qdrant", box(gpus=cards()))
    assert (bare["probe"], bare["gpus"], explain.watched(bare)) == (None, [], [])
    alert = views.explain_document("ContainerRestartLoop", box(gpus=cards(), probes=(silent,)))
    assert (alert["probe"], alert["gpus"]) == (None, []), "an alert has none"


def test_a_completion_tells_its_rate_and_a_probe_that_was_never_asked_nothing() -> None:
    quick = probe(address="completion://:8000", rate=41.25, text="")
    (line,) = explain.watched(views.explain_document("stack.oracle", box(probes=(quick,))))
    assert line[0].endswith("in 0.042 s, 41.2 tokens a second")
    assert explain.watched(views.explain_document("stack.oracle", box(probes=(probe(at=0.0, ok=False),)))) == []
