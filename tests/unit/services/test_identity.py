"""Which service a container is, which one carries it, and whether it is ours."""

from collections.abc import Mapping

import pytest

from supervisor.config import Settings
from supervisor.services import Registry, temp_name
from supervisor.services.identity import LABEL_BYTES
from supervisor.verdicts import Reason
from tests.unit.services.world import OPT_IN, World, compose, plan


def entry(**services: Mapping[str, object]) -> Settings:
    return Settings.model_validate({"services": {name.replace("__", "."): value for name, value in services.items()}})


# ---------------------------------------------------------------- ids


def test_a_plain_container_is_its_name_and_a_compose_one_its_project_and_service() -> None:
    world = World()
    world.run("solo")
    world.run("box-oracle-1", labels=compose())
    assert world.ids() == ["box.oracle", "solo"]


def test_replicas_get_their_numbers_and_lose_them_again() -> None:
    world = World()
    world.run("box-web-1", labels=compose(service="web"))
    assert world.ids() == ["box.web"]
    second = world.run("box-web-2", labels=compose(service="web", number=2))
    assert {"box.web.1", "box.web.2"} <= set(world.ids())
    assert world.service("box.web.1").container.name == "box-web-1"
    assert world.service("box.web.1").twins == ()
    world.remove(second)
    assert world.service("box.web").container.name == "box-web-1"


def test_a_one_off_run_is_not_the_service() -> None:
    world = World()
    world.run("box-oracle-1", labels=compose())
    world.run("box-oracle-run-ab", labels=compose(number=2, **{"com.docker.compose.oneoff": "True"}))
    assert world.ids() == ["box-oracle-run-ab", "box.oracle"]


@pytest.mark.parametrize("number", ["", "x", "0", "-1", "2" * 50, "²"])
def test_a_number_that_cannot_be_one_counts_as_the_first(number: str) -> None:
    world = World()
    world.run("box-oracle-1", labels=compose() | {"com.docker.compose.container-number": number})
    assert world.ids() == ["box.oracle"]


def test_a_label_names_the_service_unless_the_image_carries_it_too() -> None:
    world = World()
    world.run("one", labels={"resurgam.service": "chosen/one"})
    world.run("two", labels={"resurgam.service": "baked"}, image_labels={"resurgam.service": "baked"})
    assert world.ids() == ["chosen~2Fone", "two"]


def test_the_configuration_names_the_service_before_any_label() -> None:
    world = World(entry(box__oracle={"service": "brain", "enable": True}))
    world.run("box-oracle-1", labels=compose(**{"resurgam.service": "other"}))
    assert world.ids() == ["brain"]
    assert world.service("brain").owned.ok


def test_hostile_names_stay_words() -> None:
    world = World()
    world.run("box-x-1", labels=compose("a/b", "#+\n\x00" + "y" * 10_000))
    world.run("daemon")
    assert all(len(one) <= 200 and not set(one) & set("/#+\n\x00 ") for one in world.ids())
    assert "daemon" not in world.ids()


def test_labels_are_bounded_and_ours_survive_the_crowd() -> None:
    world = World()
    crowd = {f"a{number}": "x" * 100 for number in range(500)}
    world.run(labels=crowd | OPT_IN)
    kept = world.service().container.labels
    assert sum(len(key) + len(value) for key, value in kept.items()) <= LABEL_BYTES
    assert world.service().owned.ok


# ---------------------------------------------------------------- which container


@pytest.mark.parametrize("role", ["new", "parked", "spare", "failed"])
def test_what_carries_a_temporary_name_is_no_service(role: str) -> None:
    world = World()
    world.run(temp_name("oracle", role, "ab12"))
    assert world.ids() == []


def test_a_spare_is_known_by_its_label_but_an_image_cannot_hide_a_container() -> None:
    world = World()
    world.create("renamed-spare", labels={"resurgam.role": "spare"})
    world.run("shy", labels={"resurgam.role": "spare"}, image_labels={"resurgam.role": "spare"})
    assert world.ids() == ["shy"]


def test_the_new_container_becomes_the_service_when_it_gets_the_name() -> None:
    world = World()
    old = world.run("oracle", labels=dict(OPT_IN))
    world.plans = {old: (open_plan := plan("oracle")), "oracle": open_plan}
    new = world.create(temp_name("oracle", "new", "ab12"), labels=OPT_IN | {"resurgam.role": "new"})
    assert world.service().container.id == old
    world.stop(old)
    world.rename(old, temp_name("oracle", "parked", "ab12"))
    between = world.service()
    assert between.container is None
    assert between.owned.ok
    world.wait(3600)
    assert world.ids() == ["oracle"], "a service that a plan works on is not forgotten"
    assert world.registry.find("oracle") == ("oracle",)
    world.rename(new, "oracle")
    world.start(new)
    assert world.service().container.id == new
    assert world.service().deaths == 0


def test_compose_recreating_a_container_changes_neither_id_nor_series() -> None:
    world = World()
    old = world.run("box_oracle_1", labels=compose())
    before = {sample.labels for sample in world.registry.samples(full=True)}
    world.rename(old, "0123456789ab_box_oracle_1")
    new = world.create("box_oracle_1", labels=compose())
    assert world.service("box.oracle").container.id == old
    world.stop(old)
    world.start(new)
    world.remove(old)
    assert world.service("box.oracle").container.id == new
    assert world.registry.gone() == ()
    assert {sample.labels for sample in world.registry.samples(full=True)} >= before
    assert world.service("box.oracle").wanted.state != "stopped"


