"""The traps of making a container again that others fell into, each at the real engine: what an image brings, volumes
that nobody named, names on a network, how a container ends, a child that the kernel kills."""

import time
from collections.abc import Iterator

import pytest

from supervisor.actions import recipe
from tests.support.daemon import Daemon, hands, until
from tests.support.remade import PREFIX, Box

pytestmark = pytest.mark.real

OLD, NEW, BARE = (f"{PREFIX}/{word}" for word in ("app:1", "app:2", "bare:1"))


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = Box()
    try:
        yield made
    finally:
        made.close()


def inside(box: Box, key: str, *argv: str) -> tuple[int, str]:
    """(exit code, output) of a command in a container."""
    made = box.client.exec_create(key, list(argv))
    said: bytes = box.client.exec_start(made["Id"])
    return int(box.client.exec_inspect(made["Id"])["ExitCode"]), said.decode()


def test_a_value_that_is_also_the_old_images_is_called_ambiguous_and_can_be_kept(box: Box) -> None:
    raw = box.make("ambiguous", {"Env": ["FOO=v1", "MODEL=big"]}, start=False)
    for keep, value in (((), "FOO=v2"), (("FOO",), "FOO=v1")):
        made, twin = box.again(raw, NEW, keep_env=keep)
        assert [each for each in twin["Config"]["Env"] if each.startswith("FOO=")] == [value]
        told = recipe.report.fidelity(raw, made.body, box.image(raw["Image"]), box.image(NEW), keep_env=keep)
        about = [trait.kind for trait in told if "FOO" in trait.what]
        assert about == (["kept"] if keep else ["ambiguous"])
        box.remove(twin["Id"])
    box.remove(raw["Id"])


def test_command_and_entrypoint_are_taken_from_one_side(box: Box) -> None:
    """From an image with a command onto one with an entrypoint."""
    plain = box.make("plain", {}, start=False)
    mixed = box.make("mixed", {"Entrypoint": ["sh", "-c"], "Cmd": box.image(OLD).config["Cmd"]}, start=False)
    _made, twin = box.again(plain, BARE)
    bare = box.image(BARE).config
    assert (twin["Config"]["Entrypoint"], twin["Config"]["Cmd"]) == (bare["Entrypoint"], None)
    _made, other = box.again(mixed, BARE)
    assert (other["Config"]["Entrypoint"], other["Config"]["Cmd"]) == (["sh", "-c"], mixed["Config"]["Cmd"])
    box.remove(plain["Id"], mixed["Id"], twin["Id"], other["Id"])


def test_data_in_a_volume_that_nobody_named_outlives_the_old_container(box: Box) -> None:
    raw = box.make("unnamed", {"Cmd": ["sh", "-c", "echo precious > /anon/file; sleep 3600"]})
    until(lambda: inside(box, raw["Id"], "cat", "/anon/file")[1] == "precious\n", 10, "it was written")
    _made, twin = box.again(raw, NEW, edit=lambda body: body.update(Cmd=["sleep", "3600"]))
    box.remove(raw["Id"])  # with -v, as compose does
    box.client.start(twin["Id"])
    assert inside(box, twin["Id"], "cat", "/anon/file") == (0, "precious\n")
    box.remove(twin["Id"])


def test_its_name_and_its_aliases_lead_to_the_new_one(box: Box) -> None:
    joined = {"EndpointsConfig": {box.net: {"Aliases": ["oracle"]}}}
    raw = box.make("named", {"NetworkingConfig": joined})
    asker = box.make("asker", {})
    name, aside = f"{PREFIX}-named", f"{PREFIX}-named.resurgam-parked-0a"

    def found(word: str) -> str:
        return inside(box, asker["Id"], "nslookup", word)[1]

    address = raw["NetworkSettings"]["Networks"][box.net]["IPAddress"]
    assert address in found(name)
    _made, twin = box.again(raw, NEW)
    assert address in found("oracle"), "one that was only made is not found"
    box.do(box.engine.stop(raw["Id"], 1))
    box.do(box.engine.rename(raw["Id"], aside))
    box.do(box.engine.rename(twin["Id"], name))
    box.do(box.engine.start(twin["Id"]))
    address = box.do(box.engine.raw(twin["Id"]))["NetworkSettings"]["Networks"][box.net]["IPAddress"]
    assert address in found(name)
    assert address in found("oracle")
    assert "can't resolve" in found(aside) or "NXDOMAIN" in found(aside)
    box.remove(raw["Id"], asker["Id"], twin["Id"])


