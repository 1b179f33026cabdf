"""A model without a container: the swap makes one from its compose file, and starts it as the file wants it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor.actions.swap import created
from supervisor.actions.swap.checks.case import Eyes, Line, case_of
from supervisor.actions.swap.steps import swap
from supervisor.facts import Needs, Plan, SlotModel
from supervisor.journal.codec import dump
from supervisor.lab.gpu import SimReader
from supervisor.lab.minds import SimModel
from supervisor.verdicts import Reason, no
from tests.support.runner import Killed
from tests.support.swap_lab import SwapLab


def prepared(lab: Any, folder: Path, **more: Any) -> tuple[SwapLab, Plan]:
    """A box on which b has no container, and the swap to it. `more`: keys of the compose service."""
    path = folder / "compose.yaml"
    service = {"image": "llama:1", "restart": "always", "network_mode": "bridge", "ports": ["18001:8000"], **more}
    path.write_text(json.dumps({"name": "box", "services": {"b": service}}))
    box = lab(models=(SlotModel("a", "a"), SlotModel("b", "box.b", compose=str(path))))
    box.engine.human_remove("b", force=True)
    box.engine.writes.clear()
    box.world.declare("box-b-1", SimModel(load=3.0, rate=40.0))
    plan = box.plan(parts={"b": {"service": "box.b", "policy": ""}})
    create = created.container_name(case_of(plan))
    assert create == "box-b-1"
    return box, replace(plan, steps=swap("a", "", "exclusive", create=create))


def test_it_is_made_started_and_has_its_own_policy_in_the_end(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path)
    end = box.do(plan)
    assert end.outcome.reason is Reason.VERIFIED, end.outcome.text
    assert box.status() == {"a": (False, "no"), "box-b-1": (True, "always")}
    made = box.engine.container("box-b-1")
    assert made.labels["com.docker.compose.project"] == "box"
    assert made.labels["com.docker.compose.service"] == "b"
    assert box.both_ran == []
    create = next(at for at, (op, _name) in enumerate(box.ops()) if op == "create")
    stop = next(at for at, (op, name) in enumerate(box.ops()) if (op, name) == ("stop", "a"))
    assert create < stop, "it is there before the other one stops"


def test_one_that_could_not_be_reached_is_not_made(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path, ports=["18001:8000", "18002:9000"])
    parts = {**plan.found["parts"], "b": {**plan.found["parts"]["b"], "needs": dump(Needs(startup=60.0))}}
    end = box.do(replace(plan, found={**plan.found, "parts": parts}))
    assert "nobody knows at which port b answers (it publishes several)" in end.outcome.text
    assert box.status() == {"a": (True, "unless-stopped")}


def test_until_its_model_serves_no_engine_starts_it_by_itself(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path)
    policies: list[str] = []
    box.at_step("stop", lambda: policies.append(box.engine.container("box-b-1").restart_policy))
    box.do(plan)
    assert policies == ["no"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cap_add": ["SYS_ADMIN"]}, "would gain the capability SYS_ADMIN"),
        ({"pid": "host"}, "the host's processes"),
        ({"devices": ["/dev/sda"]}, "It would get /dev/sda"),
        ({"volumes": ["/:/host"]}, "would see / of this machine"),
        ({"image": "absent:1"}, "there is no image absent:1"),
        ({"ports": ["8000:8000"]}, "which is the gate's own"),
    ],
)
def test_what_it_must_not_have_ends_the_swap_before_anything_is_touched(
    lab: Any, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    box, plan = prepared(lab, tmp_path, **more)
    end = box.do(plan)
    assert not end.outcome.ok
    assert words in end.outcome.text
    assert box.ops() == []
    assert box.callers.unanswered == ()


@pytest.mark.parametrize("step", ["create", "hold", "drain"])
def test_a_swap_that_ends_before_the_stop_takes_it_away_again(lab: Any, tmp_path: Path, step: str) -> None:
    for at in ("asked", "given"):
        box, plan = prepared(lab, tmp_path)
        box.point.pass_by = lambda name, at=at, box=box: _killed(box, name, f"permit {step} {at}")
        with pytest.raises(Killed):
            box.run(box.core.run(plan))
        box.point.pass_by = lambda name: None
        box.die()
        box.run(box.core.recover())
        assert [one.name for one in box.engine.containers()] == ["a"]
        assert box.engine.container("a").running


def test_one_that_a_person_started_meanwhile_is_theirs(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path)

    def person() -> None:
        box.engine.human_start("box-b-1")
        box.core.refuse = lambda _plan, step, _seen: no(Reason.PAUSED, "a pause") if step == "drain" else None

    box.at_step("hold", person)
    box.do(plan)
    assert box.status()["box-b-1"][0], "it runs on"


def _killed(box: SwapLab, name: str, where: str) -> None:
    if name == where:
        box.point.dead = True
    if box.point.dead:
        raise Killed(name)


def test_a_file_that_others_may_write_is_not_obeyed(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path)
    (tmp_path / "compose.yaml").chmod(0o666)
    found = box.run(created.plan(eyes_of_plan(box), case_of(plan)))
    assert isinstance(found, Line)
    assert (found.ok, found.reason) == (False, Reason.NOT_ALLOWED)
    assert "is not obeyed" in found.text


def test_an_image_that_is_built_is_known_by_composes_own_name(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path, image=None, build=".")
    hand_of = eyes_of_plan(box)
    missing = box.run(created.plan(hand_of, case_of(plan)))
    assert isinstance(missing, Line)
    assert "there is no image of its own" in missing.text
    box.engine.human_tag("llama:1", "box-b:latest")
    found = box.run(created.plan(hand_of, case_of(plan)))
    assert isinstance(found, created.Planned), found
    assert found.name == "box-b-1"


def eyes_of_plan(box: SwapLab) -> Any:
    """Eyes that belong to no plan, as a door has them."""
    models = box.core.models
    assert models is not None
    return Eyes(box.engine, box.core.room, models, box.clock)


def test_a_folder_may_be_named_and_the_first_that_is_there_is_read(lab: Any, tmp_path: Path) -> None:
    box, plan = prepared(lab, tmp_path)
    (tmp_path / "docker-compose.yml").write_text("services: {}")
    plan.found["slot"]["models"][1]["compose"] = str(tmp_path)
    assert isinstance(box.run(created.plan(eyes_of_plan(box), case_of(plan))), created.Planned)


@pytest.mark.parametrize(
    ("source", "is_guarded"),
    [
        ("/", True),
        ("/etc", True),
        ("/etc/shadow", True),
        ("/var/run/docker.sock", True),
        ("/run/docker.sock", True),
        ("/models/../etc/passwd", True),
        ("/var/lib/docker/volumes", True),
        ("/etc/localtime", False),
        ("/models", False),
        ("/home/me/models", False),
        ("/etcetera", False),
        ("cache", False),
        ("/runs", False),
    ],
)
def test_folders_of_the_machine_itself(source: str, is_guarded: bool) -> None:
    assert created.guarded(source) is is_guarded


@pytest.mark.parametrize(("capabilities", "refused"), [(["gpu"], True), ([], False)])
def test_an_image_that_wants_another_card_is_not_made_for_this_one(
    lab: Any, tmp_path: Path, capabilities: list[str], refused: bool
) -> None:
    asked = [{"driver": "nvidia", "device_ids": ["0"], "capabilities": capabilities}] if capabilities else []
    deploy = {"resources": {"reservations": {"devices": asked}}}
    box, plan = prepared(lab, tmp_path, environment=["NVIDIA_REQUIRE_ARCH=arch>=13.0"], deploy=deploy)
    box.cards.add()
    found = box.run(created.foresee(replace(eyes_of_plan(box), driver=SimReader(box.cards)), case_of(plan)))
    said = "its image asks for arch>=13.0, and gpu:0 (NVIDIA H200) has compute capability 9.0"
    assert [one.text for one in found if one.ok is False] == ([said] if refused else [])
