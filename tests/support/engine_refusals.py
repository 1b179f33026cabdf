"""The part of the engines' suite about what an engine refuses, and about what containers share with each other.

Checks like those of engine_suite.py; whoever runs that suite imports this module, too. The sentences are those that
people meet, and that causes are read from.
"""

import pytest

from supervisor.errors import Conflict, EngineError, NotFound
from supervisor.facts import Container, Json
from supervisor.services.checks import CANNOT_RUN
from tests.support.engine_suite import Lab, body, check, made, until


async def look(lab: Lab, key: str) -> Container:
    found = await lab.engine.inspect(key)
    assert found is not None
    return found


async def refused_start(lab: Lab, key: str, words: str, status: int) -> None:
    """It cannot be started, and shows why."""
    with pytest.raises(EngineError, match=words) as caught:
        await lab.engine.start(key)
    assert caught.value.status == status
    found = await look(lab, key)
    assert (found.status, found.exit_code) == ("created", 128)
    assert found.error == str(caught.value)


# ---------------------------------------------------------------- what the machine lacks


@check
async def a_gpu_that_is_not_there_is_noticed_only_at_the_start(lab: Lab) -> None:
    wants = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["nosuchdevice"]]}]}
    container_id = await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig=wants))
    await refused_start(
        lab, container_id, r'could not select device driver "" with capabilities: \[\[nosuchdevice\]\]', 500
    )


@check
async def an_unknown_runtime_is_refused_at_once(lab: Lab) -> None:
    with pytest.raises(EngineError, match="Unknown runtime specified nosuchruntime") as caught:
        await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig={"Runtime": "nosuchruntime"}))
    assert caught.value.status == 400
    assert await lab.engine.inspect(lab.name("a")) is None


@check
async def a_missing_folder_is_refused_for_mounts(lab: Lab) -> None:
    mount = {"Mounts": [{"Type": "bind", "Source": lab.missing_folder(), "Target": "/x"}]}
    with pytest.raises(EngineError, match="bind source path does not exist: " + lab.missing_folder()) as caught:
        await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig=mount))
    assert caught.value.status == 400
    assert await lab.engine.inspect(lab.name("a")) is None


def published(address: str, port: str) -> Json:
    return {
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": address, "HostPort": port}]}},
        "ExposedPorts": {"80/tcp": {}},
    }


@check
async def a_port_on_all_addresses_is_held_on_each(lab: Lab) -> None:
    # a port below the range from which programs get theirs when they connect: one of those would be in the way
    first, _ = await made(lab, "a", "serve", **published("", "19473"))
    second = await lab.engine.create(lab.name("b"), body(lab, "serve", **published("127.0.0.1", "19473")))
    await refused_start(
        lab, second, r"driver failed programming external connectivity .* 127.0.0.1:19473: bind: address already", 500
    )
    assert (await look(lab, first)).ports == ("19473/tcp",)
    assert (await look(lab, second)).ports == ("127.0.0.1:19473/tcp",)
    await lab.engine.stop(first, 5)
    await lab.engine.start(second)


@check
async def a_fixed_address_is_held_while_its_owner_runs(lab: Lab) -> None:
    network, address = lab.fixed("fixed")
    ends = {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}}
    spec = body(lab, "serve", HostConfig={"NetworkMode": network}, NetworkingConfig=ends)
    first = await lab.engine.create(lab.name("a"), spec)
    second = await lab.engine.create(lab.name("b"), spec)
    await lab.engine.start(first)
    assert (await look(lab, first)).address == address
    await refused_start(lab, second, "Address already in use", 403)
    await lab.engine.stop(first, 5)
    await lab.engine.start(second)
    assert (await look(lab, second)).address == address


@check
async def a_check_without_its_tool_is_told_as_broken(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "toolless")
    found = await until(lab.engine, container_id, lambda one: one.health == "unhealthy")
    assert found.health_output.startswith(CANNOT_RUN)
    assert "executable file not found" in found.health_output
    assert len(found.health_output) <= 300
    sick, _ = await made(lab, "b", "sick")
    found = await until(lab.engine, sick, lambda one: one.health == "unhealthy")
    assert not found.health_output.startswith(CANNOT_RUN)


