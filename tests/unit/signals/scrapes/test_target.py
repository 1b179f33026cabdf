"""What is scraped, and under which names."""

from dataclasses import replace

import pytest

from supervisor.config.needs import needs_from
from supervisor.config.settings import ScrapeSettings
from supervisor.facts import Container, Needs, Service
from supervisor.signals.scrapes.target import listed, of_services
from supervisor.verdicts import yes

BOX = Container(
    "id",
    "box-oracle-1",
    "sha256:1",
    "img",
    {"com.docker.compose.project": "box", "com.docker.compose.service": "oracle"},
    status="running",
    address="172.18.0.4",
)


def service(metrics: str, *, label: bool = False, **container: object) -> Service:
    box = replace(BOX, **container)  # type: ignore[arg-type]
    return Service("box.oracle", "docker", box, yes(), Needs(metrics=metrics, metrics_from_label=label))


def test_a_service_goes_under_its_own_names_and_keeps_them_when_it_is_recreated() -> None:
    (target,) = of_services([service("http://:8000/metrics?x=1")])
    assert target.url == "http://172.18.0.4:8000/metrics?x=1"
    assert target.own == {
        "name": "box-oracle-1",
        "container_label_com_docker_compose_project": "box",
        "container_label_com_docker_compose_service": "oracle",
        "job": "box.oracle",
        "instance": "box-oracle-1:8000",
    }
    (again,) = of_services([service("http://:8000/metrics?x=1", id="other", address="172.18.0.9")])
    assert (again.collector, again.own) == (target.collector, target.own)
    assert again.url == "http://172.18.0.9:8000/metrics?x=1"


def test_the_usual_path_where_none_is_said() -> None:
    (target,) = of_services([service("http://:8000")])
    assert target.url == "http://172.18.0.4:8000/metrics"
    (one,) = listed([ScrapeSettings(job="a", url="http://127.0.0.1:9100")])
    assert one.url == "http://127.0.0.1:9100/metrics"


@pytest.mark.parametrize("status", ["created", "exited", "restarting", "paused", "dead"])
def test_only_what_runs_is_asked(status: str) -> None:
    assert of_services([service("http://:8000", status=status), replace(service("http://:1"), container=None)]) == ()


def test_a_label_reaches_its_own_container_only() -> None:
    for url in ("http://10.0.0.1:80/", "http://172.18.0.5:8000/metrics", "http://localhost:9464/metrics"):
        (target,) = of_services([service(url, label=True)])
        assert "may only be its own container's" in target.cannot
        assert not target.url
    (own,) = of_services([service("http://172.18.0.4:8000/metrics", label=True)])
    assert own.url == "http://172.18.0.4:8000/metrics"
    (host,) = of_services([service("http://localhost:9400/metrics", label=True, address="127.0.0.1")])
    assert not host.cannot
    (listed_elsewhere,) = of_services([service("http://10.0.0.1:9400/metrics")])
    assert listed_elsewhere.url == "http://10.0.0.1:9400/metrics"


def test_a_label_with_a_host_is_refused_where_it_is_read() -> None:
    assert needs_from({"resurgam.metrics": "http://10.0.0.1:80/metrics"})[0].metrics == ""
    needs, _mistakes = needs_from({"resurgam.metrics": "http://:80/metrics"})
    assert (needs.metrics, needs.metrics_from_label) == ("http://:80/metrics", True)


@pytest.mark.parametrize("url", ["ftp://:80/x", "http://u:p@:80/x", "http://[::1/x", "tcp://:80", "http://:80/\n"])
def test_what_is_no_address_is_told(url: str) -> None:
    (target,) = of_services([service(url)])
    assert target.cannot
    assert not target.url


def test_a_container_without_an_address_is_told() -> None:
    (target,) = of_services([service("http://:8000", address="")])
    assert "has no address" in target.cannot


def test_an_ipv6_address_has_its_brackets() -> None:
    (target,) = of_services([service("http://:8000/metrics", address="fd00::4")])
    assert target.url == "http://[fd00::4]:8000/metrics"


def test_listed_targets_have_their_own_labels_and_a_collector_each() -> None:
    one = ScrapeSettings(job="node", url="https://box.lan/metrics", labels={"site": "attic"})
    two = ScrapeSettings(job="bb", url="http://127.0.0.1:9115/probe?target=a", labels={"instance": "a"})
    three = ScrapeSettings(job="bb", url="http://127.0.0.1:9115/probe?target=b")
    four = ScrapeSettings(job="bb", url="http://127.0.0.1:9115/probe?target=c")
    found = listed([one, two, three, four])
    assert [target.own for target in found] == [
        {"job": "node", "instance": "box.lan:443", "site": "attic"},
        {"job": "bb", "instance": "a"},
        {"job": "bb", "instance": "127.0.0.1:9115"},
        {"job": "bb", "instance": "127.0.0.1:9115"},
    ]
    assert len({target.collector for target in found}) == 4
    assert found[0].collector == "scrape:node:box.lan:443"
