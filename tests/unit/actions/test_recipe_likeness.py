"""The proof that a container was made again as it is: quiet about an engine's noise, loud about everything else."""

import copy

import pytest

from supervisor.actions.recipe import likeness
from supervisor.facts import Image
from supervisor.services import OP_LABEL
from supervisor.verdicts import Reason

ID, TWIN, OTHER = "c" * 64, "d" * 64, "e" * 64
OLD = Image(
    "sha256:old",
    config={
        "Env": ["PATH=/bin", "FOO=v1", "KEEP=same"],
        "Cmd": ["serve"],
        "Entrypoint": ["/entry"],
        "Labels": {"ver": "1"},
        "Healthcheck": {"Test": ["CMD", "check"], "Interval": 5},
        "ExposedPorts": {"80/tcp": {}},
        "WorkingDir": "/srv",
        "Volumes": {"/data": {}},
    },
)
NEW = Image(
    "sha256:new",
    config={
        "Env": ["PATH=/bin", "FOO=v2", "FRESH=1"],
        "Cmd": ["serve", "--new"],
        "Entrypoint": ["/entry2"],
        "Labels": {"ver": "2"},
        "Healthcheck": {"Test": ["CMD", "check2"], "Interval": 7},
        "WorkingDir": "/srv2",
        "Volumes": {"/cache": {}},
    },
)
BEFORE = {
    "Id": ID,
    "Name": "/oracle",
    "Image": OLD.id,
    "Config": {
        "Image": "local/oracle:1",
        "Hostname": ID[:12],
        "Env": ["MODEL=big", "PATH=/bin", "FOO=v1", "KEEP=same"],
        "Cmd": ["serve"],
        "Entrypoint": ["/entry"],
        "Labels": {"ver": "1", "mine": "1", "com.docker.compose.project": "ai", "com.docker.compose.image": OLD.id},
        "Healthcheck": {"Test": ["CMD", "check"], "Interval": 9},
        "ExposedPorts": {"80/tcp": {}, "8000/tcp": {}},
        "WorkingDir": "/srv",
        "User": "app",
        "Volumes": {"/data": {}},
        "StopTimeout": 30,
        "Tty": False,
        "OnBuild": None,
    },
    "HostConfig": {
        "Binds": ["/srv/models:/models:ro"],
        "NetworkMode": "lan",
        "PidMode": f"container:{OTHER}",
        "VolumesFrom": [OTHER],
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
        "PortBindings": {"8000/tcp": [{"HostIp": "", "HostPort": "8000"}]},
        "Links": ["/db:/oracle/database"],
        "Memory": 100,
        "Runtime": "runc",
        "CapAdd": None,
        "Future": {"a": 1},
        "ShmSize": 64,
        "CgroupnsMode": "",
    },
    "NetworkSettings": {
        "Networks": {
            "lan": {
                "IPAMConfig": {"IPv4Address": "10.0.0.9"},
                "Aliases": ["oracle", ID[:12]],
                "IPAddress": "10.0.0.9",
                "MacAddress": "02:42:0a:00:00:09",
                "EndpointID": "x",
            }
        }
    },
    "Mounts": [
        {"Type": "bind", "Source": "/srv/models", "Destination": "/models", "RW": False, "Mode": "ro"},
        {"Type": "volume", "Name": "a" * 64, "Destination": "/data", "RW": True, "Mode": ""},
    ],
    "State": {"Status": "running"},
}


def twin():
    """What an engine makes of a faithful recipe: with its own noise."""
    new = copy.deepcopy(BEFORE)
    new.update(Id=TWIN, Name="/oracle.resurgam-new-0a", Image=NEW.id, State={"Status": "created"})
    config, host = new["Config"], new["HostConfig"]
    config.update(
        Image=NEW.id,
        Hostname=TWIN[:12],
        Env=["MODEL=big", "PATH=/bin", "FOO=v2", "FRESH=1"],
        Cmd=["serve", "--new"],
        Entrypoint=["/entry2"],
        Healthcheck={"Test": ["CMD", "check2"], "Interval": 9},
        WorkingDir="/srv2",
        Volumes={"/cache": {}},
        ExposedPorts={"8000/tcp": {}},
    )
    config["Labels"] = {
        "ver": "2",
        "mine": "1",
        "com.docker.compose.project": "ai",
        "com.docker.compose.image": NEW.id,
        OP_LABEL: "0a",
    }
    host.update(
        Binds=["/srv/models:/models:ro", f"{'a' * 64}:/data"],
        PidMode="container:vpn",
        VolumesFrom=["vpn"],
        RestartPolicy={"Name": "no", "MaximumRetryCount": 0},
        Links=["/db:/oracle.resurgam-new-0a/database"],
        CapAdd=[],
        CgroupnsMode="private",
    )
    new["NetworkSettings"]["Networks"]["lan"].update(
        Aliases=["oracle", TWIN[:12]], IPAddress="", MacAddress="", EndpointID=""
    )
    new["Mounts"] += [{"Type": "volume", "Name": "f" * 64, "Destination": "/cache", "RW": True}]
    return new


def compared(new, **more):
    found = likeness.compare(BEFORE, new, OLD, NEW, names={OTHER: "vpn"}, **more)
    return [each.field for each in found]


def test_the_engines_noise_and_what_the_image_brings_are_no_difference() -> None:
    before = copy.deepcopy(BEFORE)
    assert compared(twin()) == []
    assert before == BEFORE


def put(path, value):
    def change(new):
        *folders, last = path
        for key in folders:
            new = new[key]
        if value is None:
            del new[last]
        else:
            new[last] = value

    return change


