"""From a resolved service to a create body, and what it changes, in words."""

from typing import Any

import pytest

from supervisor.actions.compose import body, difference
from supervisor.actions.compose.body import Place
from supervisor.actions.compose.difference import Pair
from supervisor.actions.compose.model import Spec, from_document
from supervisor.facts import Image, Json
from supervisor.verdicts import Reason

ANON = "a" * 64
OLD = Image(
    "sha256:old", config={"Env": ["PATH=/bin"], "Cmd": ["serve"], "Volumes": {"/var/lib": {}}, "Labels": {"v": "1"}}
)
NEW = Image("sha256:new", config={"Env": ["PATH=/bin"], "Cmd": ["serve"], "Volumes": {"/var/lib": {}, "/cache": {}}})


def raw(**host: Any) -> Json:
    """A container of box.web, as compose made it."""
    labels = {
        "com.docker.compose.project": "box",
        "com.docker.compose.service": "web",
        "com.docker.compose.config-hash": "0" * 64,
        "com.docker.compose.image": "sha256:old",
        "com.docker.compose.replace": "x",
        "v": "1",
    }
    config = {
        "Env": ["PATH=/bin", "LOG=info"],
        "Cmd": ["serve"],
        "Labels": labels,
        "Hostname": "0123456789ab",
        "Image": "i",
    }
    return {
        "Id": "0123456789ab" + "0" * 52,
        "Name": "/box_web_1",
        "Image": "sha256:old",
        "Config": config,
        "HostConfig": {
            "NetworkMode": "box_default",
            "Binds": ["box_data:/data:rw"],
            "ShmSize": 64 << 20,
            "IpcMode": "private",
            "CgroupnsMode": "host",
            "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {}},
            "Runtime": "runc",
            "MaskedPaths": ["/proc/kcore"],
            **host,
        },
        "Mounts": [
            {"Type": "volume", "Name": "box_data", "Destination": "/data", "RW": True},
            {"Type": "volume", "Name": ANON, "Destination": "/var/lib", "RW": True},
        ],
        "NetworkSettings": {"Networks": {"box_default": {"Aliases": ["web", "0123456789ab"], "IPAMConfig": None}}},
    }


def spec(**keys: Any) -> Spec:
    """What the file says: as `raw`, unless told otherwise."""
    config = {"Env": ["LOG=info"], **keys.pop("config", {})}
    plain = {
        "service": "web",
        "image": "i",
        "mounts": [{"type": "volume", "source": "data", "target": "/data", "mode": "rw"}],
        "networks": [{"key": "default"}],
        **keys,
    }
    return from_document({**plain, "config": config})


def place(found: Json | None = None) -> Place:
    return Place(found or raw(), {"f" * 64: "box_vpn_1"}, {"web": "box_web_1", "vpn": "box_vpn_1"})


def made(wanted: Spec, found: Json | None = None, new: Image = OLD) -> Json:
    return body.successor_from(wanted, place(found), OLD, new, op="ab12", ref="i").body


def said(wanted: Spec, found: Json | None = None, new: Image = OLD) -> list[tuple[str, bool]]:
    before = found or raw()
    pair = Pair(before, made(wanted, before, new), OLD, new, place().names)
    return [(one.text, one.widens) for one in difference.differences(pair)]


def test_a_file_that_says_what_is_there_changes_nothing() -> None:
    assert said(spec()) == []


def test_labels_of_compose_stay_and_are_brought_up_to_date() -> None:
    wanted = spec(config={"Labels": {"team": "a", "resurgam.role": "parked"}}, config_hash="b" * 64)
    labels = made(wanted, new=NEW)["Labels"]
    assert labels["com.docker.compose.config-hash"] == "b" * 64
    assert labels["com.docker.compose.image"] == "sha256:new"
    assert "com.docker.compose.replace" not in labels
    assert (labels["team"], labels["resurgam.op"], labels["resurgam.ref"]) == ("a", "ab12", "i")
    assert "resurgam.role" not in labels
    assert "v" not in labels  # the old image's
    assert made(spec())["Labels"]["com.docker.compose.config-hash"] == "0" * 64


