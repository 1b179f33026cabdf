"""The series a service gives out, and which service a word or a set of labels means."""

from dataclasses import replace

import pytest

from supervisor.config import Settings
from supervisor.facts import Sample
from tests.unit.services.world import World, compose, written

NAMES = {
    "resurgam_container_deaths_total",
    "resurgam_container_restarts_total",
    "resurgam_container_death_streak",
    "resurgam_container_last_exit_signal",
    "container_oom_events_total",
    "resurgam_container_running",
    "resurgam_container_unhealthy",
    "resurgam_service_healthy",
    "resurgam_container_cut_off",
    "resurgam_service_ordered_down",
    'resurgam_container_image_drift{kind="tag_moved"}',
    'resurgam_container_image_drift{kind="unproved"}',
    "container_start_time_seconds",
    'resurgam_service_wanted{state="running"}',
    'resurgam_service_wanted{state="stopped"}',
    'resurgam_service_wanted{state="any"}',
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_ready",
}


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


def values_of(world: World, name: str, full: bool = False) -> list[float]:
    return [one.value for one in world.registry.samples(full=full) if written(one) == name]


def test_every_service_has_all_its_series_from_the_start(world: World) -> None:
    world.run()
    assert set(world.series()) == NAMES
    cid = world.service().container.id
    world.crash(cid, 139)
    more = {"resurgam_container_last_exit_code", "resurgam_container_last_death_timestamp_seconds"}
    more |= {"resurgam_service_trouble"}  # there is one for the cause there is, and none else
    found = world.series()
    assert set(found) == NAMES | more
    assert found["resurgam_container_last_exit_code"] == 139
    assert found["resurgam_container_last_exit_signal"] == 11


def test_only_changes_are_given_out_between_repeats(world: World) -> None:
    cid = world.run()
    assert world.series(full=False).keys() == NAMES
    assert world.series(full=False) == {}
    world.wait(1)
    world.end(cid, 1)
    assert "resurgam_container_deaths_total" in (found := world.series(full=False))
    assert "container_oom_events_total" not in found
    assert world.series(full=False) == {}
    assert world.series(full=True).keys() >= NAMES


