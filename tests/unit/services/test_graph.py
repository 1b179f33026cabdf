"""What services are to each other: whose namespaces, what first, in which order. Everything from plain values."""

from dataclasses import replace

import pytest

from supervisor.facts import Container, Needs, Service
from supervisor.services import graph
from supervisor.services.graph import Box
from supervisor.verdicts import yes

COMPOSE = {"com.docker.compose.project": "box"}


def ident(letter: str) -> str:
    return letter * 64


def service(
    word: str,
    letter: str,
    *,
    depends: str = "",
    needs: Needs | None = None,
    parents: dict[str, str] | None = None,
    started: float = 100.0,
    status: str = "running",
) -> Service:
    labels = {**COMPOSE, "com.docker.compose.service": word, "com.docker.compose.depends_on": depends}
    box = Container(
        ident(letter),
        f"box-{word}-1",
        "sha256:1",
        f"local/{word}:1",
        labels=labels,
        status=status,
        started_at=started,
        parents=parents or {},
    )
    return Service(f"box.{word}", "docker", box, yes(), needs=needs or Needs(), project="box")


def related(*services: Service, carried: dict[tuple[str, str], str] | None = None, more: tuple[Box, ...] = ()):
    boxes = [Box(one.engine, one.container, one.id) for one in services if one.container is not None]
    return {one.id: one for one in graph.related(services, (*boxes, *more), carried or {})}


# ---------------------------------------------------------------- what is needed first


def test_composes_label_and_the_declared_words_are_resolved_within_the_project() -> None:
    found = related(
        service("db", "a"),
        service("cache", "b", needs=Needs(aliases=("redis",))),
        service("app", "c", depends="db:service_healthy:false,nobody:service_started:true"),
        service("web", "d", needs=Needs(depends=("app", "redis", "box.db", "web"))),
    )
    assert found["box.app"].needs_first == ("box.db",)
    assert found["box.web"].needs_first == ("box.app", "box.cache", "box.db")
    assert found["box.db"].needs_first == ()


def test_a_label_that_makes_no_sense_means_nothing() -> None:
    assert graph.compose_depends({graph.DEPENDS_LABEL: ":,  ,:::,a:b:c,a"}) == ("a",)
    assert graph.compose_depends({}) == ()


# ---------------------------------------------------------------- shared namespaces


@pytest.mark.parametrize("key", [ident("a"), ident("a")[:12], "box-vpn-1"])
def test_a_parent_is_known_by_id_short_id_and_name(key: str) -> None:
    found = related(service("vpn", "a"), service("torrent", "b", parents={"network": key, "pid": key}))
    assert found["box.torrent"].parents == {"box.vpn": "network, pid"}
    assert (found["box.torrent"].cut_off, found["box.torrent"].reattach) == ("", {})


def test_a_parent_that_was_started_later_has_cut_off_its_child() -> None:
    child = service("torrent", "b", parents={"network": ident("a")}, started=50)
    found = related(service("vpn", "a", started=60), child)
    assert "box.vpn was started anew" in found["box.torrent"].cut_off
    assert found["box.torrent"].reattach == {}, "a restart helps"
    assert related(service("vpn", "a", started=50), child)["box.torrent"].cut_off == ""


@pytest.mark.parametrize(("status", "child"), [("exited", "running"), ("running", "exited"), ("running", "restarting")])
def test_nobody_is_cut_off_who_does_not_run_or_whose_parent_does_not(status: str, child: str) -> None:
    vpn = service("vpn", "a", started=60, status=status)
    torrent = service("torrent", "b", parents={"network": ident("a")}, started=50, status=child)
    assert related(vpn, torrent)["box.torrent"].cut_off == ""


def test_volumes_outlive_their_container() -> None:
    child = service("torrent", "b", parents={"volumes": ident("a"), "volumes.2": "box-vpn-1"}, started=50)
    found = related(service("vpn", "a", started=60), child)
    assert (found["box.torrent"].parents, found["box.torrent"].cut_off) == ({"box.vpn": "volumes"}, "")
    gone = related(service("vpn", "c", started=60), child, carried={("docker", ident("a")): "box.vpn"})
    assert (gone["box.torrent"].cut_off, gone["box.torrent"].reattach) == ("", {})


