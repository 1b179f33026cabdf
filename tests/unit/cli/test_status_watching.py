"""The part of `resurgam status` about GPUs, probes and scrapes, as a person reads it."""

from dataclasses import replace

import pytest

from supervisor import views
from supervisor.cli import status_watching
from supervisor.cli.main import main
from supervisor.cli.status import needs_you, only
from supervisor.facts import Json, Service, Snapshot
from tests.support.boxes import box, qdrant
from tests.support.cards import GIB, SMALL
from tests.support.gpu_shown import big, cards, fault, gone, probe, shown, small, target
from tests.support.house import served


def document(**changes: object) -> Json:
    return views.status_document(box(alerts=(), services=(qdrant(),), **changes))


def said(**changes: object) -> list[str]:
    return [text for text, _colour in status_watching.lines(document(**changes))]


def test_a_machine_without_any_of_it_has_no_line() -> None:
    assert said() == []
    assert status_watching.troubled(document()) == []


def test_what_is_well_is_one_line_each() -> None:
    assert said(gpus=cards(), probes=(probe(), probe("qdrant", asleep=True)), targets=(target(),)) == [
        "gpu     2 GPUs, driver 580.95: nothing is wrong.",
        "probes  1 answer well, 1 asleep",
        "scrapes 1 of 1 target up",
    ]


def test_further_lines_about_gpus_stand_below_the_first() -> None:
    state = cards(big(text="GPU 0 needs a reset."), gone(small(), "GPU 1 is gone."))
    assert said(gpus=state) == ["gpu     GPU 0 needs a reset.", "        GPU 1 is gone."]


def test_a_probe_that_fails_is_told_with_its_answer_and_needs_a_person() -> None:
    silent = probe("router", service="", ok=False, failing=True, text="nothing listens on 10.0.0.3:80")
    broken = probe("db", ok=False, broken=True, text="no such tool: pg_isready")
    once = probe("web", ok=False, text="timed out")
    changes = {"probes": (silent, broken, once)}
    assert said(**changes) == [
        "probe   router fails: nothing listens on 10.0.0.3:80",
        "probe   db cannot be asked: no such tool: pg_isready",
        "probe   web failed: timed out",
    ]
    assert needs_you(document(**changes)) == ["router", "db"], "once is not yet a failure"


def test_many_are_counted() -> None:
    many = tuple(probe(f"p{number}", ok=False, failing=True) for number in range(11))
    assert said(probes=many)[-1] == "        and 3 more"
    assert len(said(probes=many)) == status_watching.MOST + 1


def test_a_target_that_is_down_says_why() -> None:
    down = target("vllm", up=False, text="nothing listens on 10.0.0.3:9100")
    partly = target("node", left_out=3, text="3 samples are left out: their names are made here")
    found = document(targets=(down, partly, target("kpi")))
    lines = dict(status_watching.lines(found))
    assert lines["scrape  vllm vllm:9100: nothing listens on 10.0.0.3:9100"] == "yellow"
    assert lines["scrape  node node:9100: 3 samples are left out: their names are made here"] == "dim"
    assert "scrapes 2 of 3 targets up" in lines
    assert status_watching.troubled(found) == ["vllm"]


def test_one_service_is_shown_with_its_own_probe_target_and_cards() -> None:
    others = replace(fault(service="other"), uuid=SMALL)
    snapshot = box(
        gpus=cards(big(users=(("qdrant", GIB),)), small(), episodes=(others,)),
        probes=(probe("qdrant"), probe()),
        targets=(target("kpi", service="qdrant"), target()),
        services=(qdrant(),),
        alerts=(),
    )
    found = only(views.status_document(snapshot), "qdrant")
    assert [card["gpu"] for card in found["gpus"]["cards"]] == [0]
    assert [one["name"] for one in found["probes"]] == ["qdrant"]
    assert [one["job"] for one in found["targets"]] == ["kpi"]
    assert status_watching.lines(found)[0][0] == "gpu     1 GPU, driver 580.95: nothing is wrong."
    idle = only(views.status_document(box(gpus=cards(), services=(qdrant(),), alerts=())), "qdrant")
    assert idle["gpus"] is None, "it has nothing to do with them"


def test_the_note_of_a_service_says_that_its_probe_fails(capsys: pytest.CaptureFixture[str]) -> None:
    silent = probe("qdrant", ok=False, failing=True, text="nothing listens on 10.0.0.3:6333")
    with served(_served(silent)) as daemon:
        main(["status", "--socket", str(daemon.socket)])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("qdrant")]
    assert "its probe fails: nothing listens on 10.0.0.3:6333" in row


def _served(*probes: object) -> Snapshot:
    service: Service = qdrant()
    return shown(probes=probes, services=(service,), alerts=())
