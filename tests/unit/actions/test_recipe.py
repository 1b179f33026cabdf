"""Recreation from an inspect: what the person asked for stays, what the old image brought goes."""

import copy
import json

import pytest

from supervisor.actions import recipe as spec
from supervisor.facts import Image, Needs
from supervisor.ports import EngineInfo
from supervisor.services import OP_LABEL, REF_LABEL, ROLE_LABEL
from supervisor.verdicts import Reason

ID = "c0ffee123456" + "0" * 52
NEVER = {"Name": "no", "MaximumRetryCount": 0}
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
OLD = Image(
    "sha256:old",
    config={
        "Env": ["PATH=/bin", "CUDA_VERSION=12.1", "KEEP=same"],
        "Cmd": ["serve"],
        "Entrypoint": ["/entry"],
        "Labels": {"ver": "1", "resurgam.enable": "true"},
        "Healthcheck": {"Test": ["CMD", "check"], "Interval": 5},
        "ExposedPorts": {"80/tcp": {}},
        "WorkingDir": "/srv",
        "User": "app",
        "StopSignal": "SIGQUIT",
        "Volumes": {"/data": {}},
    },
    architecture="amd64",
    os="linux",
)
NEW = Image(
    "sha256:new",
    config={"Env": ["PATH=/bin", "CUDA_VERSION=12.4"], "Volumes": {"/cache": {}}},
    architecture="amd64",
    os="linux",
)


def raw(config=None, host=None, networks=None, mounts=(), **top):
    """An inspect as the engine merges it: the image's defaults with what is given on top."""
    base = copy.deepcopy(OLD.config)
    merged = {
        **base,
        "Image": "local/oracle:1",
        "Hostname": ID[:12],
        "Env": [*(config or {}).pop("Env", []), *base["Env"]],
        "Labels": {**base["Labels"], **(config or {}).pop("Labels", {})},
        **(config or {}),
    }
    return {
        "Id": ID,
        "Name": "/oracle",
        "Image": OLD.id,
        "Config": merged,
        "HostConfig": {"NetworkMode": "default", "RestartPolicy": ALWAYS, **(host or {})},
        "NetworkSettings": {
            "Networks": networks or {"bridge": {"IPAMConfig": None, "MacAddress": "02:42:ac:11:00:02"}}
        },
        "Mounts": list(mounts),
        "State": {"Status": "running"},
        "SizeRw": 0,
        **top,
    }


def made(shown, old=OLD, new=NEW, names=None, policy=ALWAYS):
    before = copy.deepcopy(shown)
    recipe = spec.successor(shown, old, new, op="0a", policy=policy, ref=spec.reference(shown), names=names or {})
    assert shown == before, "the inspect is not changed"
    json.dumps(recipe.body)
    return recipe


def test_nothing_the_old_image_brought_is_frozen_onto_the_new_one():
    body = made(raw({"Env": ["MODEL=big"]})).body
    assert body["Env"] == ["MODEL=big"]
    for key in ("Cmd", "Entrypoint", "Healthcheck", "WorkingDir", "User", "StopSignal", "ExposedPorts", "Volumes"):
        assert key not in body, key
    assert "ver" not in body["Labels"]
    assert body["Image"] == "sha256:new"


def test_a_variable_is_dropped_only_where_name_and_value_are_the_images():
    assert made(raw({"Env": ["KEEP=mine"]})).body["Env"] == ["KEEP=mine"]


def test_what_changes_with_the_image_is_said():
    assert any("CUDA_VERSION" in note for note in made(raw()).notes)


def test_an_image_cannot_opt_a_container_in():
    assert "resurgam.enable" not in made(raw()).body["Labels"]
    assert made(raw({"Labels": {"resurgam.enable": "yes"}})).body["Labels"]["resurgam.enable"] == "yes"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {}),
        ({"Cmd": ["other"]}, {"Cmd": ["other"]}),
        ({"Entrypoint": ["/mine"], "Cmd": ["serve"]}, {"Entrypoint": ["/mine"], "Cmd": ["serve"]}),
        ({"Entrypoint": ["/mine"], "Cmd": None}, {"Entrypoint": ["/mine"]}),
        ({"Entrypoint": ["/entry"], "Cmd": None}, {"Entrypoint": ["/entry"]}),
        ({"Entrypoint": [], "Cmd": ["serve"]}, {"Entrypoint": [], "Cmd": ["serve"]}),
    ],
)
def test_command_and_entrypoint_are_judged_together(given, kept):
    body = made(raw(given)).body
    assert {key: body[key] for key in ("Entrypoint", "Cmd") if key in body} == kept