def test_the_first_step_of_a_counter_can_be_seen(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    assert values_of(world, "resurgam_container_deaths_total") == [0, 1]
    world.crash(cid)
    assert values_of(world, "resurgam_container_deaths_total") == [2]


def test_a_start_is_told_once_with_the_time_that_the_engine_says(world: World) -> None:
    """`changes(container_start_time_seconds[15m])` counts restarts: the event's own stamp, some ms on, is not told."""
    cid = world.run()
    first = values_of(world, "container_start_time_seconds")
    told = []
    for _ in range(3):
        world.wait(5)
        world.end(cid)
        world.wait(1)
        world.start(cid, by_hand=False, look=False)
        world.there[cid] = replace(world.there[cid], started_at=world.now - 0.01)
        told += values_of(world, "container_start_time_seconds")
        world.look(cid)
        told += values_of(world, "container_start_time_seconds")
    assert len(first) == 1
    assert told == pytest.approx([first[0] + 6 - 0.01, first[0] + 12 - 0.01, first[0] + 18 - 0.01], abs=1e-3)
    assert values_of(world, "container_start_time_seconds", full=True) == told[-1:]


def test_a_counter_that_goes_on_after_a_restart_does_not_fall_to_zero(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    fresh = world.again()
    fresh.sweep()
    assert values_of(fresh, "resurgam_container_deaths_total", full=True) == [1]


def test_no_series_carries_an_image_an_id_or_a_temporary_name(world: World) -> None:
    cid = world.run("box-oracle-1", labels=compose())
    allowed = {
        "__name__",
        "name",
        "container_label_com_docker_compose_project",
        "container_label_com_docker_compose_service",
        "kind",
        "state",
        "namespace",
        "pod",
        "container",
    }
    for sample in world.registry.samples(full=True):
        assert {key for key, _value in sample.labels} <= allowed
        assert cid not in str(sample.labels)
        assert sample.labels == tuple(sorted(sample.labels))


def test_kube_names_are_the_declared_ones_or_what_comes_nearest() -> None:
    kube = {"container": "ktransformers", "deployment": "inference-engine", "namespace": "ai"}
    world = World(Settings.model_validate({"services": {"box.oracle": {"kube": kube}}}))
    world.run("box-oracle-1", labels=compose())
    world.run("box-web-1", labels=compose(service="web"))
    world.run("solo")
    found = {
        (has["namespace"], has["pod"], has["container"])
        for has in (dict(one.labels) for one in world.registry.samples(full=True))
        if has["__name__"] == "kube_pod_container_status_restarts_total"
    }
    assert found == {("ai", "box.oracle", "ktransformers"), ("default", "box.web", "web"), ("default", "solo", "solo")}


def test_a_renamed_container_ends_its_old_series_and_begins_new_ones(world: World) -> None:
    cid = world.run("box-oracle-1", labels=compose())
    world.registry.samples(full=True)
    world.rename(cid, "brain")
    assert [one["name"] for one in world.registry.gone() if "name" in one] == ["box-oracle-1"]
    found = world.registry.samples(full=False)
    assert {dict(one.labels).get("name", "brain") for one in found} == {"brain"}
    assert {written(one) for one in found} == NAMES


def test_a_name_taken_over_by_another_service_is_alive_after_the_old_one_ended(world: World) -> None:
    one = world.run("web", labels=compose(service="a"))
    world.registry.samples(full=True)
    world.rename(one, "other")
    world.run("web", labels=compose(service="b"))
    ended = world.registry.gone()
    assert ended[0]["name"] == "web"
    given = [dict(sample.labels) for sample in world.registry.samples(full=False)]
    assert any(has.get("name") == "web" for has in given)


def test_hostile_labels_stay_within_the_bounds_of_a_series(world: World) -> None:
    world.run("x" * 10_000, labels=compose("p\n" * 5000, 'q"}' * 5000))
    for sample in world.registry.samples(full=True):
        assert len("".join(key + value for key, value in sample.labels).encode()) <= 4096
        assert all(value.isprintable() for _key, value in sample.labels)


def test_snapshots_are_the_same_object_while_nothing_changes(world: World) -> None:
    cid = world.run()
    before = world.registry.services()
    world.look(cid)
    world.sweep()
    assert world.registry.services() is before
    world.wait(1)
    world.end(cid)
    assert world.registry.services() is not before
    assert before[0].container.running, "the old snapshot still shows the old state"


# ---------------------------------------------------------------- finding


@pytest.fixture
def box() -> World:
    services = {
        "box.oracle": {"kube": {"container": "ktransformers", "deployment": "inference-engine"}, "aliases": ["brain"]},
        "mirror": {"kube": {"container": "mirror", "deployment": "edge", "namespace": "prod"}},
    }
    world = World(Settings.model_validate({"services": services}))
    world.run("box-oracle-1", labels=compose())
    world.run("lab-oracle-1", labels=compose("lab"))
    world.run("box-web-1", labels=compose(service="web"))
    world.run("mirror")
    world.run("brain.old")
    return world


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("box.oracle", ("box.oracle",)),
        ("brain", ("box.oracle",)),
        ("inference-engine", ("box.oracle",)),
        ("ktransformers", ("box.oracle",)),
        ("web", ("box.web",)),
        ("oracle", ("box.oracle", "lab.oracle")),
        ("lab-oracle-1", ("lab.oracle",)),
        ("mirror", ("mirror",)),
        ("nobody", ()),
        ("", ()),
        ({"deployment": "inference-engine"}, ("box.oracle",)),
        ({"deployment": "inference-engine", "namespace": "default"}, ("box.oracle",)),
        ({"deployment": "inference-engine", "namespace": "prod"}, ()),
        ({"deployment": "edge", "namespace": "prod"}, ("mirror",)),
        ({"deployment": "web"}, ()),
        ({"container": "ktransformers", "namespace": "default"}, ("box.oracle",)),
        ({"container": "web", "namespace": "default"}, ("box.web",)),
        ({"container": "web"}, ("box.web",)),
        ({"container": "web", "namespace": "prod"}, ()),
        ({"project": "lab", "service": "oracle"}, ("lab.oracle",)),
        ({"project": "lab", "service": ""}, ()),
        ({"pod": "box.web", "namespace": "default", "container": "web"}, ("box.web",)),
        ({"name": "box-web-1"}, ("box.web",)),
        ({"name": ""}, ()),
        ({}, ()),
    ],
)
def test_the_first_kind_of_name_that_matches_decides(box: World, target: object, found: tuple[str, ...]) -> None:
    assert box.registry.find(target) == found


def test_a_samples_labels_lead_back_to_its_service(box: World) -> None:
    by_labels: dict[str, Sample] = {}
    for sample in box.registry.samples(full=True):
        has = dict(sample.labels)
        if "name" in has:
            assert len(box.registry.find(has["name"])) == 1
        else:
            kube = {"container": has["container"], "namespace": has["namespace"], "pod": has["pod"]}
            assert box.registry.find(kube) == (has["pod"],)
        by_labels[str(sample.labels)] = sample
    assert len(by_labels) == 5 * len(NAMES)
