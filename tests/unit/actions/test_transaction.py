"""The transaction around a Phoenix: room before the start, `rollback`, what is kept of a failure, the proof."""

from dataclasses import replace

import pytest

from supervisor.actions import forensics
from supervisor.actions.common import ROOM
from supervisor.actions.proof import digest
from supervisor.facts import Needs
from supervisor.incidents.locks import GPU_TURN, Locks, names
from supervisor.lab.engine import Behaviour, Fault, SimImage
from supervisor.lab.room import SimRoom
from supervisor.services import temp_name
from supervisor.verdicts import Reason, Verdict
from tests.support.runner import sim_box

OLD = SimImage(tags=("app:old",), run=Behaviour(healthy_after=2.0, log=("TOKEN=abc", "serving")))
NEW = SimImage(tags=("app:1",), config={"Env": ["V=2"]}, run=Behaviour(healthy_after=3.0), digests=("app@sha256:ff",))
BAD = SimImage(tags=("app:bad",), run=Behaviour(exit_after=0.5, exit_code=7, log=("api_key: s3cret", "boom")))


@pytest.fixture
def box():
    with sim_box() as made:
        made.old, made.new, made.bad = (made.engine.add_image(each) for each in (OLD, NEW, BAD))
        yield made


def running(box, image="app:1", **options):
    box.engine.human_run("app", image, policy="always", **options)
    box.let(5.0)
    return box.service("app", proved_image=box.new)


def done(box):
    return [op for op, _key, _at in box.engine.writes]


# ------------------------------------------------------------ room


def notes(box):
    return [note.text for note in box.core.notes if not note.ok]


def test_the_new_one_starts_once_what_it_needs_is_free(box):
    box.core.room.wanting = "port 8000/tcp is held by nginx (pid 7)"
    made = box.plan("phoenix", running(box), box.new)
    box.engine.world.timers.after(20.0, lambda: setattr(box.core.room, "wanting", ""))
    ended = box.run(box.core.run(made))
    assert ended.outcome.ok
    assert notes(box) == ["Waits: port 8000/tcp is held by nginx (pid 7)."]
    assert dict(pairs(ended))["room"] > 10


class Asked(SimRoom):
    """Keeps what it was asked about: (the old one's restart policy then, the ports that are looked for)."""

    def __init__(self, box):
        super().__init__()
        self.box, self.found = box, []

    async def held(self, needs, container, before=""):
        old = self.box.engine.container(before)
        self.found.append((old.restart_policy, container.ports))
        return await super().held(needs, container, before)


def asked_for(box, service, *, killed=False):
    """What the room was asked about in a Phoenix of this service."""
    box.core.room = Asked(box)
    box.core.runner = box.core.fresh()
    assert box.run(box.core.run(box.plan("phoenix", service, box.new))).outcome.ok
    return box.core.room.found


def test_ports_that_the_old_one_held_until_its_stop_are_not_looked_for(box):
    """That look costs more than the writes between the stop and the start."""
    assert {ports for _policy, ports in asked_for(box, running(box, ports={"80/tcp": "8000"}))} == {()}


def test_ports_of_an_old_one_that_did_not_run_are_looked_for(box):
    service = running(box, ports={"80/tcp": "8000"})
    box.engine.human_stop("app")
    box.let(11.0)
    assert {ports for _policy, ports in asked_for(box, service)} == {("8000/tcp",)}


def test_room_is_waited_for_beside_the_writes_and_holds_up_no_way_back(box):
    service = running(box)
    box.core.room.wanting = "1 GiB of memory are free, it needs 90 GiB"
    plan = box.plan("phoenix", service, box.new)

    def thief(op, _key, when):
        if (op, when) == ("stop", "after"):
            box.engine.on_call = None
            box.engine.human_remove(box.engine.container(temp_name("app", "new", plan.op)).id, force=True)

    box.engine.on_call = thief
    began = box.clock.mono()
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.clock.mono() - began < ROOM, "nobody waits for room for a container that is gone"
    asked = len(box.core.room.asked)
    box.let(10.0)
    assert len(box.core.room.asked) == asked, "nobody asks any more"


def pairs(ended):
    return [(each["step"], each["seconds"]) for each in ended.data["steps"]]


@pytest.mark.parametrize("verb", ["phoenix", "start", "restart"])
def test_no_room_until_the_deadline(box, verb):
    service = running(box)
    if verb == "start":
        box.engine.human_stop("app")
        box.let(11.0)
        service = box.service("app", healthy=False)
    box.core.room.wanting = "1 GiB of memory are free, it needs 90 GiB"
    began = box.clock.mono()
    ended = box.run(box.core.run(box.plan(verb, service, box.new if verb == "phoenix" else "")))
    assert "1 GiB of memory are free" in ended.outcome.text
    assert ROOM <= box.clock.mono() - began < ROOM + 40
    seen = box.engine.container("app")
    if verb == "start":  # left as it was found
        assert (ended.outcome.reason, seen.status) == (Reason.ROLLED_BACK, "exited")
    else:  # it ran before: leaving it down would be worse
        assert ended.outcome.reason is (Reason.ROLLED_BACK if verb == "phoenix" else Reason.VERIFIED)
        assert (seen.status, seen.restart_policy) == ("running", "always")