@check
async def the_engine_says_what_it_is_made_of(lab: Lab) -> None:
    info = await lab.engine.info()
    image = await lab.engine.image(lab.image("serve"))
    assert image is not None
    assert (info.os, info.architecture) == (image.os, image.architecture)
    assert "runc" in info.runtimes
    assert info.default_runtime in info.runtimes


# ---------------------------------------------------------------- what is shared


@check
async def what_is_shared_is_named_by_id(lab: Lab) -> None:
    parent, name = await made(lab, "a", "serve", HostConfig={"IpcMode": "shareable"})
    shares = dict.fromkeys(("NetworkMode", "PidMode", "IpcMode"), f"container:{name}")
    child = await lab.engine.create(
        lab.name("b"), body(lab, "serve", HostConfig=shares | {"VolumesFrom": [name + ":ro"]})
    )
    found = await look(lab, child)
    assert dict(found.parents) == {"network": parent, "pid": parent, "ipc": parent, "volumes": name}
    assert found.network_parent == parent
    await lab.engine.start(child)


@check
async def a_shared_parent_that_is_missing_is_refused(lab: Lab) -> None:
    missing = lab.name("nosuch")
    for host in ({"PidMode": f"container:{missing}"}, {"IpcMode": f"container:{missing}"}, {"VolumesFrom": [missing]}):
        with pytest.raises(EngineError, match="No such container") as caught:
            await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig=host))
        assert caught.value.status == 400
    child = await lab.engine.create(
        lab.name("a"), body(lab, "serve", HostConfig={"NetworkMode": f"container:{missing}"})
    )
    await refused_start(lab, child, "No such container", 404)


@check
async def a_childs_parent_has_to_run(lab: Lab) -> None:
    parent = await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig={"IpcMode": "shareable"}))
    for number, (key, words, status) in enumerate(
        (
            ("NetworkMode", "cannot join network of a non running container: " + parent, 409),
            ("PidMode", f"container {parent} is not running", 500),
            ("IpcMode", f"can't join IPC of container {parent}", 500),
        )
    ):
        spec = body(lab, "serve", HostConfig={key: f"container:{parent}"})
        child = await lab.engine.create(lab.name(f"b{number}"), spec)
        await refused_start(lab, child, words, status)
        assert parent in (await look(lab, child)).parents.values()


@check
async def a_child_of_a_container_that_is_gone_can_never_start_again(lab: Lab) -> None:
    parent, _ = await made(lab, "a", "serve")
    child, _ = await made(lab, "b", "serve", HostConfig={"NetworkMode": f"container:{parent}"})
    await lab.engine.stop(parent, 5)
    assert (await look(lab, child)).running
    await lab.engine.stop(child, 5)
    with pytest.raises(Conflict, match="non running container"):
        await lab.engine.start(child)
    await lab.engine.remove(parent)
    with pytest.raises(NotFound, match=f"No such container: {parent}"):
        await lab.engine.start(child)
    found = await look(lab, child)
    assert found.status == "exited"
    assert parent in found.error


@check
async def a_child_seems_to_run_on_when_its_parent_is_started_again(lab: Lab) -> None:
    parent, _ = await made(lab, "a", "serve")
    child, _ = await made(lab, "b", "serve", HostConfig={"NetworkMode": f"container:{parent}"})
    begun = (await look(lab, child)).started_at
    await lab.engine.stop(parent, 5)
    await lab.engine.start(parent)
    found = await look(lab, child)
    assert (found.running, found.started_at) == (True, begun)
    assert (await look(lab, parent)).started_at > begun


@check
async def a_child_in_a_process_namespace_dies_with_its_parent(lab: Lab) -> None:
    parent, _ = await made(lab, "a", "serve")
    child, _ = await made(lab, "b", "serve", HostConfig={"PidMode": f"container:{parent}"})
    await lab.engine.stop(parent, 5)
    found = await until(lab.engine, child, lambda one: one.status == "exited")
    assert found.exit_code == 137
