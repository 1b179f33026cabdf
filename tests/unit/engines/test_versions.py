"""One create body for engines from API 1.41 to 1.52 and later: what each takes, meaning the same."""

import copy

import pytest

from supervisor.engines.docker import versions

TWO = {"aaa": {"Aliases": ["x"]}, "lan": {"Aliases": ["y"]}}


def spec(endpoints=None, host=None, **more):
    return {
        "Image": "i",
        "HostConfig": {"NetworkMode": "lan", **(host or {})},
        "NetworkingConfig": {"EndpointsConfig": TWO if endpoints is None else endpoints},
        **more,
    }


@pytest.mark.parametrize("api", ["1.41", "1.42", "1.43"])
def test_only_the_primary_network_is_in_an_older_engines_create(api):
    given = spec()
    before = copy.deepcopy(given)
    body, later = versions.fit(given, api)
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"lan": {"Aliases": ["y"]}}}
    assert later == {"aaa": {"Aliases": ["x"]}}
    assert given == before


@pytest.mark.parametrize("api", ["1.44", "1.45", "1.48", "1.51", "1.52", "1.56"])
def test_a_later_engine_gets_all_networks_at_once(api):
    assert versions.fit(spec(), api) == (spec(), {})


def test_an_engine_whose_version_is_not_known_is_treated_like_the_oldest():
    assert versions.fit(spec(), "") == versions.fit(spec(), versions.OLDEST)


@pytest.mark.parametrize(
    ("mode", "networks", "wanted"),
    [
        ("default", ["aaa", "bridge"], "bridge"),
        ("", ["aaa", "bridge"], "bridge"),
        ("lan", ["aaa", "lan"], "lan"),
        ("lan", ["zzz", "aaa"], "zzz"),
        ("container:x", [], "container:x"),
    ],
)
def test_the_primary_network_is_the_one_of_the_network_mode(mode, networks, wanted):
    assert versions.primary({"NetworkMode": mode}, networks) == wanted


@pytest.mark.parametrize(("api", "kept"), [("1.41", False), ("1.43", False), ("1.44", True), ("1.52", True)])
def test_a_start_interval_is_for_those_who_know_it(api, kept):
    body, _ = versions.fit(spec(Healthcheck={"Test": ["CMD", "x"], "StartInterval": 5}), api)
    assert ("StartInterval" in body["Healthcheck"]) is kept
    assert body["Healthcheck"]["Test"] == ["CMD", "x"]


@pytest.mark.parametrize(("api", "kept"), [("1.41", False), ("1.47", False), ("1.48", True), ("1.52", True)])
def test_a_gateway_priority_is_for_those_who_know_it(api, kept):
    body, _ = versions.fit(spec({"lan": {"GwPriority": 7}}), api)
    assert ("GwPriority" in body["NetworkingConfig"]["EndpointsConfig"]["lan"]) is kept


MAC = "02:00:00:aa:bb:cc"


@pytest.mark.parametrize("api", ["1.44", "1.51", "1.52"])
def test_a_mac_of_the_container_goes_to_its_endpoint_from_144_on(api):
    body, _ = versions.fit(spec(MacAddress=MAC), api)
    assert "MacAddress" not in body
    assert body["NetworkingConfig"]["EndpointsConfig"]["lan"]["MacAddress"] == MAC
    assert "MacAddress" not in body["NetworkingConfig"]["EndpointsConfig"]["aaa"]


def test_a_mac_without_any_endpoint_makes_one():
    body, later = versions.fit({"Image": "i", "MacAddress": MAC, "HostConfig": {"NetworkMode": "lan"}}, "1.52")
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"lan": {"MacAddress": MAC}}}
    assert later == {}
    body, _ = versions.fit({"Image": "i", "MacAddress": MAC, "HostConfig": {"NetworkMode": "container:x"}}, "1.52")
    assert "NetworkingConfig" not in body


@pytest.mark.parametrize("api", ["1.41", "1.43"])
def test_a_mac_of_an_endpoint_goes_to_the_container_before_144(api):
    body, later = versions.fit(spec({"lan": {"MacAddress": MAC}, "aaa": {"MacAddress": "02:00:00:00:00:01"}}), api)
    assert body["MacAddress"] == MAC
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"lan": {}}
    assert later == {"aaa": {}}
    body, _ = versions.fit(spec(MacAddress=MAC), api)
    assert body["MacAddress"] == MAC


def test_what_an_endpoint_shows_is_not_asked_for():
    shown = {
        "IPAMConfig": {"IPv4Address": "10.0.0.9"},
        "Aliases": ["db"],
        "Links": None,
        "IPAddress": "10.0.0.9",
        "Gateway": "10.0.0.1",
        "EndpointID": "e",
        "NetworkID": "n",
        "DNSNames": ["db"],
        "IPPrefixLen": 24,
        "DriverOpts": None,
    }
    body, _ = versions.fit(spec({"lan": shown}), "1.52")
    wanted = {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["db"]}
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"lan": wanted}


@pytest.mark.parametrize("network", ["bridge", "host", "none"])
def test_aliases_only_go_to_networks_of_ones_own(network):
    given = spec({network: {"Aliases": ["0123456789ab"], "IPAMConfig": {}}}, {"NetworkMode": network})
    body, _ = versions.fit(given, "1.44")
    assert body["NetworkingConfig"]["EndpointsConfig"] == {network: {}}


def test_fields_that_say_nothing_are_left_out_and_real_ones_stay():
    nothing = {"KernelMemory": 0, "KernelMemoryTCP": 0, "OomKillDisable": False, "MemorySwappiness": -1}
    body, _ = versions.fit(spec(host=nothing | {"NanoCpus": 0}), "1.52")
    assert body["HostConfig"] == {"NetworkMode": "lan", "NanoCpus": 0}
    meant = {"KernelMemory": 4096, "OomKillDisable": True, "MemorySwappiness": 0, "Annotations": {"a": "b"}}
    assert versions.fit(spec(host=meant), "1.43")[0]["HostConfig"] == {"NetworkMode": "lan", **meant}


@pytest.mark.parametrize(("api", "kept"), [("1.42", False), ("1.43", True)])
def test_annotations_are_for_those_who_know_them(api, kept):
    body, _ = versions.fit(spec(host={"Annotations": {"a": "b"}}), api)
    assert ("Annotations" in body["HostConfig"]) is kept


def test_a_newer_engine_is_asked_to_speak_what_we_know():
    assert versions.spoken("1.56") == "1.52"
    assert versions.spoken("1.9") == "1.9"
    assert versions.spoken("1.41") == "1.41"
