"""`resurgam swap` and its kin as a person types them, against a daemon that answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.cli import swap as swapping
from supervisor.cli.main import build_parser, main
from supervisor.facts import Command, Json
from supervisor.verdicts import Reason, no, yes
from tests.support.boxes import NOW, qdrant
from tests.support.house import Served, served
from tests.support.slots_shown import FIRST, OTHER, TEXT, report, service, shown, slot

SLOT = "slot:oracle"


@pytest.fixture
def daemon() -> Iterator[Served]:
    with served(shown(slot(), slot(name="executor", models=()), services=(qdrant(),), seq=0)) as found:
        yield found


def call(daemon: Served, *words: str) -> int:
    return main([*words, "--socket", str(daemon.socket)])


def happen(daemon: Served, kind: str, body: Json, public: bool = True) -> None:
    daemon.do(lambda: daemon.house.happen(kind, SLOT, {"plan": 41} | body, public))


def raced(daemon: Served, outcome: str, verdict: str, text: str = TEXT) -> None:
    """A swap as its plan leaves it in the journal."""
    happen(daemon, "action.planned", {"verb": "swap", "service": SLOT})
    happen(daemon, "action.begin", {"verb": "swap", "step": "preflight"}, public=False)
    happen(daemon, "model.swap_began", {"text": "swap oracle", "expected": NOW + 720})
    happen(daemon, "action.end", {"verb": "swap", "step": "preflight", "ok": True, "text": "It fits."}, public=False)
    daemon.do(lambda: daemon.house.clock.advance(62))
    happen(daemon, "action.begin", {"verb": "swap", "step": "start"}, public=False)
    happen(daemon, "model.phase", {"phase": "start", "text": "", "expected": NOW + 780})
    happen(daemon, "action.end", {"verb": "swap", "step": "start", "ok": False}, public=False)
    happen(daemon, "action.end", {"verb": "swap", "step": "start", "ok": True}, public=False)
    kind = "model.swapped" if verdict == "GO" else "model.no_go"
    happen(daemon, kind, {"verdict": verdict, "report": report(verdict=verdict, text=text), "text": text})
    happen(daemon, f"action.{outcome}", {"verb": "swap", "reason": outcome, "text": text})


def test_a_no_go_prints_its_phases_its_report_and_why_and_exits_with_1(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    raced(daemon, "rolled_back", "NO-GO")
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Plan 41 was started."
    assert lines[1] == "  preflight  It fits."
    assert lines[2].startswith("  start      begins; the end is expected at ")
    assert lines[2].endswith(" (in 10m58s)")
    assert lines[3] == "  start      done  [1m02s]"
    rows = [line.split() for line in lines]
    assert ["!", "generation", "9.8", "tokens/s", "12", "at", "least"] in rows
    assert ["ok", "canaries", "2", "of", "2", "well", "all"] in rows
    assert lines[-1] == TEXT
    (asked,) = daemon.house.asked
    assert (asked.verb, asked.target, dict(asked.params)) == ("swap", "oracle", {"to": OTHER})


def test_a_go_exits_with_0(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    raced(daemon, "verified", "GO", "GO mxfp4: it holds oracle, after 14m; 0 requests failed.")
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("GO mxfp4: it holds oracle")


def test_one_that_is_kept_though_it_failed_is_no_success(daemon: Served) -> None:
    raced(daemon, "verified", "NO-GO")
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 1


def test_what_ended_before_anything_was_touched_has_its_sentence_and_no_report(
    daemon: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    happen(daemon, "action.planned", {"verb": "swap", "service": SLOT})
    said = {"verb": "swap", "reason": "in_use", "text": "2 requests were still in flight after 2m."}
    happen(daemon, "action.ended_early", said)
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 1
    assert "2 requests were still in flight after 2m." in capsys.readouterr().out.splitlines()[-1]


def test_for_machines_everything_is_one_document(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    raced(daemon, "rolled_back", "NO-GO")
    assert call(daemon, "swap", "oracle", "--to", OTHER, "-o", "json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"]["state"], found["report"]["verdict"]) == ("rolled_back", "NO-GO")
    assert found["report"]["lines"][0]["ok"] is False


# ---------------------------------------------------------------- what is aimed at


@pytest.mark.parametrize(
    ("words", "target", "params"),
    [
        (["bench", "oracle"], "oracle", {}),
        (["bench", "slot:oracle", "--runs", "5"], "slot:oracle", {"runs": "5"}),
        (["bench", OTHER], "oracle", {"model": OTHER}),
        (["load", "stack.mxfp4"], "oracle", {"model": OTHER}),
        (["bench", "oracle", "--model", OTHER], "oracle", {"model": OTHER}),
        (["keep", OTHER, "--for", "2h"], "oracle", {"model": OTHER, "for": "2h"}),
        (["keep", "oracle", "--off"], "oracle", {"off": "true"}),
        (["sleep", FIRST], "oracle", {"model": FIRST}),
        (["wake", "nobody"], "nobody", {}),
        (["unload", "qdrant"], "qdrant", {}),
        (["swap", "oracle", "--again", "--cut"], "oracle", {"again": "true", "cut": "true"}),
    ],
)
def test_a_models_name_stands_for_its_slot_and_that_model(
    daemon: Served, words: list[str], target: str, params: dict[str, str]
) -> None:
    assert call(daemon, *words, "--no-follow") == 0
    (asked,) = daemon.house.asked
    assert (asked.verb, asked.target, dict(asked.params)) == (words[0], target, params)


def test_a_model_that_is_swapped_is_told_how_to_write_it(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "swap", OTHER) == 2
    assert f"write: resurgam swap oracle --to {OTHER}" in capsys.readouterr().err
    assert daemon.house.asked == []


def test_a_model_of_two_slots_is_asked_back(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(slot(), slot(name="executor"), seq=0)) as daemon:
        assert call(daemon, "bench", OTHER) == 2
        assert "mxfp4 of oracle, mxfp4 of executor" in capsys.readouterr().err
        assert daemon.house.asked == []


def test_of_a_service_and_a_model_of_one_name_unload_means_the_service() -> None:
    """Its server is asked by the service's own plan, whichever model it has."""
    with served(shown(slot(), services=(service(f"stack.{FIRST}"),), seq=0)) as daemon:
        assert call(daemon, "unload", f"stack.{FIRST}", "--no-follow") == 0
        (asked,) = daemon.house.asked
        assert (asked.target, dict(asked.params)) == (f"stack.{FIRST}", {})


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        (Reason.NO_GO, ""),  # what helps stands in the guard's own words, which MQTT has, too
        (Reason.VETO, "--override 'why'."),
        (Reason.LOCKED, ""),
    ],
)
def test_a_refusal_exits_with_3_and_says_what_helps(
    daemon: Served, capsys: pytest.CaptureFixture[str], reason: Reason, cure: str
) -> None:
    daemon.house.verdicts["swap"] = no(reason, "It was tried yesterday.")
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 3
    said = capsys.readouterr().err
    assert said.startswith("resurgam: refused: It was tried yesterday.")
    assert said.strip().endswith(cure or "yesterday.")


