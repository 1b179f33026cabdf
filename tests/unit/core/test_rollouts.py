"""What a rollout is made of, and how one is taken up again from the journal. The stories are in tests/sim."""

from dataclasses import replace
from typing import Any

from supervisor.core import staging
from supervisor.core.rollouts import Rollouts
from supervisor.core.staging import Staged
from supervisor.facts import Command, Container, Intent, Needs, Rollout, Service, Stage, Wanted
from supervisor.journal.codec import dump
from supervisor.verdicts import Reason, Verdict, no, yes

GIB = 1 << 30


def service(word: str, **more: Any) -> Service:
    """One of the project `box` that runs and is ours."""
    box = more.pop("container", None) or Container(
        word * 8, f"box-{word}-1", "sha256:" + "1" * 64, "x:1", status=more.pop("status", "running"), started_at=1.0
    )
    given: dict[str, Any] = {"owned": yes(), "project": "box", "healthy": True}
    return Service(f"box.{word}", "docker", box, **(given | more))


def command(verb: str, **params: str) -> Command:
    return Command(0.0, 0.0, verb, "box", params, "uid:0", "socket")


def staged(verb: str, *services: Service, paused: tuple[str, ...] = (), **params: str) -> Staged:
    found = staging.project(command(verb, **params), "box", services, dict.fromkeys(paused))
    assert isinstance(found, Staged)
    return found


def names(found: Staged) -> list[str]:
    return [stage.service for stage in found.stages]


STOPPED = Wanted("stopped", "uid:0", 1.0)


def test_what_is_left_alone_is_said_with_why() -> None:
    found = staged(
        "restart",
        service("a"),
        service("b", owned=no(Reason.NOT_OWNED, "")),
        service("c", wanted=STOPPED, status="exited"),
        service("d", status="exited"),
        service("e", container=Container("e", "box-e-1", "", "", status="created")),
        replace(service("f"), container=None),
        service("g"),
        paused=("box.g",),
    )
    assert names(found) == ["box.a"]
    assert found.left == (
        "box.b (not owned)",
        "box.c (stopped on purpose)",
        "box.d (it is done)",
        "box.e (never started)",
        "box.f (it has no container)",
        "box.g (paused)",
    )


def test_one_that_died_is_no_job_that_is_done() -> None:
    dead = service("a", container=Container("a", "box-a-1", "", "", status="exited", exit_code=1, started_at=1.0))
    assert names(staged("restart", dead)) == ["box.a"]


def test_a_start_leaves_what_runs_and_takes_what_was_stopped() -> None:
    runs = service("a", wanted=Wanted("running"))
    found = staged("start", runs, service("b", wanted=STOPPED, status="exited"))
    assert (names(found), found.left) == (["box.b"], ("box.a (it runs already)",))


def test_of_those_that_share_an_exclusive_word_the_first_in_the_order_is_started() -> None:
    small = service("a", status="exited", needs=Needs(exclusive=("gpu:0",)))
    large = service("b", status="exited", needs=Needs(exclusive=("gpu:0",), memory=GIB))
    found = staged("start", small, large)
    assert (names(found), found.left) == (["box.b"], ("box.a (box.b has gpu:0)",))
    other = replace(service("x", needs=Needs(exclusive=("gpu:0",))), project="else", id="else.x")
    assert staged("start", small, other).left == ("box.a (else.x has gpu:0)",)


def test_a_circle_is_no_obstacle_but_said() -> None:
    found = staged("stop", service("a", needs_first=("box.b",)), service("b", needs_first=("box.a",)))
    assert sorted(names(found)) == ["box.a", "box.b"]
    assert "circle" in found.problems[0]


def test_a_name_means_the_service_where_both_are_called_so() -> None:
    services = [service("a")]
    assert staging.project_named(services, "box", is_service=False) == "box"
    assert staging.project_named(services, "box", is_service=True) == ""
    assert staging.project_named(services, "project:box", is_service=True) == "box"
    assert staging.project_named(services, "project:other", is_service=False) == ""