# ---------------------------------------------------------------- ownership


@pytest.mark.parametrize(
    ("given", "reason", "says"),
    [
        ({}, Reason.NOT_OWNED, "resurgam.enable=true"),
        ({"labels": dict(OPT_IN)}, Reason.ALLOWED, ""),
        ({"labels": {"resurgam.enable": "True"}}, Reason.ALLOWED, ""),
        ({"labels": {"resurgam.enable": "yes please"}}, Reason.NOT_OWNED, "resurgam.yaml"),
        ({"labels": dict(OPT_IN), "image_labels": dict(OPT_IN)}, Reason.NOT_OWNED, "image"),
        ({"labels": dict(OPT_IN), "image_labels": {"resurgam.enable": "false"}}, Reason.ALLOWED, ""),
        ({"labels": OPT_IN | {"com.docker.swarm.task.id": "x"}}, Reason.UNSUPPORTED, "swarm"),
        ({"labels": OPT_IN | {"io.kubernetes.pod.name": "x"}}, Reason.UNSUPPORTED, "Kubernetes"),
        ({"labels": dict(OPT_IN), "auto_remove": True}, Reason.UNSUPPORTED, "--rm"),
    ],
)
def test_only_what_opted_in_is_ours_and_the_refusal_names_the_fix(given: dict, reason: Reason, says: str) -> None:
    world = World()
    world.run(**given)
    owned = world.service().owned
    assert owned.reason is reason
    assert owned.ok is (reason is Reason.ALLOWED)
    assert says in owned.text


def test_an_image_stuffed_with_labels_cannot_push_its_opt_in_past_the_check() -> None:
    world = World()
    baked = {f"resurgam.a{number}": "x" * 200 for number in range(200)} | OPT_IN
    world.run(labels=dict(baked), image_labels=dict(baked))
    assert not world.service().owned.ok


def test_with_consent_listed_a_label_is_none_and_only_what_is_listed_is_ours() -> None:
    settings = Settings.model_validate({"consent": "listed", "services": {"solo": {"enable": True}}})
    world = World(settings)
    world.run("oracle", labels=dict(OPT_IN))
    world.run("solo")
    refused = world.service("oracle").owned
    assert refused.reason is Reason.NOT_OWNED
    assert "label" not in refused.text
    assert "services: {oracle: {enable: true}}" in refused.text
    assert world.service("solo").owned.ok


def test_the_configuration_decides_over_labels() -> None:
    world = World(entry(oracle={"enable": False}, solo={"enable": True}))
    world.run("oracle", labels=dict(OPT_IN))
    world.run("solo")
    assert not world.service("oracle").owned.ok
    assert world.service("solo").owned.ok


def test_a_reload_changes_ownership_and_needs_at_once() -> None:
    world = World()
    world.run("oracle")
    world.registry.reload(entry(oracle={"enable": True, "aliases": ["brain"]}))
    assert world.service().owned.ok
    assert world.registry.find("brain") == ("oracle",)


def test_we_do_not_own_ourselves() -> None:
    world = World()
    cid = world.run(labels=dict(OPT_IN))
    world.registry = Registry(Settings(), {}, own=cid[:12])
    world.sweep()
    assert world.service().owned.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("mqtt://localhost", False),
        ("mqtt://127.0.0.1:1883", False),
        ("mqtts://[::1]", True),
        ("mqtt://localhost:1884", True),
        ("mqtt://Bus", False),
        ("mqtt://10.0.0.9", False),
        ("mqtt://other", True),
        ("mqtt://elsewhere:1883", True),
        ("unix:///run/mosquitto/mqtt.sock", True),
        ("auto", True),
        ("none", True),
    ],
)
def test_we_do_not_act_on_the_broker_we_talk_through(url: str, ours: bool) -> None:
    world = World(Settings.model_validate({"mqtt": {"url": url}}))
    world.run("bus", labels=dict(OPT_IN), ports=("127.0.0.1:1883/tcp", "9001/tcp"), address="10.0.0.9")
    found = world.service("bus").owned
    assert found.ok is ours
    assert ours or (found.reason is Reason.UNSUPPORTED and "broker" in found.text)


def test_two_living_claimants_are_both_left_alone_until_one_goes() -> None:
    world = World()
    one = world.run("one", labels=OPT_IN | {"resurgam.service": "oracle"})
    two = world.run("two", labels=OPT_IN | {"resurgam.service": "oracle"})
    found = world.service()
    assert found.owned.reason is Reason.DUPLICATE_IDENTITY
    assert found.twins == ("two",)
    assert found.container.id == one
    assert any("two" in text for text in world.registry.problems())
    world.stop(two)
    assert world.service().owned.ok
    assert world.service().twins == ()
    assert world.service().wanted.state == "any", "stopping the twin is no wish about the service"


def test_a_bad_label_is_a_problem_in_words_not_an_error() -> None:
    world = World()
    world.run(labels={"resurgam.startup": "soon", "resurgam.exclusive": "gpu:0"})
    assert world.service().needs.exclusive == ("gpu:0",)
    assert any("resurgam.startup" in text for text in world.registry.problems())