def test_a_published_port_that_is_held_at_the_start_is_tried_again_and_its_holder_named(box):
    service = running(box, ports={"80/tcp": "8000"})

    def thief(op, _key, when):
        if (op, when) == ("stop", "after") and box.engine.container("thief") is None:
            box.engine.human_run("thief", "app:1", ports={"80/tcp": "8000"})
            box.engine.world.timers.after(15.0, lambda: box.engine.human_remove("thief", force=True))

    box.engine.on_call = thief
    ended = box.run(box.core.run(box.plan("phoenix", service, box.new)))
    assert ended.outcome.ok, ended
    assert any("port is already allocated (container thief publishes port 8000/tcp)" in note for note in notes(box))
    assert box.engine.container("app").running


def test_a_port_that_stays_held_brings_the_old_one_back_as_soon_as_it_is_free(box):
    service = running(box, ports={"80/tcp": "8000"})
    before = service.container.id

    def thief(op, _key, when):
        if (op, when) == ("stop", "after") and box.engine.container("thief") is None:
            box.engine.human_run("thief", "app:1", ports={"80/tcp": "8000"})
            box.engine.world.timers.after(ROOM + 30.0, lambda: box.engine.human_remove("thief", force=True))

    box.engine.on_call = thief
    ended = box.run(box.core.run(box.plan("phoenix", service, box.new)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "thief" in ended.outcome.text
    assert (box.engine.container("app").id, box.engine.container("app").running) == (before, True)


# ------------------------------------------------------------ rollback


def rollback(box, **params):
    service = replace(running(box), previous_image=box.old)
    return box.plan("rollback", service, box.old, **params)


def test_a_rollback_goes_to_the_image_before_and_says_what_compose_would_bring(box):
    made = rollback(box)
    ended = box.run(box.core.run(made))
    assert ended.outcome.ok
    assert box.engine.container("app").image_id == box.old
    assert box.engine.world.shelf.tags["app:1"] == box.new
    assert "the next `docker compose up` would bring that back" in ended.outcome.text
    assert "--retag" in ended.outcome.text
    assert "retag" not in [step.name for step in made.steps]


def test_with_retag_the_tag_goes_along_after_the_commit(box):
    made = rollback(box, retag="true")
    ended = box.run(box.core.run(made))
    assert ended.outcome.ok
    assert box.engine.world.shelf.tags["app:1"] == box.old
    assert box.core.asked.index("commit") < box.core.asked.index("retag")
    seen = box.engine.container("app")
    assert (seen.image_ref, seen.ref_image_id) == ("app:1", box.old), "no drift is left"


def test_a_rollback_that_fails_moves_no_tag(box):
    box.engine.human_run("app", "app:1", policy="always")
    box.let(5.0)
    service = replace(box.service("app", proved_image=box.new), previous_image=box.bad)
    ended = box.run(box.core.run(box.plan("rollback", service, box.bad, retag="true")))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.engine.world.shelf.tags["app:1"] == box.new


def test_without_an_image_before_there_is_nothing_to_go_back_to(box):
    from supervisor.actions.plans import build
    from supervisor.facts import Intent

    intent = Intent("rollback", "app", {}, "a test", "uid:0")
    made = build(intent, running(box), plan_id=1, op="1", now=0.0, image_id="")
    assert isinstance(made, Verdict)
    assert made.reason is Reason.NO_KNOWN_GOOD
    assert "resurgam phoenix app --image" in made.text


# ------------------------------------------------------------ what is kept of a failure


def failed_by(box, count):
    """Failed containers of other services, as earlier plans left them."""
    for number in range(count):
        name = temp_name(f"other{number}", "failed", f"{number:06x}")
        box.engine.human_run(name, "app:1", start=False, labels={"resurgam.op": f"{number:06x}"})


@pytest.mark.parametrize(("others", "kept"), [(4, True), (5, False)])
def test_failed_containers_are_kept_for_study_but_not_too_many(box, others, kept):
    service = running(box)
    failed_by(box, others)
    ended = box.run(box.core.run(box.plan("phoenix", service, box.bad)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    mine = [each.name for each in box.engine.containers() if each.name.startswith("app.resurgam-failed-")]
    assert bool(mine) is kept
    said = box.core_data()["failed"]
    assert said["exit_code"] == 7
    assert said["log"][-2:] == ["api_key: ***", "boom"]
    assert '"Status": "exited"' in said["inspect"]


def test_failed_containers_do_not_fill_the_disk(box, monkeypatch):
    monkeypatch.setattr(forensics, "MOST_BYTES", -1)
    service = running(box)
    box.run(box.core.run(box.plan("phoenix", service, box.bad)))
    assert [each.name for each in box.engine.containers()] == ["app"]
    assert box.core_data()["failed"]["log"]


def test_a_masked_inspect_shows_no_secret_and_is_bounded():
    raw = {
        "Name": "/app",
        "State": {"Status": "exited", "ExitCode": 7, "OOMKilled": False},
        "Config": {"Env": ["DB_PASSWORD=hunter2", "URL=http://me:pass@db/", "A=1"], "Labels": {"api_key": "s3cret"}},
        "HostConfig": {"Binds": ["/a:/b"], "CapAdd": None, "MaskedPaths": ["/proc"]},
    }
    text = forensics.masked(raw)
    for secret in ("hunter2", "s3cret", "pass@"):
        assert secret not in text
    assert "A=1" in text
    assert "MaskedPaths" not in text
    raw["Config"]["Env"] = ["X" * 400] * 500
    assert len(forensics.masked(raw)) <= forensics.INSPECT


def test_the_log_of_the_old_one_is_kept_before_it_goes(box):
    service = running(box, "app:old")
    ended = box.run(box.core.run(box.plan("phoenix", service, box.new)))
    assert ended.outcome.ok
    assert done(box)[-1] == "remove"
    assert box.core_data()["old_log"] == ["TOKEN=***", "serving"]


# ------------------------------------------------------------ the proof


def test_a_maneuver_ends_with_a_proof(box):
    made = box.plan("phoenix", running(box, "app:old"), box.new)
    ended = box.run(box.core.run(made))
    data = box.core_data()
    assert (data["old_ref"], data["new_ref"]) == ("app:old", "app:old")
    assert data["new_digest"] == "app@sha256:ff"
    assert [name for name, _took in pairs(ended)] == [step.name for step in made.steps if not step.back]
    stop = next(at for op, key, at in box.engine.writes if op == "stop")
    start = next(at for op, key, at in box.engine.writes if op == "start")
    assert data["downtime"] == pytest.approx(start - stop + 3.0, abs=1.0)
    assert data["load_seconds"] == pytest.approx(3.0, abs=0.6)
    assert data["downtime"] > data["load_seconds"]
    assert data["probes"] == {} or "probe" in data["probes"] or "check" in data["probes"]


def test_a_way_back_says_how_long_the_service_was_away(box):
    ended = box.run(box.core.run(box.plan("phoenix", running(box), box.bad)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    data = box.core_data()
    assert data["downtime"] > data["load_seconds"] >= 3.0
    assert [name for name, _took in pairs(ended)][-1] == "back_clear"


@pytest.mark.parametrize("verb", ["restart", "start"])
def test_restarts_and_starts_prove_themselves_too(box, verb):
    service = running(box)
    if verb == "start":
        box.engine.human_stop("app")
        box.let(11.0)
        service = box.service("app", healthy=False)
    ended = box.run(box.core.run(box.plan(verb, service)))
    assert ended.outcome.ok
    assert ended.data["load_seconds"] == pytest.approx(3.0, abs=0.6)
    assert ("downtime" in ended.data) is (verb == "restart")


def test_the_digest_is_that_of_the_reference():
    digests = ("mirror/app@sha256:aa", "library/app@sha256:bb")
    assert digest(digests, "mirror/app:1") == "mirror/app@sha256:aa"
    assert digest(digests, "app:1") == "library/app@sha256:bb"
    assert digest(digests, "elsewhere/x:1") == "mirror/app@sha256:aa"
    assert digest((), "app:1") == ""


# ------------------------------------------------------------ locks


def test_gpus_are_let_go_of_and_taken_one_after_the_other():
    for verb in ("stop", "start", "restart", "phoenix", "rollback"):
        assert GPU_TURN in names("a", Needs(), verb, {}, gpu=True)
        assert GPU_TURN in names("a", Needs(vram=(("", 1),)), verb, {})
        assert GPU_TURN not in names("a", Needs(), verb, {})


def test_a_plan_that_waits_for_a_person_holds_up_nobody_else(box):
    locks, first = Locks(), box.plan("phoenix", running(box), box.bad)
    other = replace(first, id=2, service="other", locks=("service:other", "engine:start"))
    mate = replace(first, id=3, locks=("service:app",))
    assert locks.admit(first).ok
    assert not locks.admit(other).ok
    assert not locks.admit(mate).ok
    waits, admitted = locks.lend(first)
    assert [plan.id for plan in admitted] == [2]
    assert waits.locks == ("service:app",)
    assert locks.lend(waits)[0].locks == ("service:app",), "asking again lends nothing more"
    assert locks.regain(waits)[1].reason is Reason.LOCKED
    locks.release(2)
    back, free = locks.regain(waits)
    assert free.ok
    assert set(back.locks) == set(first.locks)
    assert dict(locks.holders())["engine:start"] == 1


def test_an_engine_that_refuses_a_start_for_another_reason_is_not_waited_for(box):
    service = running(box)
    made = box.plan("phoenix", service, box.new)
    box.engine.fault = lambda op, key: Fault.refuse() if op == "start" and key != made.container_id else None
    began = box.clock.mono()
    ended = box.run(box.core.run(made))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.clock.mono() - began < 20


RUNC = "OCI runtime create failed: exec: "


@pytest.mark.parametrize(
    ("said", "blamed"),
    [
        (RUNC + '"/app": stat /app: no such file or directory: unknown', True),
        (RUNC + "/app: exec format error: unknown", True),
        ("no space left on device", False),
        ("something that no version has said yet", False),
    ],
)
def test_an_image_that_cannot_even_start_is_blamed_and_the_machines_trouble_is_not(box, said, blamed):
    service = replace(running(box, image="app:old"), proved_image=box.old)
    made = box.plan("phoenix", service, box.new)
    box.engine.fault = lambda op, key: Fault.refuse(text=said) if op == "start" and key != made.container_id else None
    ended = box.run(box.core.run(made))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.core_data().get("blame") == (box.new if blamed else None)


def test_the_spare_has_the_files_that_compose_put_there(box):
    labels = {"com.docker.compose.project": "box", "com.docker.compose.service": "app"}
    box.engine.human_run("app", "app:old", labels, "always", start=False)
    box.engine.write_file("app", "/run/secrets/token", b"hunter2")
    box.let(1.0)
    box.engine.human_start("app")
    box.let(5.0)
    ended = box.run(box.core.run(box.plan("phoenix", box.service("app"), box.new)))
    assert ended.outcome.ok
    (spare,) = ended.left
    assert box.engine.world.get(spare).files.stat("/run/secrets/token") is not None


@pytest.mark.parametrize(
    ("step", "does", "says"),
    [
        ("clear", lambda engine: engine.human_remove("app", force=True), "was removed since"),
        ("commit", lambda engine: engine.human_stop("app", 0.0), "is exited since"),
    ],
)
def test_a_new_one_that_somebody_takes_away_after_the_commit_is_said(box, step, does, says):
    made = box.plan("phoenix", running(box), box.new)
    box.core.at_step = lambda begun: does(box.engine) if begun == step else None
    ended = box.run(box.core.run(made))
    assert ended.outcome.ok
    assert says in ended.outcome.text
    assert not [name for name in ended.left if "parked" in name]


def test_the_evidence_of_a_failed_container_goes_to_the_bus_without_what_is_secret_by_name_or_place():
    raw = {
        "Config": {
            "Env": ["STRIPE_KEY=sk_live_1", "DB_PASSWORD=two words", "LEVEL=debug", "BARE"],
            "Labels": {"traefik.basicauth": "u:hash-2", "team": "x"},
            "Cmd": ["sh", "-c", "serve --api-key k3 --port 80"],
            "Entrypoint": ["run", "--token", "t4"],
            "Healthcheck": {"Test": ["CMD", "probe", "--password", "p5"]},
        }
    }
    for many in (1, 200):
        raw["Config"]["Volumes"] = {f"/{'v' * 200}{number}": {"x": 1} for number in range(many)}
        text = forensics.masked(raw)
        for secret in ("sk_live_1", "words", "hash-2", "k3", "t4", "p5"):
            assert secret not in text
        assert "--port 80" in text
    assert "LEVEL=debug" in forensics.masked({"Config": {"Env": ["LEVEL=debug"]}})


def test_one_that_the_engine_starts_again_while_it_is_held_down_is_stopped_again(box):
    """An engine that comes back in the middle of a way back starts what ran when it ended."""
    service = running(box)
    made = box.plan("phoenix", service, box.new)
    started = []

    def fault(op, key):
        if op == "start" and key != made.container_id:
            return Fault.refuse(text="something that no version has said yet")
        if op == "set_policy" and key != made.container_id and not started:
            started.append(key)
            box.engine.human_start(key)
        return None

    box.engine.fault = fault
    ended = box.run(box.core.run(made))
    assert started
    assert ended.outcome.reason is Reason.ROLLED_BACK, ended.outcome.text
    assert box.engine.world.get(started[0]).status == "exited"
    assert box.engine.world.get(made.container_id).status == "running"