CONFIG, HOST, LAN = ("Config",), ("HostConfig",), ("NetworkSettings", "Networks", "lan")
WRONG = [
    ("Image", put(("Image",), "sha256:other")),
    ("Config.Env MODEL", put((*CONFIG, "Env"), ["PATH=/bin", "FOO=v2", "FRESH=1"])),
    ("Config.Env MODEL", put((*CONFIG, "Env"), ["MODEL=small", "PATH=/bin", "FOO=v2", "FRESH=1"])),
    ("Config.Env FOO", put((*CONFIG, "Env"), ["MODEL=big", "PATH=/bin", "FOO=v1", "FRESH=1"])),
    ("Config.Env STRANGE", put((*CONFIG, "Env"), ["MODEL=big", "PATH=/bin", "FOO=v2", "FRESH=1", "STRANGE=1"])),
    ("Config.Labels mine", put((*CONFIG, "Labels", "mine"), None)),
    ("Config.Labels com.docker.compose.project", put((*CONFIG, "Labels", "com.docker.compose.project"), "x")),
    ("Config.Cmd", put((*CONFIG, "Cmd"), ["serve"])),
    ("Config.Entrypoint", put((*CONFIG, "Entrypoint"), ["/entry"])),
    ("Config.WorkingDir", put((*CONFIG, "WorkingDir"), "/srv")),
    ("Config.User", put((*CONFIG, "User"), "")),
    ("Config.Healthcheck", put((*CONFIG, "Healthcheck"), {"Test": ["CMD", "check2"], "Interval": 7})),
    ("Config.StopTimeout", put((*CONFIG, "StopTimeout"), None)),
    ("Config.Tty", put((*CONFIG, "Tty"), True)),
    ("Config.Hostname", put((*CONFIG, "Hostname"), ID[:12])),
    ("Config.ExposedPorts", put((*CONFIG, "ExposedPorts"), {})),
    ("HostConfig.Binds", put((*HOST, "Binds"), [])),
    ("HostConfig.Memory", put((*HOST, "Memory"), 0)),
    ("HostConfig.Future", put((*HOST, "Future"), None)),
    ("HostConfig.ShmSize", put((*HOST, "ShmSize"), 1)),
    ("HostConfig.Runtime", put((*HOST, "Runtime"), "runsc")),
    ("HostConfig.PidMode", put((*HOST, "PidMode"), "")),
    ("HostConfig.NetworkMode", put((*HOST, "NetworkMode"), "other")),
    ("HostConfig.PortBindings", put((*HOST, "PortBindings"), {})),
    ("HostConfig.VolumesFrom", put((*HOST, "VolumesFrom"), [])),
    ("HostConfig.Links", put((*HOST, "Links"), [])),
    ("HostConfig.CapAdd", put((*HOST, "CapAdd"), ["ALL"])),
    ("mount /data", put(("Mounts", 1, "Name"), "b" * 64)),
    ("mount /data", put(("Mounts", 1), None)),
    ("mount /models", put(("Mounts", 0, "RW"), True)),
    ("mount /strange", put(("Mounts", 2, "Destination"), "/strange")),
    ("network lan", put(LAN, None)),
    ("network lan addresses", put((*LAN, "IPAMConfig"), {"IPv4Address": "10.0.0.8"})),
    ("network lan aliases", put((*LAN, "Aliases"), ["oracle", "stranger"])),
    ("network wan", put(("NetworkSettings", "Networks", "wan"), {})),
]


@pytest.mark.parametrize(("field", "change"), WRONG)
def test_whatever_is_not_alike_is_named(field: str, change) -> None:
    new = twin()
    change(new)
    assert field in compared(new)
    refused = likeness.verdict("oracle", likeness.compare(BEFORE, new, OLD, NEW, names={OTHER: "vpn"}))
    assert refused.reason is Reason.UNFAITHFUL
    assert field in refused.text
    assert "left alone" in refused.text


def test_what_this_engine_did_not_take_is_expected() -> None:
    new = twin()
    del new["HostConfig"]["Future"]
    assert compared(new, left_out=("HostConfig.Future",)) == []


def test_a_kept_variable_must_be_there() -> None:
    assert compared(twin(), keep_env=("FOO",)) == ["Config.Env FOO"]


def test_no_value_of_a_variable_is_said() -> None:
    new = twin()
    new["Config"]["Env"] = ["MODEL=hunter2"]
    said = likeness.verdict("oracle", likeness.compare(BEFORE, new, OLD, NEW, names={OTHER: "vpn"})).text
    assert "hunter2" not in said
    assert "big" not in said


def test_a_generated_mac_address_is_not_missed_and_a_pinned_one_is() -> None:
    old, new = copy.deepcopy(BEFORE), twin()
    old["Config"]["MacAddress"] = "02:42:0a:00:00:09"
    assert likeness.compare(old, new, OLD, NEW, names={OTHER: "vpn"}) == ()
    old["Config"]["MacAddress"] = "02:00:00:00:00:01"
    assert [each.field for each in likeness.compare(old, new, OLD, NEW, names={OTHER: "vpn"})] == ["Config.MacAddress"]


def test_what_a_document_asked_for_must_have_been_done() -> None:
    body = {
        "Env": ["MODEL=big"],
        "Labels": {"mine": "1"},
        "User": "app",
        "HostConfig": {"Memory": 100, "NetworkMode": "lan", "CapAdd": []},
        "NetworkingConfig": {"EndpointsConfig": {"lan": {}}},
    }
    assert likeness.honours(body, twin()) == ()
    body["HostConfig"]["Memory"] = 5
    body["Env"] = ["MODEL=small"]
    body["NetworkingConfig"]["EndpointsConfig"]["wan"] = {}
    fields = [each.field for each in likeness.honours(body, twin())]
    assert sorted(fields) == ["Config.Env MODEL", "HostConfig.Memory", "network wan"]