def test_a_health_check_keeps_only_the_fields_a_person_set():
    assert made(raw({"Healthcheck": {"Test": ["CMD", "check"], "Interval": 9}})).body["Healthcheck"] == {"Interval": 9}
    assert made(raw({"Healthcheck": {"Test": ["NONE"]}})).body["Healthcheck"] == {"Test": ["NONE"]}


def test_published_ports_stay_and_a_random_one_is_said():
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}], "9/udp": [{"HostPort": ""}]}}
    recipe = made(raw(host=host))
    assert recipe.body["ExposedPorts"] == {"80/tcp": {}, "9/udp": {}}
    assert recipe.body["HostConfig"]["PortBindings"] == host["PortBindings"]
    assert [note for note in recipe.notes if "9/udp" in note]


def test_the_default_hostname_goes_and_ones_own_stays():
    assert made(raw()).body["Hostname"] == ""
    assert made(raw({"Hostname": "oracle"})).body["Hostname"] == "oracle"


def test_anonymous_volumes_are_carried_by_name():
    mounts = [
        {"Type": "volume", "Name": "anon1", "Destination": "/data", "Mode": "", "RW": True},
        {"Type": "volume", "Name": "anon2", "Destination": "/ro", "Mode": "", "RW": False},
        {"Type": "volume", "Name": "anon3", "Destination": "/third", "Mode": "z", "RW": True},
        {"Type": "volume", "Name": "named", "Destination": "/named", "Mode": "rw", "RW": True},
        {"Type": "bind", "Source": "/host", "Destination": "/bound", "Mode": "", "RW": True},
    ]
    host = {"Binds": ["named:/named:rw", "/host:/bound"], "Mounts": [{"Type": "volume", "Target": "/third"}]}
    body = made(raw(host=host, mounts=mounts)).body
    assert body["HostConfig"]["Binds"] == ["named:/named:rw", "/host:/bound", "anon1:/data", "anon2:/ro:ro"]
    assert body["HostConfig"]["Mounts"] == [{"Type": "volume", "Target": "/third", "Source": "anon3"}]


def test_volumes_of_another_container_come_with_that_one():
    mounts = [
        {"Type": "volume", "Name": "theirs", "Destination": "/theirs", "Mode": "", "RW": True},
        {"Type": "volume", "Name": "own", "Destination": "/data", "Mode": "", "RW": True},
    ]
    body = made(raw(host={"VolumesFrom": ["vault"]}, mounts=mounts)).body
    assert body["HostConfig"]["Binds"] == ["own:/data"]
    assert body["HostConfig"]["VolumesFrom"] == ["vault"]


def test_a_port_without_a_number_is_left_out():
    body = made(raw(host={"PortBindings": {"/tcp": [{}], "80/tcp": [{"HostPort": "80"}]}})).body
    assert list(body["HostConfig"]["PortBindings"]) == ["80/tcp"]
    assert list(body["ExposedPorts"]) == ["80/tcp"]


def test_a_variable_that_keep_env_names_stays():
    kept = spec.successor(raw(), OLD, NEW, op="0a", policy=ALWAYS, ref="", names={}, keep_env=("KEEP",)).body["Env"]
    assert kept == ["KEEP=same"]


def test_an_entrypoint_that_was_taken_away_stays_away():
    body = made(raw({"Entrypoint": None, "Cmd": ["mine"]})).body
    assert (body["Entrypoint"], body["Cmd"]) == ([], ["mine"])


def engine(api="1.41", default="runc"):
    return EngineInfo("e", "docker", "20", api, runtimes=("runc", "nvidia"), default_runtime=default)


def on(shown, info):
    return spec.successor(shown, OLD, NEW, op="0a", policy=ALWAYS, ref="", names={}, engine=info).body


