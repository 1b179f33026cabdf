"""Causes: the engine's own sentences, of the versions that are out there, and what a log may and may not do."""

from pathlib import Path

import pytest

from supervisor.services import causes
from supervisor.services.causes import Cause

BIND = "driver failed programming external connectivity on endpoint web-1 (9e44ad6f): "
RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
ID = "d50ee61487a3e3e66be2b8cd6b353e70119ca26a89600ebd696b6633852c6c01"

STARTS = [
    (BIND + "Bind for 0.0.0.0:39471 failed: port is already allocated", "port_held"),
    (BIND + "Error starting userland proxy: listen tcp4 0.0.0.0:39471: bind: address already in use", "port_held"),
    (
        "failed to set up container networking: " + BIND + "Bind for :::39471 failed: port is already allocated",
        "port_held",
    ),
    (BIND + "failed to bind host port for 0.0.0.0:39471:172.18.0.2:80/tcp: address already in use", "port_held"),
    (BIND + "failed to bind host port 0.0.0.0:39471/tcp: address already in use", "port_held"),
    (BIND + "failed to bind host port [::]:39471/tcp: address already in use", "port_held"),
    (
        "Ports are not available: exposing port TCP 0.0.0.0:39471 -> 127.0.0.1:0: listen tcp 0.0.0.0:39471: "
        "bind: address already in use",
        "port_held",
    ),
    ("Address already in use", "address_held"),
    ("failed to set up container networking: Address already in use", "address_held"),
    ('could not select device driver "" with capabilities: [[gpu]]', "gpu_runtime"),
    (
        RUNC + "error during container init: error running hook #0: nvidia-container-cli: initialization error: "
        "nvml error: driver not loaded: unknown",
        "gpu_runtime",
    ),
    ("could not add CDI devices: unresolvable CDI devices nvidia.com/gpu=all: unknown", "gpu_runtime"),
    ("unknown or invalid runtime name: nvidia", "gpu_runtime"),
    (
        'error gathering device information while adding custom device "/dev/nvidia0": no such file or directory',
        "device_missing",
    ),
    ("No such image: sha256:39d8d65db1", "image_gone"),
    ("mkdir /var/lib/docker/overlay2/1: no space left on device", "disk_full"),
    (
        "error while mounting volume '/var/lib/docker/volumes/v/_data': failed to mount local volume: "
        "mount :/nope:/var/lib/docker/volumes/v/_data, data: addr=127.0.0.1: no such device",
        "mount_missing",
    ),
    ('invalid mount config for type "bind": bind source path does not exist: /models', "mount_missing"),
    (
        RUNC + 'error during container init: error mounting "/etc/x" to rootfs at "/bin": mount /etc/x:/bin (via '
        "/proc/self/fd/6), flags: 0x5000: not a directory: unknown",
        "mount_missing",
    ),
    (f"cannot join network of a non running container: {ID}", "namespace_gone"),
    (f"joining network namespace of container: No such container: {ID}", "namespace_gone"),
    (f"No such container: {ID}", "namespace_gone"),
    (f"container {ID} is not running", "namespace_gone"),
    (f"network {ID} not found", "network_gone"),
    ("could not find bridge docker0: route ip+net: no such network interface", "engine_network"),
    (
        BIND
        + "(iptables failed: iptables --wait -t nat -A DOCKER -p tcp: iptables: No chain/target/match by that name. "
        "(exit status 1))",
        "engine_network",
    ),
    (RUNC + 'exec: "nosuch": executable file not found in $PATH: unknown', "bad_command"),
    (RUNC + 'exec: "/tmp": permission denied: unknown', "bad_command"),
    (RUNC + 'exec: "/nothing": stat /nothing: no such file or directory: unknown', "bad_command"),
    (RUNC + "exec /app: exec format error: unknown", "bad_command"),
    ("something that no version has said yet", "start_failed"),
]


@pytest.mark.parametrize(("error", "word"), STARTS)
def test_what_the_engine_says_of_a_failed_start(error: str, word: str) -> None:
    found = causes.of_start(error)
    assert found.word == word
    assert found.text.endswith(".")
    assert found.scope == ("host" if word in causes.HOST else "service")
    if word == "port_held":
        assert causes.port_of(error) == 39471
        assert "Port 39471 of this machine is held by something that is no container" in found.text
        assert "held by box.web; it is started as soon as" in causes.of_start(error, "box.web").text


DEATHS = [
    (132, "crash"),
    (134, "crash"),
    (135, "crash"),
    (136, "crash"),
    (139, "crash"),
    (137, "killed"),
    (126, "bad_command"),
    (127, "bad_command"),
    (1, "app"),
    (143, "app"),
    (255, "app"),
    (None, "app"),
    (0, "ended"),
]


@pytest.mark.parametrize(("code", "word"), DEATHS)
def test_what_an_exit_code_says(code: int | None, word: str) -> None:
    found = causes.of_death(code)
    assert found.word == word
    assert found.text[0].isupper()
    assert found.text.endswith(".")


def test_the_signal_of_another_cpu_is_named() -> None:
    assert "SIGILL" in causes.of_death(132).text
    assert "this CPU" in causes.of_death(132).text


def test_a_check_that_cannot_run_is_told_from_one_that_fails() -> None:
    found = causes.of_check("/bin/sh: curl: not found", "/bin/sh: curl: not found")
    assert found.word == "check_broken"
    assert "tells nothing of the service" in found.text
    assert causes.of_check("curl: (7) Failed to connect").word == "unhealthy"
    assert causes.of_check("").text == "Its own health check fails; see its last lines."


def test_secrets_in_the_output_of_a_check_are_masked() -> None:
    assert "hunter2" not in causes.of_check("login failed: password=hunter2").text


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Failed to initialize NVML: Unknown Error", "gpu_lost"),
        ("Failed to initialize NVML: Driver/library version mismatch", "gpu_runtime"),
        ("RuntimeError: CUDA driver version is insufficient for CUDA runtime version", "gpu_runtime"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "gpu_memory"),
        ("ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory", "gpu_memory"),
        ("OSError: [Errno 28] No space left on device", "disk_full"),
        ("OSError: [Errno 98] Address already in use", "port_held"),
        ("exec /usr/bin/tini: exec format error", "bad_command"),
    ],
)
def test_what_a_log_suggests(line: str, word: str) -> None:
    found = causes.of_log(["it began", line, "and then it ended"])
    assert isinstance(found, Cause)
    assert found.word == word
    assert found.text.startswith("By its own log, ")


def test_a_log_that_says_nothing() -> None:
    assert causes.of_log(["all is well", "it ends"]) is None
    assert causes.of_log([]) is None


def test_the_list_is_closed() -> None:
    said = {causes.of_start(error).word for error, _word in STARTS}
    said |= {word for _code, word in DEATHS} | {"oom", "check_broken", "unhealthy", "gpu_memory", "gpu_lost"}
    assert said == set(causes.WORDS)
    rules = Path(__file__).parents[3] / "rules" / "containers.yaml"
    listed = rules.read_text("utf-8").partition('cause=~"')[2].partition('"')[0].split("|")
    assert set(listed) == set(causes.STARTS) - {"bad_command"}, "the shipped rule names every failed start"
