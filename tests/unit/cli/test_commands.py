"""The commands as a person types them, against a daemon that answers."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
import yaml

from supervisor.cli.events import worth_a_line
from supervisor.cli.main import COMMANDS, main
from supervisor.facts import Snapshot
from supervisor.verdicts import Reason, no, yes
from tests.support.boxes import NOW, box, phoenix, qdrant
from tests.support.house import Served, served


@pytest.fixture
def daemon() -> Iterator[Served]:
    with served() as found:
        yield found


def call(daemon: Served, *words: str) -> int:
    return main([*words, "--socket", str(daemon.socket)])


def quiet() -> Snapshot:
    return box(alerts=(), services=(qdrant(),), seq=0)


# ---------------------------------------------------------------- looking


def test_status_starts_with_one_sentence_and_names_what_is_wrong(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(daemon, "status") == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "omni: ok, heal mode; 2 services, 1 may be healed, 1 healthy; 1 firing, 0 pending; up 1h"
    text = "\n".join(rest)
    assert "memory 75% of 372.5 GiB" in text
    assert "local/oracle:1 (unproved)" in text
    assert "stack_oracle_1 died 3 times in a row" in text


def test_status_of_a_box_that_is_well_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with served(quiet()) as daemon:
        assert call(daemon, "status") == 0
        assert "nothing may be healed yet: label a container" in capsys.readouterr().out


def test_status_tells_problems_pauses_and_plans(capsys: pytest.CaptureFixture[str]) -> None:
    shown = box(
        problems=("The journal cannot be written.",),
        pauses={"*": ("backup", NOW + 60)},
        plans=(phoenix(),),
        waiting=((41, "waits for gpu:0"),),
        bus=None,
    )
    with served(shown) as daemon:
        assert call(daemon, "status") == 1
    out = capsys.readouterr().out
    assert "! The journal cannot be written." in out
    assert f"paused: everything until {datetime.fromtimestamp(NOW + 60):%Y-%m-%d %H:%M:%S}: backup" in out
    assert "waits for gpu:0" in out
    assert "no broker" in out


def test_status_of_one_service(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "status", "qdrant", "-o", "json") in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert [entry["service"] for entry in document["services"]] == ["qdrant"]
    assert call(daemon, "status", "nobody") == 2
    assert "no service and no slot is called 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "events", "history", "explain stack.oracle", "show 1"])
def test_every_looking_command_speaks_json_and_yaml(
    daemon: Served, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.do(lambda: daemon.house.happen("action.verified", "stack.oracle", {"plan": 1, "verb": "restart"}))
    call(daemon, *command.split(), "-o", "json")
    as_json = json.loads(capsys.readouterr().out)
    call(daemon, *command.split(), "-o", "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == as_json
    assert as_json


def test_events_are_lines_with_day_time_subject_and_phrase(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.do(lambda: daemon.house.happen("container.died", "oracle", {"exit_code": 139, "uptime": 2}))
    assert call(daemon, "events") == 0
    day, line = capsys.readouterr().out.splitlines()
    assert day.startswith("-- ")
    assert line.endswith("oracle    died: exit 139 (SIGSEGV) after 2s")


def test_following_ends_with_4_when_the_daemon_goes(capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    with served() as daemon:
        daemon.do(lambda: daemon.house.happen("container.started", "oracle", {}))
        follower = threading.Thread(target=lambda: codes.append(call(daemon, "events", "-f", "-o", "json")))
        follower.start()
        for _ in range(2000):
            if capsys_has(capsys):
                break
            follower.join(0.001)
    follower.join(5)
    assert codes == [4]


def capsys_has(capsys: pytest.CaptureFixture[str]) -> bool:
    return '"container.started"' in capsys.readouterr().out


def test_history_and_show_tell_how_a_plan_ended(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "history") == 0
    assert "nothing was done yet" in capsys.readouterr().out
    body = {"plan": 7, "verb": "phoenix", "service": "stack.oracle", "by": "playbook:loop", "cause": "drift"}
    daemon.do(lambda: daemon.house.happen("action.planned", "stack.oracle", body))
    daemon.do(lambda: daemon.house.happen("action.verified", "stack.oracle", body | {"text": "healthy for 5s"}))
    assert call(daemon, "history") == 0
    assert "verified  playbook:loop  healthy for 5s" in capsys.readouterr().out
    assert call(daemon, "show", "7") == 0
    out = capsys.readouterr().out
    assert out.startswith("plan 7: phoenix stack.oracle, verified")
    assert "plan 7 phoenix verified: healthy for 5s" in out
    assert call(daemon, "show", "99") == 2


def test_show_prints_the_evidence_of_a_death_without_its_control_characters(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"exit_code": 139, "log": ["loading\x1b[2J", "illegal instruction"]}
    daemon.do(lambda: daemon.house.happen("container.died", "oracle", body))
    assert call(daemon, "show", "seq:1") == 0
    out = capsys.readouterr().out
    assert "    illegal instruction" in out
    assert "\x1b" not in out


def test_explain_says_why_in_one_sentence_first(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "explain", "stack.oracle") == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("stack.oracle is restarting; died 3 times in a row")
    assert any("alert ContainerRestartLoop firing" in line for line in rest)
    assert "  incident i-1 open: Restart loop; image drift" in rest
    assert call(daemon, "explain", "HostMemoryHigh") == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("HostMemoryHigh is not active")
    assert rest[0] == "  rule rules0.yaml:g:0, for 5m"
    assert "    node_memory_MemTotal_bytes > 1" in rest
    assert "      400000000000" in rest
    assert call(daemon, "explain", "HostMemoryHigh", "-o", "json") == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert rule["parts"][0]["moved"]["series"] == {"__name__": "node_memory_MemTotal_bytes"}
    assert rule["parts"][0]["since"].endswith("Z")
    assert call(daemon, "explain", "hostmemoryhih") == 2
    assert "did you mean HostMemoryHigh?" in capsys.readouterr().err
    assert call(daemon, "explain", "stack.oracel") == 2
    assert "did you mean stack.oracle?" in capsys.readouterr().err


def test_status_of_one_service_leaves_out_what_is_about_others(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.do(lambda: daemon.house.now(plans=(phoenix(),)))
    assert call(daemon, "status", "qdrant") == 0
    text = capsys.readouterr().out
    assert "ContainerRestartLoop" not in text
    assert "phoenix" not in text
    assert call(daemon, "status", "stack_oracle_1", "-o", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [alert["labels"]["alertname"] for alert in document["alerts"]] == ["ContainerRestartLoop"]
    assert [plan["id"] for plan in document["plans"]] == [41]


def test_options_for_everything_may_stand_before_the_command(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-o", "json", "--socket", str(daemon.socket), "status"]) == 1
    assert json.loads(capsys.readouterr().out)["daemon"]["host"] == "omni"
    assert main(["-o", "json", "--socket", "/nowhere", "status", "--socket", str(daemon.socket), "-o", "yaml"]) == 1
    assert yaml.safe_load(capsys.readouterr().out)["daemon"]["host"] == "omni"


def test_explain_shows_the_last_lines_before_a_death(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"line {number}" for number in range(40)] + ["illegal instruction\x1b[2J"]
    body = {"log": lines, "exit_code": 132, "text": "The last 41 lines of stack.oracle before it ended."}
    daemon.do(lambda: daemon.house.happen("container.evidence", "stack.oracle", body, public=False))
    assert call(daemon, "explain", "stack.oracle") == 0
    out = capsys.readouterr().out
    assert "    | illegal instruction" in out
    assert "line 39" in out
    assert "line 2\n" not in out, "all of them are in `show`"
    assert "resurgam show seq:1" in out
    assert "\x1b" not in out
    assert call(daemon, "explain", "qdrant", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["evidence"] is None


def test_show_tells_the_story_of_an_incident_and_nothing_from_before_or_after(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"id": "inc-1", "subject": "qdrant", "title": "qdrant: Loop", "cause": "image drift", "state": "open"}
    house = daemon.house

    def story() -> None:
        house.happen("container.started", "qdrant", {})
        house.clock.advance(1)
        house.happen("container.died", "qdrant", {"exit_code": 139})
        house.happen("incident.opened", "qdrant", {"incident": told, "text": "Loop"}, public=False)
        house.clock.advance(1)
        house.happen("container.died", "other", {"exit_code": 1})
        house.happen("action.verified", "qdrant", {"plan": 3, "verb": "restart", "incident": "inc-1"})
        house.happen("incident.closed", "qdrant", {"incident": told | {"state": "closed"}}, public=False)
        house.clock.advance(1)
        house.happen("container.oom", "qdrant", {})

    daemon.do(story)
    assert call(daemon, "show", "inc-1") == 0
    out = capsys.readouterr().out
    assert out.startswith("incident inc-1: qdrant, closed\n")
    assert "image drift" in out
    phrases = [line.split("  ", 2)[2].strip() for line in out.splitlines() if line[:1].isdigit()]
    assert phrases[0] == "died: exit 139 (SIGSEGV)"
    assert "plan 3 restart verified" in phrases
    assert not [phrase for phrase in phrases if phrase.startswith(("started", "died: exit 1 ", "ran out"))]


# ---------------------------------------------------------------- acting


def test_an_acting_command_says_its_plan_follows_it_and_exits_by_its_end(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for outcome, code in (("verified", 0), ("rolled_back", 1), ("degraded", 1), ("failed", 1), ("ended_early", 1)):
        body = {"plan": 41, "verb": "phoenix", "reason": outcome}
        daemon.do(lambda body=body: daemon.house.happen("action.planned", "stack.oracle", body))  # type: ignore[misc]
        daemon.do(
            lambda kind=f"action.{outcome}", body=body: daemon.house.happen(kind, "stack.oracle", body)  # type: ignore[misc]
        )
        assert call(daemon, "phoenix", "stack.oracle", "--image", "x:1", "--within", "5m") == code
        out = capsys.readouterr().out
        assert out.startswith("plan 41: phoenix stack.oracle\n")
        assert outcome.replace("_", " ") in out
    assert dict(daemon.house.asked[0].params) == {"image": "x:1", "within": "5m"}


def test_a_rollout_is_followed_to_its_end(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.rollout = 7
    daemon.house.verdicts["restart"] = yes("Rollout 7 was begun. restart of the project stack: a and b.")
    for state, code in (("verified", 0), ("failed", 1)):
        for said in ("planned", state):
            body = {"rollout": 7, "state": said, "text": f"so it is {said}", "verb": "restart", "target": "stack"}
            daemon.do(lambda body=body: daemon.house.happen("action.rollout", "stack", body))  # type: ignore[misc]
        assert call(daemon, "restart", "stack") == code
        out = capsys.readouterr().out
        assert out.startswith("rollout 7: restart stack\n")
        assert out.count("so it is planned") == 1, "said once"
        assert f"rollout 7 {state}: so it is {state}" in out
    assert call(daemon, "restart", "stack", "--no-follow") == 0
    capsys.readouterr()
    assert call(daemon, "show", "rollout:7") == 0
    assert capsys.readouterr().out.startswith("rollout 7: restart stack, failed\n")


def test_release_prints_what_is_left_to_do(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.verdicts["release"] = yes("Given back: a (always).\nRun these yourself:\n  docker update x")
    assert call(daemon, "release", "--all") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Given back: a (always).",
        "Run these yourself:",
        "  docker update x",
    ]
    assert (daemon.house.asked[0].verb, daemon.house.asked[0].target) == ("release", "*")
    daemon.house.verdicts["release"] = no(Reason.NO_TARGET, "There is no service 'x'.")
    assert call(daemon, "release", "x") == 3


def test_a_refused_command_exits_with_3_and_says_why(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.verdicts["restart"] = no(Reason.COOLDOWN, "the next is possible at 12:40.")
    assert call(daemon, "restart", "stack.oracle", "--override", "I am here") == 3
    assert "refused: the next is possible at 12:40." in capsys.readouterr().err
    assert daemon.house.asked[0].override == "I am here"
    assert call(daemon, "restart", "stack.oracle", "-o", "json") == 3
    assert json.loads(capsys.readouterr().out)["decision"]["reason"] == "cooldown"


def test_a_wrong_parameter_exits_with_2(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "phoenix", "stack.oracle", "--within", "soon") == 2
    assert "'soon' is not a duration" in capsys.readouterr().err
    assert daemon.house.asked == []


def test_a_plan_that_waits_says_what_for(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.verdicts["restart"] = yes("waits for gpu:0, held by plan 40")
    assert call(daemon, "restart", "stack.oracle", "--no-follow") == 0
    assert capsys.readouterr().out == "plan 41: restart stack.oracle: waits for gpu:0, held by plan 40\n"


def test_not_following_returns_at_once(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "scale", "stack.oracle", "--replicas", "0", "--no-follow", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["plan"] == 41
    assert dict(daemon.house.asked[0].params) == {"replicas": "0"}


def test_ctrl_c_only_stops_following(
    daemon: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from supervisor.cli import act

    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(act, "follow", interrupted)
    assert call(daemon, "stop", "stack.oracle") == 130
    assert "plan 41 goes on; `resurgam show 41`" in capsys.readouterr().out
    assert [command.verb for command in daemon.house.asked] == ["stop"]


def test_a_daemon_that_ends_while_a_plan_runs_is_said_with_what_comes_next(
    daemon: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from supervisor.cli.client import Client

    monkeypatch.setattr(Client, "stream", lambda *_args, **_query: iter(()))
    assert call(daemon, "start", "stack.oracle") == 4
    assert "its next start finishes or undoes it" in capsys.readouterr().err


def test_pause_and_resume(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.verdicts |= {"pause": yes("Paused for 2h."), "resume": yes("Resumed.")}
    assert call(daemon, "pause", "--for", "2h", "--reason", "backup") == 0
    assert call(daemon, "resume", "stack.oracle") == 0
    assert capsys.readouterr().out.splitlines() == ["Paused for 2h.", "Resumed."]
    pause, resume = daemon.house.asked
    assert (pause.target, dict(pause.params)) == ("*", {"for": "2h", "reason": "backup"})
    assert (resume.verb, resume.target) == ("resume", "stack.oracle")


# ---------------------------------------------------------------- the front


def test_no_daemon_is_exit_4_for_every_command_that_needs_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("status", "events", "history", "show 1", "explain x", "stop x", "pause", "resume", "phoenix x"):
        assert main([*words.split(), "--socket", "/nowhere/control.sock"]) == 4, words
        assert "start it with `resurgam run`" in capsys.readouterr().err


def test_help_lists_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"    {name}" in out for name in COMMANDS)
    assert "4 no daemon" in out


@pytest.mark.parametrize(
    "words", [[], ["fly"], ["stop"], ["scale", "x"], ["status", "-o", "xml"], ["stop", "x", "--image", "y"]]
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: resurgam" in capsys.readouterr().err


def test_of_the_steps_that_are_followed_only_what_says_something_is_shown() -> None:
    def shown(kind: str, **body: str) -> bool:
        return worth_a_line({"kind": f"action.{kind}", "body": body})

    assert not shown("begin", step="park")
    assert shown("begin", step="probation"), "nothing else is heard for minutes"
    assert not shown("end", step="park", text="")
    assert shown("end", step="room", text="Waits: port 80 is held by x.")
    assert not shown("halt", reason="needs_approval", text="the question says it"), "said twice"
    assert shown("halt", reason="denied")
    assert shown("verified", text="")


def test_a_refusal_that_a_person_may_lift_says_how(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.house.verdicts["phoenix"] = no(Reason.BUDGET_SERVICE, "3 plans are spent.")
    assert call(daemon, "phoenix", "stack.oracle") == 3
    assert "--override" in capsys.readouterr().err
    daemon.house.verdicts["phoenix"] = no(Reason.NOT_OWNED, "It is not ours.")
    assert call(daemon, "phoenix", "stack.oracle") == 3
    assert "--override" not in capsys.readouterr().err