def test_the_default_runtime_is_not_said_and_another_one_is():
    assert "Runtime" not in on(raw(host={"Runtime": "runc"}), engine())["HostConfig"]
    assert on(raw(host={"Runtime": "nvidia"}), engine())["HostConfig"]["Runtime"] == "nvidia"
    assert on(raw(host={"Runtime": "runc"}), engine(default="nvidia"))["HostConfig"]["Runtime"] == "runc"


def test_a_mac_address_goes_where_this_engine_takes_it_and_a_generated_one_nowhere():
    networks = {"lan": {"IPAddress": "10.0.0.9"}}
    pinned = raw({"MacAddress": "02:00:00:00:00:01"}, {"NetworkMode": "lan"}, networks)
    assert on(pinned, engine())["MacAddress"] == "02:00:00:00:00:01"
    body = on(pinned, engine("1.44"))
    assert "MacAddress" not in body
    assert body["NetworkingConfig"]["EndpointsConfig"]["lan"]["MacAddress"] == "02:00:00:00:00:01"
    made_up = raw({"MacAddress": "02:42:0a:00:00:09"}, {"NetworkMode": "lan"}, networks)
    assert "MacAddress" not in on(made_up, engine())


def test_the_final_policy_is_the_old_ones_or_what_a_stop_took_or_ours():
    held, kept = raw(host={"RestartPolicy": NEVER}), "on-failure:3"
    assert spec.final_policy(raw(), Needs(), "") == ALWAYS
    assert spec.final_policy(held, Needs(), kept) == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert spec.final_policy(raw(), Needs(boot="ordered"), "") == NEVER


def test_whose_namespaces_it_shares_is_listed_once():
    shared = raw(host={"NetworkMode": "container:a", "PidMode": "container:a", "VolumesFrom": ["b:ro"]})
    assert spec.shared_with(shared) == ("a", "b")


def test_a_volume_that_the_new_image_declares_is_said():
    assert any("/cache" in note for note in made(raw()).notes)


def test_what_this_file_does_not_know_goes_through_as_it_is():
    host = {
        "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
        "ShmSize": 64,
        "Future": {"a": 1},
    }
    kept = made(raw(host=host)).body["HostConfig"]
    assert {key: kept[key] for key in host} == host
    hardened = {"CapDrop": ["ALL"], "ReadonlyRootfs": True, "SecurityOpt": ["no-new-privileges"], "Privileged": False}
    kept = made(raw(host=hardened)).body["HostConfig"]
    assert {key: kept[key] for key in hardened} == hardened


NETWORKS = {
    "zeta": {
        "IPAMConfig": {"IPv4Address": "10.0.0.9"},
        "Aliases": ["oracle", ID[:12], "deadbeef0123"],
        "IPAddress": "x",
    },
    "alpha": {"IPAMConfig": None, "Aliases": [ID[:12]], "MacAddress": "02:42:0a:00:00:02", "NetworkID": "n1"},
}


def test_the_primary_network_comes_first_and_no_dead_id_or_address_is_carried():
    found = made(raw(host={"NetworkMode": "zeta"}, networks=NETWORKS)).body["NetworkingConfig"]["EndpointsConfig"]
    assert list(found.items()) == [
        ("zeta", {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["oracle"]}),
        ("alpha", {}),
    ]


def test_the_default_bridge_takes_no_aliases():
    found = made(raw(networks={"bridge": {"Aliases": ["oracle"]}})).body["NetworkingConfig"]["EndpointsConfig"]
    assert found == {"bridge": {}}


@pytest.mark.parametrize("mode", ["host", "none", "container:" + "b" * 64])
def test_without_a_network_of_its_own_there_is_no_endpoint(mode):
    assert "NetworkingConfig" not in made(raw(host={"NetworkMode": mode})).body


def test_a_shared_network_is_named_not_numbered():
    shared = raw({"Hostname": "x"}, {"NetworkMode": "container:" + "b" * 64, "PidMode": "container:" + "b" * 64})
    body = made(shared, names={"b" * 64: "vpn"}).body
    assert body["HostConfig"]["NetworkMode"] == "container:vpn"
    assert body["HostConfig"]["PidMode"] == "container:vpn"
    assert body["Hostname"] == ""
    assert "ExposedPorts" not in body
    assert any("not known" in note for note in made(shared).notes)


