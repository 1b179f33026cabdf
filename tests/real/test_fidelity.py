"""Containers of many shapes, made again on the real engine: everything a person asked for is there, nothing the old
image brought is frozen, and the proof (likeness, rights) is quiet about what the engine makes by itself."""

import copy
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator

import pytest

from supervisor.actions import recipe
from supervisor.actions.recipe import injected, likeness, rights
from tests.support.daemon import GOOD, OURS, Daemon, Nursery, hands, until
from tests.support.remade import NET, PREFIX, SERVE, Box

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = Box()
    try:
        yield made
    finally:
        made.close()


SHAPES = {
    "as the image says": {},
    "environment": {"Env": ["FOO=mine", "MODEL=big", "EMPTY=", "EQ=a=b"]},
    "command": {"Cmd": [*SERVE, "x"]},
    "entrypoint": {"Entrypoint": ["sh", "-c"], "Cmd": ["sleep 3600"]},
    "entrypoint alone": {"Entrypoint": SERVE},
    "labels": {"Labels": {"mine": "1", "ver": "1", "com.docker.compose.project": "p", "lab": "two"}},
    "health": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 9 * 10**9, "Retries": 7}},
    "health of its own interval": {"Healthcheck": {"Interval": 7 * 10**9}},
    "no health": {"Healthcheck": {"Test": ["NONE"]}},
    "user and folder": {"User": "1000:1000", "WorkingDir": "/etc", "StopSignal": "SIGQUIT"},
    "host name": {"Hostname": "oracle", "Domainname": "lan"},
    "terminal": {"Tty": True, "OpenStdin": True},
    "ports": {
        "ExposedPorts": {"8000/tcp": {}, "9/udp": {}},
        "HostConfig": {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28471"}]}},
    },
    "random port": {"ExposedPorts": {"8000/tcp": {}}, "HostConfig": {"PortBindings": {"8000/tcp": [{"HostPort": ""}]}}},
    "all ports": {"HostConfig": {"PublishAllPorts": True}},
    "binds": {"HostConfig": {"Binds": ["/etc:/host:ro", f"{PREFIX}-vol:/named", "/tmp:/shared:rw,rprivate"]}},
    "mounts": {
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": "/etc", "Target": "/m", "ReadOnly": True},
                {"Type": "volume", "Source": f"{PREFIX}-vol", "Target": "/v", "VolumeOptions": {"NoCopy": True}},
                {"Type": "volume", "Target": "/anonymous"},
                {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20}},
            ]
        }
    },
    "anonymous volume": {"Volumes": {"/extra": {}}},
    "tmpfs": {"HostConfig": {"Tmpfs": {"/scratch": "size=1m"}}},
    "limits": {
        "HostConfig": {
            "Memory": 1 << 26,
            "MemoryReservation": 1 << 25,
            "NanoCpus": 500_000_000,
            "PidsLimit": 50,
            "CpuShares": 512,
            "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}],
            "OomScoreAdj": 200,
            "ShmSize": 1 << 24,
        }
    },
    "hardened": {
        "HostConfig": {
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_BIND_SERVICE"],
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges"],
            "GroupAdd": ["10"],
            "Init": True,
        }
    },
    "privileged": {"HostConfig": {"Privileged": True}},
    "unconfined": {"HostConfig": {"SecurityOpt": ["seccomp=unconfined"], "MaskedPaths": [], "ReadonlyPaths": []}},
    "devices": {
        "HostConfig": {
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}],
            "DeviceCgroupRules": ["c 1:3 mr"],
        }
    },
    "namespaces of the host": {"HostConfig": {"PidMode": "host", "IpcMode": "host", "UTSMode": "host"}},
    "host network": {"HostConfig": {"NetworkMode": "host"}},
    "no network": {"HostConfig": {"NetworkMode": "none"}},
    "kernel": {
        "HostConfig": {
            "Sysctls": {"net.ipv4.ip_forward": "1"},
            "ExtraHosts": ["db:10.0.0.1"],
            "Dns": ["10.0.0.2"],
            "DnsSearch": ["lan"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        }
    },
    "restart policy": {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}},
    "runtime said": {"HostConfig": {"Runtime": "runc"}},
    "address and mac": {"MacAddress": "02:00:00:00:00:77"},
}
"""what is asked for on top of the image's defaults"""
RUN = ["as the image says", "random port", "mounts", "address and mac"]
if os.environ.get("RESURGAM_SOAK"):
    RUN += ["all ports", "anonymous volume", "host network", "namespaces of the host", "limits", "hardened"]
