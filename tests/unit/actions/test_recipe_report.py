"""The fidelity report: every field in one class, worst news first, no secret ever shown."""

import copy

from supervisor.actions import recipe
from supervisor.actions.recipe import report
from supervisor.actions.recipe.traits import KINDS, Trait, shown
from supervisor.facts import Image
from supervisor.ports import FileChange

ID = "c0ffee123456" + "0" * 52
OLD = Image(
    "sha256:" + "a" * 64,
    config={"Env": ["FOO=v1", "CUDA_VERSION=12.1", "SAME=1"], "Cmd": ["serve"], "Labels": {"ver": "1"}},
)
NEW = Image(
    "sha256:" + "b" * 64,
    config={"Env": ["FOO=v2", "CUDA_VERSION=12.4", "SAME=1", "FRESH=1"], "Cmd": ["serve2"], "Volumes": {"/cache": {}}},
)
RAW = {
    "Id": ID,
    "Name": "/oracle",
    "Image": OLD.id,
    "SizeRw": 3 << 30,
    "Config": {
        "Image": "local/oracle:1",
        "Hostname": ID[:12],
        "Env": ["API_KEY=hunter2", "URL=http://me:hunter2@x", "FOO=v1", "CUDA_VERSION=12.1", "SAME=1"],
        "Cmd": ["serve"],
        "Entrypoint": None,
        "Labels": {"ver": "1", "mine": "1", "com.docker.compose.project": "ai", "com.docker.compose.image": "sha256:x"},
        "Volumes": {"/data": {}},
    },
    "HostConfig": {
        "NetworkMode": "lan",
        "Memory": 100,
        "Binds": ["/srv:/srv:ro"],
        "PortBindings": {"80/tcp": [{"HostPort": "80"}], "81/tcp": [{"HostPort": ""}]},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "PidMode": "container:" + "e" * 64,
        "Runtime": "runc",
        "Future": {"a": 1},
    },
    "NetworkSettings": {"Networks": {"lan": {"Aliases": ["oracle", ID[:12]]}}},
    "Mounts": [{"Type": "volume", "Name": "f" * 64, "Destination": "/data", "RW": True}],
    "State": {"Status": "running"},
}
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}


def told(raw=RAW, new=NEW, keep=(), **more):
    made = recipe.successor(
        raw, OLD, new, op="0a", policy=ALWAYS, ref="local/oracle:1", names={"e" * 64: "vpn"}, keep_env=keep
    )
    return report.fidelity(raw, made.body, OLD, new, keep_env=keep, **more)


def of(kind, traits):
    return {trait.what: trait for trait in traits if trait.kind == kind}


def test_every_class_is_told_and_the_worst_comes_first():
    traits = told()
    order = [KINDS.index(trait.kind) for trait in traits]
    assert order == sorted(order)
    lost, ambiguous, changed, image, kept = (of(kind, traits) for kind in KINDS)
    assert set(lost) == {"port 81/tcp", "its own writable layer", "its log so far"}
    assert "3 GiB" in lost["its own writable layer"].before
    assert "parked" in lost["its own writable layer"].how
    assert set(ambiguous) == {"env FOO", "its compose file"}
    assert "keep-env: [FOO]" in ambiguous["env FOO"].how
    assert {"hostname", "aliases on lan", "PidMode", "RestartPolicy", "label com.docker.compose.image"} <= set(changed)
    assert (changed["PidMode"].before, changed["PidMode"].after) == ("container:" + "e" * 12, "container:vpn")
    assert image["env CUDA_VERSION"].after == "12.4"
    assert image["env FRESH"].after == "1"
    assert image["command"].after == "serve2"
    assert "volume /cache" in image
    assert {"bind", "volume", "port 80/tcp", "Memory", "Future", "env API_KEY", "label mine", "Runtime"} <= set(kept)


def test_no_secret_is_shown():
    text = repr(told())
    assert "hunter2" not in text
    assert of("kept", told())["env API_KEY"].before == "***"


def test_what_follows_a_secret_option_is_hidden_too():
    assert shown("Cmd", ["serve", "--api-key", "hunter2", "--port", "80"]) == "serve --api-key *** --port 80"
    assert "hunter2" not in shown("Cmd", ["serve", "--token=hunter2"])
    assert shown("env PASSWORD", "hunter2") == "***"


def test_a_variable_that_is_meant_is_kept_and_said():
    traits = told(keep=("FOO",))
    assert set(of("ambiguous", traits)) == {"its compose file"}
    assert of("kept", traits)["env FOO"].how == "keep-env names it"


def test_the_same_image_leaves_nothing_to_doubt():
    traits = told(new=OLD)
    assert set(of("ambiguous", traits)) == {"its compose file"}
    assert "image" in of("kept", traits)


def test_where_it_wrote_most_is_named_and_injected_files_are_listed():
    changes = tuple(FileChange(f"/root/.cache/hf/m{number}", "added") for number in range(5))
    changes += (FileChange("/root/.cache", "added"), FileChange("/tmp/x", "added"), FileChange("/etc", "modified"))
    traits = told(changes=changes, carried=(Trait("kept", "file /run/secrets/key"),))
    assert "/root/.cache/hf (5), /tmp (1)" in of("lost", traits)["its own writable layer"].before
    assert "file /run/secrets/key" in of("kept", traits)


def test_a_layer_nobody_could_measure_is_called_unknown():
    raw = copy.deepcopy(RAW) | {"SizeRw": None}
    assert "unknown" in of("lost", told(raw=raw))["its own writable layer"].before


def test_every_field_of_the_old_one_is_accounted_for():
    raw = copy.deepcopy(RAW)
    raw["HostConfig"] |= {f"Field{number}": number + 1 for number in range(5)}
    raw["Config"] |= {"StopTimeout": 5, "Domainname": "lan"}
    kept = of("kept", told(raw=raw))
    assert {f"Field{number}" for number in range(5)} | {"StopTimeout", "Domainname"} <= set(kept)


def test_what_a_compose_file_changes_is_meant_and_the_file_is_not_doubted():
    made = recipe.successor(RAW, OLD, NEW, op="0a", policy=ALWAYS, ref="", names={"e" * 64: "vpn"})
    made.body["HostConfig"]["Memory"] = 200
    traits = report.fidelity(RAW, made.body, OLD, NEW, document=True)
    assert of("changed", traits)["Memory"] == Trait("changed", "Memory", "100", "200", "as the compose file says")
    assert "its compose file" not in of("ambiguous", traits)


def test_what_comes_along_or_is_the_engines_does_not_count_as_lost():
    raw = copy.deepcopy(RAW) | {"SizeRw": 10}
    changes = (
        FileChange("/run/secrets/key", "added"),
        FileChange("/.dockerenv", "added"),
        FileChange("/data", "added"),
    )
    traits = told(raw=raw, changes=changes, carried=(Trait("kept", "file /run/secrets/key"),))
    assert "its own writable layer" not in of("lost", traits)