def test_networks_and_volumes_are_named_after_the_project_and_the_primary_goes_first() -> None:
    wanted = spec(
        networks=[
            {"key": "a", "aliases": ["x"]},
            {"key": "outer", "real": True, "external": True, "priority": 5, "ipv4": "10.0.0.9"},
        ]
    )
    given = made(wanted)
    endpoints = given["NetworkingConfig"]["EndpointsConfig"]
    assert list(endpoints) == ["outer", "box_a"]
    assert given["HostConfig"]["NetworkMode"] == "outer"
    assert endpoints["box_a"] == {"Aliases": ["web", "x"]}
    assert endpoints["outer"]["IPAMConfig"] == {"IPv4Address": "10.0.0.9"}


def test_anonymous_volumes_come_along_by_name_and_named_ones_only_if_the_file_says_so() -> None:
    recipe = body.successor_from(spec(mounts=[]), place(), OLD, NEW, op="ab", ref="")
    assert recipe.body["HostConfig"]["Binds"] == [f"{ANON}:/var/lib"]
    assert recipe.body["Volumes"] == {"/cache": {}}
    assert any("/data now does not come along" in note for note in recipe.notes)


def test_namespaces_of_other_services_are_found_by_the_name_of_their_container() -> None:
    given = made(spec(networks=[], host={"NetworkMode": "service:vpn"}, config={"ExposedPorts": {"80/tcp": {}}}))
    assert given["HostConfig"]["NetworkMode"] == "container:box_vpn_1"
    assert "NetworkingConfig" not in given
    assert "ExposedPorts" not in given


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (spec(service="api"), Reason.BAD_PARAMETER),
        (spec(project="other"), Reason.BAD_PARAMETER),
        (spec(container_name="web"), Reason.UNSUPPORTED),
        (spec(networks=[], host={"NetworkMode": "service:gone"}), Reason.VANISHED),
    ],
)
def test_a_document_that_is_not_for_this_container_is_refused(wanted: Spec, reason: Reason) -> None:
    refused = body.misplaced(wanted, place())
    assert refused is not None
    assert refused.reason is reason


def test_the_file_may_not_take_away_the_label_by_which_we_know_it() -> None:
    before = raw()
    before["Config"]["Labels"]["resurgam.enable"] = "true"
    assert body.misplaced(spec(), place(before)) is not None
    assert body.misplaced(spec(config={"Labels": {"resurgam.enable": "true"}}), place(before)) is None


def test_inline_files() -> None:
    wanted = spec(files=[{"path": "/run/secrets/k", "text": "é", "mode": 0o400, "uid": 7}])
    assert body.files(wanted) == (("/run/secrets/k", "é".encode(), 0o400, 7, 0),)


def test_what_changes_is_told_in_words_with_secrets_masked() -> None:
    wanted = spec(
        config={"Env": ["LOG=debug", "DB_PASSWORD=hunter2", "EMPTY="], "Cmd": ["serve", "-v"], "Hostname": "h"},
        host={"Memory": 64 << 20, "RestartPolicy": {"Name": "always"}},
        mounts=[],
    )
    told = said(wanted, new=NEW)
    texts = [text for text, _widens in told]
    assert "image: old → new." in texts
    assert "environment: + DB_PASSWORD=***, + EMPTY, LOG: info → debug." in texts
    assert "command: serve → serve -v." in texts
    assert "host name: none → h." in texts or "host name: 0123456789ab → h." in texts
    assert "mounts: + /cache=a new volume, − /data." in texts
    assert f"Memory: none → {64 << 20}." in texts
    assert "RestartPolicy: no → always." in texts
    assert not any(widens for _text, widens in told)
    assert "hunter2" not in str(told)