def test_with_a_compose_file_only_what_is_in_it_is_recreated_as_it_says() -> None:
    web = service("a")
    found = web.container
    assert found is not None
    web = replace(web, container=replace(found, labels={"com.docker.compose.service": "a"}))
    other = replace(service("b"), container=replace(found, labels={"com.docker.compose.service": "b"}))
    fact = replace(command("phoenix"), document={"a": {"image": "web:2", "project": "box"}})
    made = staging.project(fact, "box", [web, other], {})
    assert isinstance(made, Staged)
    assert [(stage.service, stage.params["image"], stage.document["image"]) for stage in made.stages] == [
        ("box.a", "web:2", "web:2")
    ]
    assert made.left == ("box.b (not in the compose file)",)
    wrong = staging.project(replace(fact, document={"a": {"project": "other"}}), "box", [web], {})
    assert isinstance(wrong, Verdict)


# ---------------------------------------------------------------- dependents


def test_a_child_keeps_the_image_it_runs_unless_that_is_quarantined_and_another_one_proved() -> None:
    child = service("a")
    assert staging.as_it_is(child) == {"image": "sha256:" + "1" * 64}
    bad = replace(child, quarantined=("sha256:" + "1" * 64,))
    assert staging.as_it_is(bad) == {"image": "sha256:" + "1" * 64}
    assert staging.as_it_is(replace(bad, proved_image="sha256:2")) == {"image": "last-known-good"}


def test_a_start_of_what_runs_already_concerns_nobody_else() -> None:
    parent, child = service("vpn"), service("torrent", parents={"box.vpn": "network"})
    assert staging.dependents(Intent("start", "box.vpn", {}, "", "uid:0"), parent, [parent, child]) is None
    assert staging.dependents(Intent("restart", "box.torrent", {}, "", "uid:0"), child, [parent, child]) is None


def test_a_restart_becomes_a_phoenix_with_the_same_key_and_limit_where_the_parent_is_another_one() -> None:
    child = service("torrent", reattach={"f" * 64: "box-vpn-1"})
    wish = Intent("restart", "box.torrent", {"within": "3m"}, "It was asked for.", "rule:X", "inc-1", "k|1|0")
    made = staging.recreation(wish, child)
    assert not isinstance(made, Verdict)
    assert (made[0].verb, made[0].params) == ("phoenix", {"image": "sha256:" + "1" * 64, "within": "3m"})
    assert (made[0].key, made[0].incident, made[0].by) == (wish.key, wish.incident, wish.by)
    assert "box-vpn-1 was made anew" in made[0].cause


# ---------------------------------------------------------------- boot


def test_a_boot_brings_back_what_is_ours_to_start_and_names_what_is_the_engines() -> None:
    ordered = Needs(boot="ordered")
    down = {"status": "exited", "needs": ordered, "expected": True}
    policy = Container("p", "box-p-1", "", "", status="exited", restart_policy="always", started_at=1.0)
    found = staging.boot(
        [
            service("a", **down),
            service("b", status="exited", expected=True),
            service("c", **{**down, "expected": False}),
            service("d", needs=ordered, expected=True),
            service("e", **{**down, "owned": no(Reason.NOT_OWNED, "")}),
            service("f", **down),
            service("p", container=policy, needs=ordered, expected=True),
            replace(service("x", **down), engine="podman"),
        ],
        "docker",
        lambda ident: ident == "box.f",
    )
    assert names(found) == ["box.a"]
    assert found.left == ("box.e (not owned)", "box.p (the engine starts it: its restart policy is always)")


# ---------------------------------------------------------------- kept


def test_open_ones_are_restored_oldest_first_and_numbers_are_never_used_twice() -> None:
    kept = {
        str(number): dump(Rollout(number, "restart", "box", "uid:0", "", 1.0, (Stage("box.a", "restart"),)))
        for number in (12, 9)
    }
    rollouts = Rollouts(kept, {"rollout": {"last": 20}})
    assert [one.id for one in rollouts.open()] == [9, 12]
    assert rollouts.open()[0].stages == (Stage("box.a", "restart"),)
    assert rollouts._last == 20