"""one of each kind whose inspect changes once it runs (ports, volumes, addresses), in a soak their like: started. The
others are not, to save time"""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_container_of_any_shape_is_made_again_as_it_is(box: Box, shape: str) -> None:
    raw = box.make(f"shape{list(SHAPES).index(shape)}", copy.deepcopy(SHAPES[shape]), start=shape in RUN)
    twins = []
    try:
        for ref in (f"{PREFIX}/app:2", *((f"{PREFIX}/app:1",) if shape in RUN else ())):
            made, twin = box.again(raw, ref)
            twins.append(twin["Id"])
            old, new = box.image(raw["Image"]), box.image(ref)
            assert likeness.compare(raw, twin, old, new) == ()
            assert rights.check(raw, made.body, old, new, default_runtime=box.info.default_runtime) == ()
            assert rights.check(raw, twin, old, new) == ()
            kinds = {trait.kind for trait in recipe.report.fidelity(raw, made.body, old, new)}
            assert kinds <= {"kept", "image", "changed", "lost", "ambiguous"}
            box.remove(twins.pop())
    finally:
        box.remove(raw["Id"], *twins)


def test_networks_addresses_and_aliases_come_along_and_dead_names_do_not(box: Box) -> None:
    address = {"NetworkingConfig": {"EndpointsConfig": {box.net: {"IPAMConfig": {"IPv4Address": f"{NET}.77.50"}}}}}
    address["NetworkingConfig"]["EndpointsConfig"][box.net]["Aliases"] = ["oracle"]
    raw = box.make("nets", address, join=[(box.other, {"aliases": ["second"], "ipv4_address": f"{NET}.78.60"})])
    made, twin = box.again(raw, f"{PREFIX}/app:2")
    joined = made.body["NetworkingConfig"]["EndpointsConfig"]
    assert list(joined) == [box.net, box.other], "the first one decides the default route"
    assert raw["Id"][:12] not in str(joined), "a dead id is no name"
    assert set(twin["NetworkSettings"]["Networks"]) == {box.net, box.other}
    assert likeness.compare(raw, twin, box.image(raw["Image"]), box.image(f"{PREFIX}/app:2")) == ()
    box.do(box.engine.stop(raw["Id"], 1))
    box.do(box.engine.start(twin["Id"]))
    seen = box.do(box.engine.raw(twin["Id"]))["NetworkSettings"]["Networks"]
    assert [seen[name]["IPAddress"] for name in (box.net, box.other)] == [f"{NET}.77.50", f"{NET}.78.60"]
    assert {"oracle"} <= set(seen[box.net]["Aliases"])
    box.remove(raw["Id"], twin["Id"])


def test_a_shared_namespace_goes_by_name_and_outlives_the_others_id(box: Box) -> None:
    parent = box.make("vpn", {"HostConfig": {"IpcMode": "shareable"}})
    name = f"container:{PREFIX}-vpn"
    host = {"NetworkMode": name, "PidMode": name, "IpcMode": name, "VolumesFrom": [f"{PREFIX}-vpn"]}
    child = box.make("child", {"HostConfig": host})
    names = {parent["Id"]: f"{PREFIX}-vpn"}
    made, twin = box.again(child, f"{PREFIX}/app:2", names=names)
    kept = made.body["HostConfig"]
    assert [kept[key] for key in ("NetworkMode", "PidMode", "IpcMode")] == [name] * 3
    assert made.body["Hostname"] == ""
    old, new = box.image(child["Image"]), box.image(f"{PREFIX}/app:2")
    assert likeness.compare(child, twin, old, new, names=names) == ()
    assert rights.check(child, twin, old, new, names=names) == ()
    box.remove(child["Id"], twin["Id"], parent["Id"])