def test_a_changed_secret_is_seen_though_it_is_not_shown() -> None:
    before = raw()
    before["Config"]["Env"] = ["PATH=/bin", "LOG=info", "API_TOKEN=one"]
    told = said(spec(config={"Env": ["LOG=info", "API_TOKEN=two"]}), before)
    assert told == [("environment: API_TOKEN changes.", False)]


@pytest.mark.parametrize(
    ("keys", "before", "says"),
    [
        ({"host": {"Privileged": True}}, {}, "privileged"),
        ({"host": {"CapAdd": ["SYS_ADMIN"]}}, {}, "SYS_ADMIN"),
        ({}, {"CapDrop": ["ALL"]}, "ALL"),
        ({}, {"ReadonlyRootfs": True}, "writable"),
        ({}, {"SecurityOpt": ["no-new-privileges:true"]}, "no-new-privileges"),
        ({"host": {"PidMode": "host"}}, {}, "processes"),
        ({"networks": [], "host": {"NetworkMode": "host"}}, {}, "network"),
        ({"host": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}, {}, "publish"),
        ({"networks": [{"key": "default"}, {"key": "admin", "real": True}]}, {}, "reach the network admin"),
        ({"host": {"Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg"}]}}, {}, "/dev/kmsg"),
        ({"mounts": [{"type": "bind", "source": "/etc", "target": "/x", "mode": "ro"}]}, {}, "/etc"),
        ({"config": {"User": "0"}}, {}, ""),
    ],
)
def test_what_widens_rights_is_marked(keys: Json, before: Json, says: str) -> None:
    told = said(spec(**keys), raw(**before))
    wide = [text for text, widens in told if widens]
    if says:
        assert any(says in text for text in wide), told
    else:
        assert not wide


def test_a_document_from_outside_has_exactly_this_shape() -> None:
    for bad in ({}, {"service": 1}, {"service": "w", "extra": 1}, {"service": "w", "host": {"Binds": ["/:/x"]}}):
        with pytest.raises(ValueError, match="the compose document cannot be read"):
            from_document(bad)


def test_what_widens_is_told_whole_however_much_else_is_said() -> None:
    wanted = spec(
        config={"Env": [f"{'A' * 900}{n}={'x' * 900}" for n in range(20)], "Labels": {"a": "y" * 9_000}},
        host={"CapAdd": ["NET_RAW", "SYS_PTRACE"], "PidMode": "host", "Privileged": True, "IpcMode": "host"},
        mounts=[
            {"type": "bind", "source": "/" + "e" * 400, "target": "/a"},
            {"type": "bind", "source": "/", "target": "/b"},
        ],
    )
    body = made(wanted)
    found = difference.widens(difference.differences(difference.Pair(raw(), body, OLD, OLD)))
    said = difference.sentence(found)
    for words in (
        "privileged",
        "NET_RAW",
        "SYS_PTRACE",
        "/" + "e" * 400,
        "the host's processes",
        "It would see /,",
        "the host's shared memory",
    ):
        assert words in said, words
    assert "more" not in said
    assert not difference.too_much(said)
    assert "nobody can be asked" in difference.too_much("x" * 3001)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"host": {"NetworkMode": "bridge"}, "networks": []}, "would reach the network bridge"),
        ({"host": {"GroupAdd": ["123", "docker"]}}, "would join the group 123, docker"),
        ({"config": {"User": "1000:999"}}, "with the group 999"),
        ({"host": {"DeviceCgroupRules": ["a 1:1 r", "b 8:0 rwm"]}}, "b 8:0 rwm"),
    ],
)
def test_nothing_that_widens_hides_behind_something_harmless(keys: Json, says: str) -> None:
    found = raw()
    found["Config"]["User"] = "1000"
    body = made(spec(**{"config": {"User": "1000"}, **keys}), found)
    assert says in difference.sentence(difference.widens(difference.differences(Pair(found, body, OLD, OLD))))


def test_no_file_makes_a_container_pass_for_another_service() -> None:
    wrong = body.misplaced(spec(config={"Labels": {"resurgam.service": "db"}}), place())
    assert wrong is not None
    assert wrong.reason is Reason.UNSUPPORTED