def test_a_mac_address_only_where_a_person_set_one():
    assert "MacAddress" not in made(raw({"MacAddress": ""})).body
    assert made(raw({"MacAddress": "02:00:00:00:00:01"})).body["MacAddress"] == "02:00:00:00:00:01"


def test_links_are_written_as_create_wants_them():
    host = {"Links": ["/db:/oracle/database", "/cache:/oracle/cache"]}
    assert made(raw(host=host)).body["HostConfig"]["Links"] == ["db:database", "cache:cache"]


def test_labels_of_a_successor():
    given = {
        "com.docker.compose.project": "ai",
        "com.docker.compose.image": "sha256:old",
        "com.docker.compose.replace": "x",
        OP_LABEL: "older",
        ROLE_LABEL: "spare",
    }
    have = made(raw({"Labels": given})).body["Labels"]
    assert have == {
        "com.docker.compose.project": "ai",
        "com.docker.compose.image": "sha256:new",
        OP_LABEL: "0a",
        REF_LABEL: "local/oracle:1",
    }


def test_labels_of_a_spare():
    given = {"com.docker.compose.project": "ai", "resurgam.priority": "5", "mine": "1"}
    recipe = spec.spare(raw({"Labels": given}), OLD, op="0a", names={})
    have = recipe.body["Labels"]
    assert not [label for label in have if label.startswith("com.docker.compose.")]
    assert json.loads(have[spec.COMPOSE_WAS_LABEL]) == {"com.docker.compose.project": "ai"}
    assert (have["mine"], have["resurgam.priority"], have[ROLE_LABEL]) == ("1", "5", "spare")
    assert recipe.body["HostConfig"]["RestartPolicy"] == NEVER
    assert recipe.body["Image"] == OLD.id


def test_the_reference_survives_a_container_that_was_made_by_id():
    assert spec.reference(raw()) == "local/oracle:1"
    by_id = raw({"Image": "sha256:" + "a" * 64, "Labels": {REF_LABEL: "local/oracle:1", OP_LABEL: "ab12"}})
    assert spec.reference(by_id) == "local/oracle:1"
    assert spec.reference(raw({"Image": "a" * 64})) == ""
    stranger = raw({"Image": "sha256:" + "a" * 64, "Labels": {REF_LABEL: "local/oracle:1"}})
    assert spec.reference(stranger) == "", "only on containers that we made does the label count"


def test_a_lost_image_is_said_and_nothing_is_dropped():
    recipe = made(raw(), old=None)
    assert "KEEP=same" in recipe.body["Env"]
    assert any("gone" in note for note in recipe.notes)


def test_the_final_policy_is_the_one_given():
    assert made(raw(), policy=NEVER).body["HostConfig"]["RestartPolicy"] == NEVER


@pytest.mark.parametrize(
    "shown",
    [
        raw(host={"AutoRemove": True}),
        raw({"Labels": {"com.docker.swarm.service.id": "x"}}),
        raw({"Labels": {"io.kubernetes.pod.name": "x"}}),
        raw(State={"Status": "paused"}),
        raw(State={"Status": "dead"}),
    ],
)
def test_what_cannot_be_gone_back_from_is_refused_in_words(shown):
    refused = spec.refusal(shown)
    assert refused.reason is Reason.UNSUPPORTED
    assert refused.text.endswith(".")


def test_an_ordinary_container_is_not_refused():
    assert spec.refusal(raw()) is None


def test_an_image_for_another_machine_is_refused():
    other = Image("sha256:arm", architecture="arm64", os="linux")
    assert spec.misfit(OLD, other).reason is Reason.UNSUPPORTED
    assert spec.misfit(OLD, NEW) is None
    assert spec.misfit(None, other) is None


def test_what_it_wrote_into_its_own_layer_is_said_and_an_unmeasured_one_is_large():
    assert made(raw()).notes == made(raw(SizeRw=1000)).notes
    assert any("2 GiB" in note or "2 GiB" in note for note in made(raw(SizeRw=2 << 30)).notes)
    assert spec.layer_size(raw(SizeRw=None)) > 1e18
    assert any("unknown" in note for note in made(raw(SizeRw=None)).notes)