def test_what_the_old_image_brought_is_not_frozen_and_what_a_person_said_stays(box: Box) -> None:
    raw = box.make("trap", {"Env": ["MODEL=big"], "Labels": {"mine": "1"}}, start=False)
    _made, twin = box.again(raw, f"{PREFIX}/app:2", keep_env=("KEEP",))
    env, labels = set(twin["Config"]["Env"]), twin["Config"]["Labels"]
    assert {"MODEL=big", "FOO=v2", "FRESH=1", "KEEP=same", "CUDA_VERSION=12.4"} <= env
    assert not env & {"FOO=v1", "CUDA_VERSION=12.1"}
    assert (labels["ver"], labels["mine"]) == ("2", "1")
    assert not {"lab", "resurgam.enable"} & set(labels)
    assert twin["Config"]["WorkingDir"] == "/tmp"
    assert twin["Config"]["Hostname"] == twin["Id"][:12]
    assert twin["Config"]["Healthcheck"]["Interval"] == 20 * 10**9
    box.remove(raw["Id"], twin["Id"])


def test_a_command_of_ones_own_is_not_mixed_with_the_new_images_entrypoint(box: Box) -> None:
    raw = box.make("entry", {"Image": f"{PREFIX}/bare:1", "Entrypoint": [""], "Cmd": ["sleep", "77"]}, start=False)
    assert not raw["Config"]["Entrypoint"], "somebody took the image's entrypoint away"
    _made, twin = box.again(raw, f"{PREFIX}/bare:1")
    assert not twin["Config"]["Entrypoint"]
    assert twin["Config"]["Cmd"] == ["sleep", "77"]
    box.remove(raw["Id"], twin["Id"])


def test_the_data_of_an_anonymous_volume_is_the_same_data(box: Box) -> None:
    raw = box.make("anon", {"Cmd": ["sh", "-c", "echo precious > /anon/file; sleep 3600"]})
    _made, twin = box.again(raw, f"{PREFIX}/app:2")
    names = [{m["Destination"]: m["Name"] for m in each["Mounts"] if m["Type"] == "volume"} for each in (raw, twin)]
    assert names[0]["/anon"] == names[1]["/anon"]
    assert "/cache" in names[1]
    box.remove(raw["Id"], twin["Id"])


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("Config.Env MODEL", lambda body: body["Env"].remove("MODEL=big")),
        ("HostConfig.Memory", lambda body: [body["HostConfig"].pop(key) for key in ("Memory", "MemorySwap")]),
        ("mount /host", lambda body: body["HostConfig"].pop("Binds")),
        ("HostConfig.CapDrop", lambda body: body["HostConfig"].update(CapDrop=[])),
        ("Config.Cmd", lambda body: body.pop("Cmd")),
        ("Config.User", lambda body: body.pop("User")),
        ("HostConfig.Privileged", lambda body: body["HostConfig"].update(Privileged=True)),
    ],
)
def test_whatever_got_lost_on_the_way_is_seen_in_what_the_engine_made(box: Box, field: str, spoil) -> None:
    host = {"Memory": 1 << 26, "Binds": ["/etc:/host:ro"], "CapDrop": ["ALL"]}
    given = {"Env": ["MODEL=big"], "Cmd": ["sleep", "60"], "User": "1000", "HostConfig": host}
    raw = box.make("spoilt", given, start=False)
    _made, twin = box.again(raw, f"{PREFIX}/app:2", edit=spoil)
    found = likeness.compare(raw, twin, box.image(raw["Image"]), box.image(f"{PREFIX}/app:2"))
    assert field in [each.field for each in found]
    box.remove(raw["Id"], twin["Id"])


