"""Rights never grow, hardening is never lost: every kind is seen, and what is only spelled differently is not."""

import copy
import json

import pytest

from supervisor.actions.recipe import rights
from supervisor.facts import Image
from supervisor.verdicts import Reason

PLAIN = Image("sha256:a", config={"User": "app"})
ROOT = Image("sha256:b", config={})
HARD = {
    "CapDrop": ["NET_RAW"],
    "CapAdd": ["CHOWN"],
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges:true", "apparmor=mine"],
    "MaskedPaths": ["/proc/kcore", "/proc/keys"],
    "Memory": 100,
    "MemorySwap": 200,
    "PidsLimit": 50,
    "NanoCpus": 1,
    "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 10}],
    "OomScoreAdj": 100,
    "Binds": ["/srv:/srv:ro", "models:/models"],
    "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "r"}],
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]},
    "NetworkMode": "lan",
    "Sysctls": {"net.x": "1"},
    "Runtime": "runsc",
}


def raw(**host):
    """An inspect of a hardened container, with some things different."""
    changed = copy.deepcopy(HARD) | host
    return {
        "Config": {"User": "app"},
        "HostConfig": {key: value for key, value in changed.items() if value is not None},
    }


def fields(new, old=None, old_image=PLAIN, new_image=PLAIN, **more):
    return [change.field for change in rights.check(old or raw(), new, old_image, new_image, **more)]


WIDER = [
    ("Privileged", {"Privileged": True}),
    ("CapAdd", {"CapAdd": ["CHOWN", "CAP_SYS_ADMIN"]}),
    ("CapDrop", {"CapDrop": []}),
    ("Devices", {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rw"}]}),
    ("Devices", {"Devices": [{"PathOnHost": "/dev/b"}]}),
    ("DeviceRequests", {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}),
    ("DeviceCgroupRules", {"DeviceCgroupRules": ["a *:* rwm"]}),
    ("Binds", {"Binds": ["/srv:/srv", "models:/models"]}),
    ("Binds", {"Binds": ["/srv:/srv:ro", "models:/models", "/:/host:ro"]}),
    ("Binds", {"Mounts": [{"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/s"}]}),
    ("Binds", {"Mounts": [{"Type": "volume", "Source": "other", "Target": "/o"}]}),
    (
        "Binds",
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/srv",
                    "Target": "/x",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rshared"},
                }
            ]
        },
    ),
    (
        "Binds",
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/x",
                    "VolumeOptions": {"DriverConfig": {"Options": {"device": "/", "o": "bind"}}},
                }
            ]
        },
    ),
    ("VolumesFrom", {"VolumesFrom": ["vault"]}),
    ("NetworkMode", {"NetworkMode": "host"}),
    ("NetworkMode", {"NetworkMode": "container:vpn"}),
    ("PidMode", {"PidMode": "host"}),
    ("IpcMode", {"IpcMode": "container:x"}),
    ("UTSMode", {"UTSMode": "host"}),
    ("UsernsMode", {"UsernsMode": "host"}),
    ("SecurityOpt", {"SecurityOpt": ["apparmor=mine"]}),
    ("SecurityOpt", {"SecurityOpt": ["no-new-privileges", "apparmor=mine", "seccomp=unconfined"]}),
    ("SecurityOpt", {"SecurityOpt": ["no-new-privileges", "apparmor=mine", "label=disable"]}),
    ("SecurityOpt", {"SecurityOpt": ["no-new-privileges"]}),
    ("ReadonlyRootfs", {"ReadonlyRootfs": False}),
    ("MaskedPaths", {"MaskedPaths": []}),
    ("GroupAdd", {"GroupAdd": ["docker"]}),
    ("Sysctls", {"Sysctls": {"net.x": "2"}}),
    ("Sysctls", {"Sysctls": {}}),
    ("PortBindings", {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}}),
    ("PublishAllPorts", {"PublishAllPorts": True}),
    ("Memory", {"Memory": 0}),
    ("MemorySwap", {"MemorySwap": -1}),
    ("PidsLimit", {"PidsLimit": None}),
    ("NanoCpus", {"NanoCpus": 0}),
    ("Ulimits", {"Ulimits": []}),
    ("Ulimits", {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 99}]}),
    ("OomScoreAdj", {"OomScoreAdj": -500}),
    ("OomKillDisable", {"OomKillDisable": True}),
    ("CgroupParent", {"CgroupParent": "/other"}),
    ("Runtime", {"Runtime": "runc"}),
]


@pytest.mark.parametrize(("field", "host"), WIDER, ids=lambda value: value if isinstance(value, str) else None)
def test_every_growth_is_named(field: str, host: dict) -> None:
    assert fields(raw(**host)) == [field]
    body = {"User": "app", "HostConfig": raw(**host)["HostConfig"]}
    assert fields(body) == [field], "a create body is read the same way"


