"""Which service an alert means; and where none is found, the sentence that names the fix."""

from collections.abc import Mapping

import pytest

from supervisor.facts import Needs
from supervisor.incidents.binding import Action, bind
from supervisor.incidents.target import Aim, about, aimed, named, subject
from supervisor.verdicts import Reason
from tests.support.incidents import OWNER, Box, alert, container, owners, service

KUBE = {"container": "ktransformers", "deployment": "inference-engine"}
PROJECT = "container_label_com_docker_compose_project"
SERVICE = "container_label_com_docker_compose_service"


def box(kube: Mapping[str, str] = {}) -> Box:
    found = Box()
    found.put(service(needs=Needs(kube=kube, aliases=("seer",))))
    found.put(service("demo.web", container=container("c2", "web")))
    found.put(service("other.web", container=container("c3", "web-2")))
    return found


def of(labels: dict[str, str], kube: Mapping[str, str] = {}) -> Aim:
    return about(alert(labels={"name": "", **labels}), box(kube).world().find)


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ({"name": "oracle"}, "demo.oracle"),
        ({"name": "oracle", "container": "nobody"}, "demo.oracle"),
        ({PROJECT: "other", SERVICE: "web"}, "other.web"),
        ({"container": "ktransformers"}, "demo.oracle"),
        ({"container": "ktransformers", "namespace": "default"}, "demo.oracle"),
        ({"container": "seer"}, "demo.oracle"),
        ({"instance": "localhost:9100", "job": "node"}, "host"),
        ({}, "host"),
    ],
)
def test_labels_in_their_order(labels: dict[str, str], want: str) -> None:
    found = of(labels, KUBE)
    assert (found.id, found.verdict.ok) == (want, True)


@pytest.mark.parametrize(
    "labels",
    [{"name": "nobody"}, {PROJECT: "demo", SERVICE: "nobody"}, {"container": "ktransformers", "namespace": "ai"}],
)
def test_nobody_has_that_name(labels: dict[str, str]) -> None:
    found = of(labels, KUBE)
    assert (found.id, found.verdict.reason) == ("", Reason.NO_TARGET)


def test_the_owners_alert_without_a_mapping_names_the_fix() -> None:
    action = bind(OWNER)
    assert isinstance(action, Action)
    find = box().world().find
    found = aimed(action, owners(), find)
    assert found.verdict.reason is Reason.NO_TARGET
    assert "'inference-engine'" in found.verdict.text
    assert "add `kube: {deployment: inference-engine}` to the service in resurgam.yaml" in found.verdict.text
    own = about(owners(), find)
    assert "add `kube: {namespace: default, container: ktransformers}`" in own.verdict.text


def test_several_are_too_many() -> None:
    found = named("web", box().world().find)
    assert (found.id, found.verdict.reason) == ("", Reason.AMBIGUOUS_TARGET)
    assert "demo.web and other.web" in found.verdict.text


def test_a_hostile_name_finds_nobody_and_is_quoted() -> None:
    found = of({"name": "x\n#+/\"' {{ $labels.y }}"})
    assert found.verdict.reason is Reason.NO_TARGET
    assert "\n" not in found.verdict.text


def test_whose_incident_it_is() -> None:
    find = box(KUBE).world().find
    assert subject(alert(), find) == "demo.oracle"
    assert subject(alert(labels={"name": ""}), find) == "host"
    # it speaks of a container nobody has, but its action is aimed at one we know
    aim = named("demo.oracle", find)
    assert subject(alert(labels={"name": "", "container": "elsewhere"}), find, aim) == "demo.oracle"
    # it speaks of the host: what its action is aimed at does not make it that service's trouble
    assert subject(alert(labels={"name": ""}), find, aim) == "host"
    assert subject(alert(labels={"name": "nobody"}), find) == "host"