def test_composes_files_are_carried_into_the_new_container_and_the_apps_own_are_not(box: Box) -> None:
    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "app"}
    writes = "echo mine > /data/own; mkdir -p /new && echo mine > /new/own; sleep 3600"
    raw = box.make("files", {"Labels": labels, "Cmd": ["sh", "-c", writes]}, start=False)
    given = {"run/secrets/key": (b"hush", 0o400, 5), "deep/er/app.conf": (b"conf", 0o640, 7)}
    box.client.put_archive(raw["Id"], "/", _tar(given))
    box.client.start(raw["Id"])
    box.client.exec_start(box.client.exec_create(raw["Id"], ["true"])["Id"])
    raw = box.do(box.engine.raw(raw["Id"]))
    found = box.do(injected.find(box.engine, raw))
    assert [file.path for file in found.files] == ["/run/secrets/key", "/deep/er/app.conf"]
    _made, twin = box.again(raw, f"{PREFIX}/app:2")
    packed = injected.pack(injected.dated(found, time.time()))
    box.do(box.engine.put_archive(twin["Id"], "/", packed))
    box.do(box.engine.put_archive(twin["Id"], "/", packed))  # a second time changes nothing
    for name, (data, mode, owner) in given.items():
        seen = injected.read(f"/{name}", box.do(box.engine.get_archive(twin["Id"], f"/{name}", 1 << 20)))
        assert (seen.data, seen.mode, seen.uid) == (data, mode, owner)
    again = box.do(injected.find(box.engine, box.do(box.engine.raw(twin["Id"]))))
    assert [file.path for file in again.files] == [file.path for file in found.files], "and the next time, too"
    old, new = box.image(raw["Image"]), box.image(f"{PREFIX}/app:2")
    assert likeness.compare(raw, twin, old, new) == ()
    box.remove(raw["Id"], twin["Id"])


def test_what_this_engine_is_and_lacks_is_known_before_anything_is_made(box: Box, tmp_path) -> None:
    assert box.info.local, "a socket on this machine, and its name is ours"
    gpu = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}
    raw = box.make("gpu", {"HostConfig": gpu}, start=False)
    assert "GPU" in recipe.refusal(raw, box.info).text
    box.remove(raw["Id"])
    bound = tmp_path / "bound"
    bound.mkdir()
    raw = box.make("bound", {"HostConfig": {"Binds": [f"{bound}:/b"]}}, start=False)
    assert box.do(recipe.missing_sources(raw, box.info)) is None
    bound.rmdir()
    assert str(bound) in box.do(recipe.missing_sources(raw, box.info)).text
    box.remove(raw["Id"])


def test_a_plan_that_is_only_shown_touches_nothing_and_what_it_promised_is_kept() -> None:
    with hands("p") as person:
        person.image("next", GOOD)
        name, service = person.up("a", f"{person.prefix}/good:1", {"rsgr.view": "a"}), f"{person.prefix}.a"
        person.api.stop(name, timeout=1)
        person.api.put_archive(name, "/", _tar({"run/secrets/key": (b"hush-hush", 0o400, 0)}))
        person.api.start(name)
        nursery = Nursery()
        daemon = Daemon({"host": "box", "services": {service: OURS}, "rules": [], "consent": "listed"}, nursery)
        try:
            daemon.start(view="a", patience={"supervisor.actions.probation:SETTLE": 0.5})
            daemon.ready()
            until(lambda: (daemon.service(service) or {}).get("healthy"), 20, "the service is healthy")
            before, words = person.look(name), ("phoenix", service, "--image", f"{person.prefix}/next:1")
            shown = daemon.cli("plan", *words, "-o", "json")
            assert shown.returncode == 0, shown.stderr
            document = json.loads(shown.stdout)
            assert "hush-hush" not in shown.stdout
            assert "file /run/secrets/key" in [trait["what"] for trait in document["stages"][0]["fidelity"]]
            assert person.look(name)["Id"] == before["Id"]
            assert person.names(name) == [name]
            refused = daemon.cli("plan", "phoenix", service, "--image", f"{person.prefix}/none:1")
            assert (refused.returncode, "There is no image" in refused.stdout) == (3, True)
            assert daemon.cli(*words).returncode == 0
            after = person.look(name)
            assert after["Id"] != before["Id"]
            stream, _stat = person.api.get_archive(name, "/run/secrets/key")
            seen = injected.read("/run/secrets/key", b"".join(stream))
            assert (seen.data, seen.mode) == (b"hush-hush", 0o400)
        finally:
            daemon.close()
            nursery.close()


def _tar(files: dict[str, tuple[bytes, int, int]]) -> bytes:
    """As compose makes it: whole seconds, now."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (data, mode, owner) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime, entry.uid, entry.gid = len(data), mode, int(time.time()), owner, owner
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
