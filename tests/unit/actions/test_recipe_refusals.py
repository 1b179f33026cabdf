"""What is refused before anything is made: a foreign image, a runtime that is not there, a bind that is gone."""

import asyncio

import pytest

from supervisor.actions import recipe
from supervisor.actions.recipe import compat
from supervisor.facts import Image
from supervisor.ports import EngineInfo
from supervisor.verdicts import Reason


def engine(**more):
    given = {"os": "linux", "architecture": "amd64", "runtimes": ("runc",), "default_runtime": "runc", **more}
    return EngineInfo("e", "docker", "24", "1.43", **given)


def image(architecture, variant="", system="linux"):
    return Image(f"sha256:{architecture}", architecture=architecture, os=system, variant=variant)


@pytest.mark.parametrize(
    ("machine", "new", "fits"),
    [
        ("amd64", image("amd64"), True),
        ("amd64", image("386"), True),
        ("amd64", image("arm64"), False),
        ("amd64", image("amd64", system="windows"), False),
        ("x86_64", image("amd64"), True),
        ("aarch64", image("arm64", "v8"), True),
        ("arm64", image("arm", "v7"), True),
        ("arm64", image("amd64"), False),
        ("armv7l", image("arm", "v6"), True),
        ("armv6l", image("arm", "v7"), False),
        ("amd64", image(""), True),
    ],
)
def test_an_image_must_fit_the_engines_own_machine(machine, new, fits):
    found = recipe.misfit(image("s390x"), new, engine(architecture=machine))
    assert (found is None) is fits
    if found is not None:
        assert found.reason is Reason.UNSUPPORTED
        assert new.architecture in found.text


def test_an_image_as_foreign_as_the_old_one_passes():
    assert recipe.misfit(image("amd64"), image("amd64"), engine(architecture="arm64")) is None


def shown(host=None, status="exited", env=()):
    return {"Name": "/oracle", "Config": {"Env": list(env)}, "HostConfig": host or {}, "State": {"Status": status}}


GPU = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}
CDI = {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]}


def test_a_gpu_is_looked_for_before_the_old_one_is_stopped():
    assert "nvidia-container-toolkit" in recipe.refusal(shown(GPU), engine()).text
    assert recipe.refusal(shown(GPU), engine(runtimes=("nvidia", "runc"))) is None
    assert recipe.refusal(shown(GPU), engine(cdi=True)) is None
    assert recipe.refusal(shown(GPU), engine(runtimes=())) is None, "nobody knows"
    assert recipe.refusal(shown(GPU, "running"), engine()) is None, "it runs with one: the engine can do it somehow"
    assert any("GPU runtime" in text for text in recipe.warnings(shown(GPU, "running"), engine()))


def test_a_runtime_or_a_cdi_device_that_the_engine_does_not_know_is_refused():
    assert "'nvidia'" in recipe.refusal(shown({"Runtime": "nvidia"}), engine()).text
    assert recipe.refusal(shown({"Runtime": "runc"}), engine()) is None
    assert "CDI" in recipe.refusal(shown(CDI), engine()).text
    assert recipe.refusal(shown(CDI), engine(cdi=True)) is None


def test_cards_by_number_are_warned_of_and_by_uuid_not():
    numbered = {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]]}]}
    assert "GPU 0, 1 by number" in recipe.warnings(shown(numbered))[0]
    uuid = {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["GPU-1234"], "Capabilities": [["gpu"]]}]}
    assert recipe.warnings(shown(uuid)) == ()
    assert recipe.warnings(shown({"Runtime": "nvidia"}, env=["NVIDIA_VISIBLE_DEVICES=2"])) != ()
    assert recipe.warnings(shown({"Runtime": "nvidia"}, env=["NVIDIA_VISIBLE_DEVICES=all"])) == ()


def test_a_bind_whose_path_is_gone_is_refused_where_the_engine_is_here(tmp_path):
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    host = {"Binds": [f"{there}:/a", "named:/n"], "Mounts": [{"Type": "bind", "Source": str(gone), "Target": "/b"}]}
    refused = asyncio.run(recipe.missing_sources(shown(host), engine(local=True)))
    assert refused.reason is Reason.UNFAITHFUL
    assert str(gone) in refused.text
    assert asyncio.run(recipe.missing_sources(shown(host), engine(local=False))) is None
    gone.mkdir()
    assert asyncio.run(recipe.missing_sources(shown(host), engine(local=True))) is None


def test_a_refused_body_loses_only_what_says_nothing():
    host = {
        "KernelMemory": 0,
        "MemorySwappiness": None,
        "OomKillDisable": False,
        "NanoCpus": 5,
        "CpuQuota": 5,
        "MaskedPaths": None,
        "ReadonlyPaths": ["/proc/sys"],
        "Memory": 100,
        "Devices": [{"PathOnHost": "/dev/x", "CgroupPermissions": ""}],
        "CapDrop": ["ALL"],
    }
    body = {"Image": "x", "HostConfig": host}
    thinner, left_out = compat.lenient(body)
    assert thinner["HostConfig"] == {
        "NanoCpus": 5,
        "ReadonlyPaths": ["/proc/sys"],
        "Memory": 100,
        "Devices": [{"PathOnHost": "/dev/x"}],
        "CapDrop": ["ALL"],
    }
    assert "HostConfig.KernelMemory" in left_out
    assert host["KernelMemory"] == 0, "the first body is not changed"
    assert compat.lenient(thinner)[1] == ()


def test_a_real_setting_is_never_left_out():
    host = {
        "OomKillDisable": True,
        "MemorySwappiness": 10,
        "MaskedPaths": ["/x"],
        "CpuQuota": 5,
        "Annotations": {"a": "b"},
    }
    assert compat.lenient({"HostConfig": host}) == ({"HostConfig": host}, ())


@pytest.mark.parametrize("label", ["resurgam.enable", "resurgam.service", "resurgam.role", "resurgam.op"])
def test_an_image_does_not_say_whose_a_container_is(label):
    old, new = image("amd64"), Image("sha256:n", config={"Labels": {label: "x"}}, architecture="amd64", os="linux")
    found = recipe.misfit(old, new, engine())
    assert found is not None
    assert (found.reason, label in found.text) == (Reason.WIDENS, True)
    assert recipe.misfit(new, new, engine()) is None, "what it said before, it may go on saying"