SAME = [
    {},
    {"CapAdd": ["CAP_CHOWN"], "CapDrop": ["cap_net_raw"]},
    {"CapAdd": [], "CapDrop": ["ALL"]},
    {"SecurityOpt": ["no-new-privileges", "apparmor:mine"]},
    {"Binds": ["/srv:/elsewhere:ro,z"], "Mounts": [{"Type": "volume", "Source": "models", "Target": "/m"}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/t"}, {"Type": "volume", "Target": "/anonymous"}]},
    {"Devices": []},
    {"PortBindings": {}},
    {"NetworkMode": "other"},
    {"IpcMode": "private", "PidMode": ""},
    {"Memory": 50, "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 5}], "OomScoreAdj": 500},
    {"MaskedPaths": ["/proc/kcore", "/proc/keys", "/more"]},
    {"Privileged": False, "GroupAdd": None},
]


@pytest.mark.parametrize("host", SAME)
def test_what_is_no_growth_is_not_called_one(host: dict) -> None:
    assert fields(raw(**host)) == []


def test_a_volume_that_the_engine_named_itself_is_nobody_elses() -> None:
    fresh = raw()
    fresh["Mounts"] = [{"Type": "volume", "Name": "a" * 64, "Destination": "/cache", "RW": True}]
    assert fields(fresh) == []
    old = raw()
    old["Mounts"] = [{"Type": "volume", "Name": "b" * 64, "Destination": "/data", "RW": True}]
    assert fields({"HostConfig": raw(Binds=[f"{'b' * 64}:/data"])["HostConfig"], "User": "app"}, old) == []
    assert fields({"HostConfig": raw(Binds=[f"{'c' * 64}:/data"])["HostConfig"], "User": "app"}, old) == ["Binds"]


def test_the_same_other_container_by_id_and_by_name_is_no_growth() -> None:
    old, names = raw(NetworkMode="container:" + "d" * 64, VolumesFrom=["d" * 64 + ":ro"]), {"d" * 64: "vpn"}
    assert fields(raw(NetworkMode="container:vpn", VolumesFrom=["vpn:ro"]), old, names=names) == []
    assert fields(raw(NetworkMode="container:vpn", VolumesFrom=["vpn"]), old, names=names) == ["VolumesFrom"]


def test_a_runtime_left_out_is_the_engines_default() -> None:
    body = {"User": "app", "HostConfig": raw(Runtime=None)["HostConfig"]}
    assert fields(body, default_runtime="runsc") == []
    assert fields(body, default_runtime="runc") == ["Runtime"]
    assert fields(body) == [], "where nobody knows the default, the inspect of what was made tells"


def test_an_image_that_runs_as_root_needs_a_yes_and_gets_through_with_one() -> None:
    body = {"HostConfig": raw()["HostConfig"]}
    changes = rights.check(raw(), body, PLAIN, ROOT)
    assert [change.field for change in changes] == ["User"]
    assert changes[0].by_image
    asked = rights.verdict(changes)
    assert not asked.ok
    assert "root" in asked.text
    assert rights.verdict(changes, approved="uid:0").ok
    assert fields(body, raw(), PLAIN, Image("c", config={"User": "0:0"})) == ["User"]
    assert fields(body, raw(), PLAIN, Image("c", config={"User": "1000"})) == []
    assert fields(raw(), {"Config": {}, "HostConfig": raw()["HostConfig"]}, ROOT, PLAIN) == []


def test_without_a_compose_file_no_yes_widens_anything() -> None:
    changes = rights.check(raw(), raw(Privileged=True), PLAIN, PLAIN)
    for approved in ("", "uid:0"):
        refused = rights.verdict(changes, approved=approved)
        assert refused.reason is Reason.WIDENS
        assert "privileged" in refused.text
    assert not rights.verdict(changes, document=True).ok
    assert rights.verdict(changes, approved="uid:0", document=True).ok
    assert rights.verdict(()).ok


def test_a_whole_seccomp_profile_is_compared_but_not_shown() -> None:
    profile = "seccomp=" + json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": ["x" * 500]})
    old = raw(SecurityOpt=[profile])
    assert fields(raw(SecurityOpt=[profile]), old) == []
    (lost,) = rights.check(old, raw(SecurityOpt=[]), PLAIN, PLAIN)
    assert lost.field == "SecurityOpt"
    assert len(lost.sentence) < 120


def test_a_limit_of_swap_that_a_body_leaves_out_is_the_engines_to_make() -> None:
    body = {"User": "app", "HostConfig": raw(MemorySwap=None)["HostConfig"]}
    assert fields(body) == []


def test_an_image_that_names_more_ports_opens_them_where_all_are_published():
    wide = {"User": "app", "ExposedPorts": {"80/tcp": {}, "22/tcp": {}}}
    old, new = Image("sha256:a", config={"User": "app", "ExposedPorts": {"80/tcp": {}}}), Image("sha256:b", config=wide)
    found = rights.check(raw(PublishAllPorts=True), raw(PublishAllPorts=True), old, new)
    assert [(change.field, change.by_image) for change in found] == [("ExposedPorts", True)]
    assert "22/tcp" in found[0].sentence
    assert rights.check(raw(), raw(), old, new) == ()
    assert rights.check(raw(PublishAllPorts=True), raw(PublishAllPorts=True), new, new) == ()
    moved = Image("sha256:c", config={"User": "app", "ExposedPorts": {"81/tcp": {}}})
    assert rights.check(raw(PublishAllPorts=True), raw(PublishAllPorts=True), old, moved) == ()