def test_a_parent_made_anew_is_found_by_what_is_remembered() -> None:
    child = service("torrent", "b", parents={"network": ident("a")}, started=50)
    vpn = service("vpn", "c", started=60)
    found = related(vpn, child, carried={("docker", ident("a")): "box.vpn"})["box.torrent"]
    assert found.parents == {"box.vpn": "network"}
    assert found.reattach == {ident("a"): "box-vpn-1"}
    assert "made anew" in found.cut_off


def test_a_parked_parent_counts_as_made_anew_as_soon_as_another_one_stands_there() -> None:
    parked = replace(service("vpn", "a", status="exited").container, name="box-vpn-1.resurgam-parked-1f")  # type: ignore[type-var]
    child = service("torrent", "b", parents={"network": ident("a")}, started=50)
    found = related(service("vpn", "c", started=60), child, more=(Box("docker", parked, ""),))["box.torrent"]
    assert found.reattach == {ident("a"): "box-vpn-1"}


def test_a_parent_that_nobody_knows_is_said() -> None:
    found = related(service("torrent", "b", parents={"network": ident("f")}))["box.torrent"]
    assert (found.parents, found.reattach) == ({}, {ident("f"): ""})
    assert "nobody knows" in found.cut_off


def test_a_remembered_service_without_a_container_may_come_back() -> None:
    child = service("torrent", "b", parents={"network": ident("a")})
    gone = replace(service("vpn", "c"), container=None)
    found = related(gone, child, carried={("docker", ident("a")): "box.vpn"})["box.torrent"]
    assert (found.cut_off, found.reattach) == ("", {ident("a"): ""})


def test_the_old_field_for_the_network_alone_still_counts() -> None:
    box = Container(ident("b"), "x", "", "", network_parent=ident("a"))
    assert graph.shared(box) == {"network": ident("a")}


def test_dependents_are_all_that_live_there_in_the_order_to_start_them() -> None:
    found = related(
        service("vpn", "a"),
        service("one", "b", parents={"network": ident("a")}),
        service("two", "c", parents={"pid": ident("b")}, needs=Needs(memory=1 << 40)),
        service("off", "d", parents={"network": ident("a")}, status="exited"),
        service("data", "e", parents={"volumes": ident("a")}),
    )
    assert graph.dependents(list(found.values()), "box.vpn") == ("box.one", "box.two")
    assert graph.dependents(list(found.values()), "box.two") == ()


# ---------------------------------------------------------------- order


def named(word: str, *needs_first: str, memory: int = 0, startup: float = 300.0) -> Service:
    return Service(word, "docker", None, yes(), Needs(memory=memory, startup=startup), needs_first=needs_first)


def test_dependencies_first_then_the_largest_then_the_longest_load_then_the_name() -> None:
    services = [
        named("e"),
        named("d"),
        named("slow", startup=900),
        named("big", memory=9),
        named("web", "app", memory=99),
        named("app", "db"),
        named("db", memory=1),
    ]
    assert graph.order(services).start == ("big", "db", "slow", "app", "web", "d", "e")
    assert graph.order(services[::-1]).start == graph.order(services).start
    assert graph.order(services).stop == graph.order(services).start[::-1]


def test_what_is_not_among_them_does_not_count() -> None:
    assert graph.order([named("app", "db", "app")]) == graph.Order(("app",))
    assert graph.order([]) == graph.Order(())


def test_a_circle_is_named_and_broken_at_its_largest() -> None:
    services = [named("a", "b"), named("b", "c", memory=5), named("c", "a"), named("x", "a"), named("z")]
    found = graph.order(services)
    assert found.start == ("z", "b", "a", "c", "x")
    assert found.problems == ("a needs b needs c needs a: that is a circle, so the largest of them goes first.",)