def test_composes_own_labels_are_carried_so_that_it_recreates_nothing(box: Box) -> None:
    labels = {
        "com.docker.compose.project": "p",
        "com.docker.compose.config-hash": "abc",
        "com.docker.compose.image": box.old,
        "com.docker.compose.replace": "gone",
    }
    raw = box.make("composed", {"Labels": labels}, start=False)
    _made, twin = box.again(raw, NEW)
    kept = twin["Config"]["Labels"]
    assert kept["com.docker.compose.image"] == box.new
    assert kept["com.docker.compose.config-hash"] == "abc"
    assert "com.docker.compose.replace" not in kept
    box.remove(raw["Id"], twin["Id"])


def test_the_default_runtime_is_left_to_the_engine_and_what_removes_itself_is_refused(box: Box) -> None:
    raw = box.make("runtime", {"HostConfig": {"Runtime": box.info.default_runtime}}, start=False)
    made, twin = box.again(raw, NEW)
    assert not made.body["HostConfig"].get("Runtime")
    assert twin["HostConfig"]["Runtime"] == raw["HostConfig"]["Runtime"]
    fleeting = box.make("fleeting", {"HostConfig": {"AutoRemove": True}}, start=False)
    assert "nothing to go back to" in recipe.refusal(fleeting).text
    box.remove(raw["Id"], twin["Id"], fleeting["Id"])


def test_our_stop_ends_what_policy_always_would_start_again(box: Box) -> None:
    """Where a signal of one's own choice would not: the engine takes only the container's own one for a stop."""
    host, since = {"RestartPolicy": {"Name": "always"}}, int(time.time())
    quits = {"Cmd": ["sh", "-c", "trap 'exit 0' TERM QUIT; while :; do sleep 0.1; done"], "StopSignal": "SIGQUIT"}
    raw = box.make("quits", {**quits, "HostConfig": host})
    box.client.kill(raw["Id"], "SIGTERM")
    until(lambda: box.do(box.engine.inspect(raw["Id"])).restart_count == 1, 10, "a TERM of one's own is no stop")
    until(lambda: box.do(box.engine.inspect(raw["Id"])).running, 10, "it runs again")
    box.do(box.engine.stop(raw["Id"], 5))
    # the engine would start it again after 0.2 s: what it tells is read to its end, a second or two from now
    told = {"container": raw["Id"], "event": ["start", "die", "stop"]}
    events = box.client.events(since=since, until=int(time.time()) + 2, filters=told, decode=True)
    assert [event["Action"] for event in events] == ["start", "die", "start", "die", "stop"]
    seen = box.do(box.engine.inspect(raw["Id"]))
    assert (seen.status, seen.exit_code, seen.restart_policy) == ("exited", 0, "always")
    box.remove(raw["Id"])


def test_how_it_ended_tells_who_took_the_signal(box: Box) -> None:
    """137 is no sign of memory: it is what a stop leaves that nobody obeyed."""
    ends = []
    for word, given in (
        ("obeys", {"Cmd": ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]}),
        ("init", {"Cmd": ["sleep", "3600"], "HostConfig": {"Init": True}}),
        ("deaf", {"Cmd": ["sleep", "3600"]}),
    ):
        raw = box.make(word, given)
        box.do(box.engine.stop(raw["Id"], 1))
        seen = box.do(box.engine.inspect(raw["Id"]))
        ends.append((seen.exit_code, seen.oom_killed))
        box.remove(raw["Id"])
    assert ends == [(0, False), (143, False), (137, False)]


def test_a_child_killed_for_want_of_memory_is_told_though_the_container_lives() -> None:
    eats = "trap 'exit 0' TERM; sleep 1; while :; do dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 2; done & wait"
    with hands("o") as person:
        service = f"{person.prefix}.worker"
        services = {service: {"enable": True, "stop-grace": "1s"}}
        daemon = Daemon({"host": "oom", "consent": "listed", "services": services, "mode": "observe"})
        try:
            daemon.start()
            daemon.ready()
            labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": "worker"}
            host = {"NetworkMode": person.network, "Memory": 16 << 20, "MemorySwap": 16 << 20}
            given = {"Image": person.good, "Cmd": ["sh", "-c", eats], "Labels": labels, "HostConfig": host}
            made = person.api.create_container_from_config(given, f"{person.prefix}-worker")["Id"]
            person.api.start(made)
            told = daemon.heard("container.oom", service)
            assert "which runs on without it" in told["body"]["text"], told["body"]["text"]
            fired = daemon.heard("alert.firing", limit=30)
            assert fired["body"]["alert"]["labels"]["alertname"] == "ContainerOOMKilled"
            state = (person.look(made) or {})["State"]
            assert (state["Running"], state["OOMKilled"]) == (True, False)
            assert not daemon.rows("container.died", service)
        finally:
            daemon.close()