@pytest.mark.parametrize("verdict", [yes, no])
def test_a_model_that_is_already_there_is_a_success(
    daemon: Served, capsys: pytest.CaptureFixture[str], verdict: Any
) -> None:
    said = "deepseek-v32 holds oracle already."
    daemon.house.verdicts["swap"] = no(Reason.ALREADY_DONE, said) if verdict is no else yes(said)
    assert call(daemon, "swap", "oracle", "--to", FIRST, "--no-follow") == 0
    assert capsys.readouterr().out == f"{said}\n"


def test_ctrl_c_only_stops_following(
    daemon: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(swapping, "follow", interrupted)
    assert call(daemon, "swap", "oracle", "--to", OTHER) == 130
    assert "plan 41 goes on; `resurgam show 41`" in capsys.readouterr().out


# ---------------------------------------------------------------- beforehand

AHEAD: Json = {
    "from": FIRST,
    "to": OTHER,
    "shape": "exclusive",
    "why_shape": "both need gpu:0",
    "expected": 720.0,
    "evict": [],
    "lines": [
        {"what": "files", "text": "18 of 18 parts, 341 GB, deepseek2, Q3_K_M", "ok": True},
        {"what": "cache", "text": "the files are larger than what is free", "ok": None},
    ],
}
STEPS = [
    {"name": "drain", "phase": "before", "writes": [], "back": False},
    {"name": "stop", "phase": "inside", "writes": ["deepseek"], "back": False},
    {"name": "back_start", "phase": "inside", "writes": ["deepseek"], "back": True},
]


def foreseen(*words: str, **more: Any) -> tuple[int, list[Command]]:
    asked: list[Command] = []

    async def foresee(fact: Command) -> Json:
        asked.append(fact)
        stage = {"verb": "swap", "service": SLOT, "steps": STEPS, "fidelity": [], "refused": None, "slot": AHEAD}
        base: Json = {
            "verb": "swap",
            "target": SLOT,
            "params": {},
            "allowed": True,
            "reason": "allowed",
            "text": "Yes.",
        }
        return base | {"stages": [stage], "left": [], "notes": []} | more

    with served(shown(seq=0), foresight=foresee) as daemon:
        return call(daemon, *words), asked


def test_a_dry_run_shows_sizes_steps_and_how_long_and_asks_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, asked = foreseen("swap", "oracle", "--to", OTHER, "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == "swap oracle: it would be done now."
    how = "exclusive (both need gpu:0): one is stopped before the other is started"
    assert lines[1] == f"  {FIRST} -> {OTHER}, {how}"
    assert "  files      18 of 18 parts, 341 GB, deepseek2, Q3_K_M" in lines
    assert "  in all     about 12m" in lines
    assert "  drain      wait until nobody's request is in flight" in lines
    assert "  stop       stop or unload what leaves, and keep it down  [deepseek]" in lines
    assert "  way back   if that fails: start the one before" in lines
    assert [(one.verb, one.target) for one in asked] == [("swap", "oracle")]


def test_a_load_into_an_empty_slot_says_that_nothing_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    ahead = AHEAD | {"from": "", "evict": ["glm"]}
    stage = {"verb": "load", "service": SLOT, "steps": STEPS, "fidelity": [], "refused": None, "slot": ahead}
    assert foreseen("load", "oracle", "--dry-run", stages=[stage])[0] == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  nobody -> {OTHER}, nothing has to leave" in lines
    assert "  put away first, to make room: glm" in lines


def test_plan_swap_shows_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert foreseen("plan", "swap", "oracle", "--to", OTHER)[0] == 0
    assert "  files      18 of 18 parts, 341 GB, deepseek2, Q3_K_M" in capsys.readouterr().out


def test_a_dry_run_of_what_would_be_refused_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"allowed": False, "reason": "no_fit", "text": "memory: 341 GB needed, 300 GB there"}
    assert foreseen("swap", "oracle", "--to", OTHER, "--dry-run", **said)[0] == 3
    assert "it would be refused now (no_fit)" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["swap", "load", "unload", "sleep", "wake", "bench"])
def test_every_verb_of_a_slot_can_be_looked_at_beforehand(verb: str) -> None:
    words = ["plan", verb, "oracle"]
    assert build_parser(words).parse_args(words).verb == verb
