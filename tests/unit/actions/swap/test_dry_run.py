"""What a dry run's container may do, what its words mean, and that nothing of it is left, however it ends."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.actions.swap import created, dry_run
from supervisor.actions.swap.checks.case import case_of
from supervisor.actions.swap.steps import swap
from supervisor.facts import Json, Plan, SlotModel
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.lab.images import Fault
from supervisor.slots.fit import Need
from supervisor.verdicts import Reason
from tests.support.runner import Killed, Point
from tests.support.swap_lab import SwapLab

MIB = 1 << 20
DRY = ("llama-fit-params", "-m", "/models/b.gguf")
BODY: Json = {
    "Image": "sha256:b",
    "Cmd": ["serve"],
    "Entrypoint": ["/app/server"],
    "Env": ["MODE=fast"],
    "Hostname": "b",
    "ExposedPorts": {"8000/tcp": {}},
    "Labels": {"com.docker.compose.project": "box", "resurgam.role": "spare", "resurgam.op": "x", "mine": "1"},
    "NetworkingConfig": {"EndpointsConfig": {"box_default": {}}},
    "HostConfig": {
        "Binds": ["/models:/models", "cache:/cache:rw,z", "/anonymous"],
        "Mounts": [{"Type": "bind", "Source": "/x", "Target": "/x"}, {"Type": "tmpfs", "Target": "/t"}],
        "PortBindings": {"8000/tcp": [{"HostPort": "8000"}]},
        "NetworkMode": "box_default",
        "IpcMode": "host",
        "PidMode": "container:other",
        "RestartPolicy": {"Name": "always"},
        "Memory": 341 << 30,
        "MemoryReservation": 300 << 30,
        "DeviceRequests": [{"Count": -1}],
        "VolumesFrom": ["other"],
    },
}


def test_it_runs_the_command_and_can_touch_nothing() -> None:
    made = dry_run.harmless(BODY, DRY, "abcdef", 8 << 30)
    assert (made["Entrypoint"], made["Cmd"]) == ([], list(DRY))
    assert made["Labels"] == {"mine": "1", "resurgam.op": "abcdef"}
    assert not {"Hostname", "ExposedPorts", "NetworkingConfig"} & made.keys()
    host = made["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["Binds"] == ["/models:/models:ro", "cache:/cache:ro,z", "/anonymous"]
    assert host["Mounts"][0]["ReadOnly"] is True
    assert (host["Memory"], host["MemorySwap"], host["OomScoreAdj"]) == (8 << 30, 8 << 30, 1000)
    assert not {"PortBindings", "IpcMode", "PidMode", "VolumesFrom", "MemoryReservation"} & host.keys()
    assert host["DeviceRequests"] == [{"Count": -1}], "it sees the cards, to say what it needs of each"
    assert BODY["HostConfig"]["NetworkMode"] == "box_default", "the recipe itself is as it was"
    small = dry_run.harmless({**BODY, "HostConfig": {"Memory": 1 << 30}}, DRY, "abcdef", 8 << 30)
    assert small["HostConfig"]["Memory"] == 1 << 30, "a smaller limit of its own stays"


@pytest.mark.parametrize(
    ("lines", "card", "needs"),
    [
        (["CUDA0 514 128 38", "Host 10 20 30"], "GPU-a", [("memory", 60), ("GPU-a", 680)]),
        (["CUDA0 514 128 38", "Host 10 20 30"], "", [("memory", 60)]),
        (["CUDA0 1 1 1", "CUDA1 1 1 1", "host 10 0 0"], "GPU-a", [("memory", 10)]),
        (["main: printing estimated memory", " Host 1 2 3 "], "", [("memory", 6)]),
        (["CUDA0 514 128 38"], "GPU-a", []),
        (["Host 99999999999999 1 1"], "", []),
        (["Host 999999999 1 1", "Host -1 2 3", "Host 1 2", "Host 0 0 0"], "", []),
        (["x" * 100_000, "\x1b[0m"], "", []),
    ],
)
def test_sizes_as_llama_cpp_prints_them(lines: list[str], card: str, needs: list[tuple[str, int]]) -> None:
    found = dry_run.sizes(lines, card)
    assert found == tuple(Need(where, float(size * MIB), "dry run") for where, size in needs)


# ------------------------------------------------------------ in a plan


def asked(lab: SwapLab) -> Plan:
    """A swap whose model is asked first."""
    plan = lab.plan()
    check = dry_run.container_name(case_of(plan), plan.op)
    assert check == "b.resurgam-new-abcdef"
    return replace(plan, steps=swap("a", "b", "exclusive", check=check))


def box_of(lab: Any, run: Behaviour, **more: Any) -> SwapLab:
    """A box whose model b has a dry run that behaves so."""
    models = (SlotModel("a", "a"), SlotModel("b", "b", dry_run=DRY))
    box = lab(models=models, **more)
    server = Behaviour(log=("llama server starts",), commands=(("llama-fit-params", run),))
    box.engine.add_image(SimImage(tags=("llama:2",), run=server))
    box.engine.human_remove("b", force=True)
    box.engine.human_run("b", "llama:2", policy="no", ports={"8000/tcp": "18001"}, start=False)
    box.engine.writes.clear()
    return box


def names(lab: SwapLab) -> list[str]:
    return sorted(box.name for box in lab.engine.containers())


GOOD = Behaviour(exit_after=0.1, exit_code=0, log=("Host 100 20 4",))
BAD = Behaviour(
    exit_after=0.1, exit_code=139, log=("unknown model architecture: 'deepseek3_2'", "RuntimeError: Failed")
)


def test_a_model_that_its_image_knows_goes_on(lab: Any) -> None:
    box = box_of(lab, GOOD)
    end = box.do(asked(box))
    assert end.outcome.reason is Reason.VERIFIED, end.outcome.text
    assert names(box) == ["a", "b"]


def test_a_model_that_its_image_does_not_know_never_stops_the_other_one(lab: Any) -> None:
    box = box_of(lab, BAD)
    end = box.do(asked(box))
    assert not end.outcome.ok
    assert end.data["why"] == Reason.NO_FIT.value
    assert "unknown model architecture: 'deepseek3_2'" in end.outcome.text
    assert names(box) == ["a", "b"], "the check container is gone"
    assert [op for op, name in box.ops() if name in ("a", "b")] == []
    assert box.engine.container("a").running
    assert box.callers.unanswered == (), "nobody noticed"


def test_one_that_hangs_is_ended_and_refused(lab: Any) -> None:
    box = box_of(lab, Behaviour())
    end = box.do(asked(box))
    assert not end.outcome.ok
    assert end.data["why"] == Reason.NO_FIT.value
    assert "did not end within 3m" in end.outcome.text
    assert names(box) == ["a", "b"]


def test_an_engine_that_cannot_make_it_leaves_all_as_it_is(lab: Any) -> None:
    box = box_of(lab, GOOD)
    box.engine.fault = lambda op, key: Fault.refuse(500, "no space left on device") if op == "create" else None
    end = box.do(asked(box))
    assert not end.outcome.ok
    assert box.engine.container("a").running
    assert names(box) == ["a", "b"]


def test_a_name_that_somebody_else_took_is_not_touched(lab: Any) -> None:
    box = box_of(lab, GOOD)
    box.engine.human_run("b.resurgam-new-abcdef", "llama:1")
    end = box.do(asked(box))
    assert not end.outcome.ok
    assert names(box) == ["a", "b", "b.resurgam-new-abcdef"]


def test_what_has_no_dry_run_has_no_container_for_it(lab: Any) -> None:
    box = lab()
    case = case_of(box.plan())
    assert dry_run.container_name(case, "abcdef") == ""
    inside = replace(case, to=replace(case.to, model=SlotModel("q", "b", inside=True, dry_run=DRY)))
    assert dry_run.container_name(inside, "abcdef") == ""


def test_the_name_of_a_container_that_is_not_there_yet(lab: Any) -> None:
    case = case_of(lab().plan())
    bare = replace(case.to, container_id="", name="", model=SlotModel("b", "box.b", dry_run=DRY, compose="/c.yaml"))
    assert created.container_name(replace(case, to=bare)) == "box-b-1"
    assert dry_run.container_name(replace(case, to=bare), "abcdef") == "box-b-1.resurgam-new-abcdef"
    assert created.container_name(case) == ""


def test_a_kill_at_any_point_of_it_leaves_nothing_behind(lab: Any) -> None:
    def armed(point: Point) -> SwapLab:
        box = box_of(lab, BAD, point=point)
        box.engine.on_call = lambda op, _key, when: point.pass_by(f"{op} {when}")
        return box

    probe = armed(Point())
    probe.run(probe.core.run(asked(probe)))
    assert {"create after", "start after", "remove before"} <= set(probe.point.seen)
    for at, where in enumerate(probe.point.seen, start=1):
        if not where.startswith(("permit dry_run", "create", "start", "remove")):
            continue
        box = armed(Point(at))
        with pytest.raises(Killed):
            box.run(box.core.run(asked(box)))
        box.die()
        box.run(box.core.recover())
        assert names(box) == ["a", "b"], f"killed at {at}: {where}"
        assert box.engine.container("a").running
        assert not box.core.journal, "the plan has ended"
