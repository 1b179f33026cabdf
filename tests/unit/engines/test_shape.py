"""Docker's JSON as snapshots: what is left out, null or odd must not matter."""

import pytest

from supervisor.engines.docker import shape
from supervisor.services.checks import CANNOT_RUN


def test_an_almost_empty_inspect_is_a_container_that_never_ran():
    found = shape.container({"Id": "abc", "Config": None, "HostConfig": {}, "State": {}})
    assert (found.id, found.name, found.status, found.health) == ("abc", "", "created", "none")
    assert (found.restart_policy, found.stop_grace, found.started_at) == ("no", 10.0, 0.0)


def test_a_full_inspect():
    raw = {
        "Id": "abc",
        "Name": "/oracle",
        "Image": "sha256:1",
        "RestartCount": 3,
        "Created": "2025-10-09T08:53:20.5Z",
        "Config": {"Image": "local/oracle:1", "Labels": {"resurgam.enable": "true"}, "StopTimeout": 120},
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}, "NetworkMode": "container:x"},
        "State": {
            "Status": "restarting",
            "ExitCode": 139,
            "OOMKilled": True,
            "Error": "bad",
            "Health": {"Status": "unhealthy"},
            "StartedAt": "2025-10-09T08:53:20.123456789Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
    }
    found = shape.container(raw, {"resurgam.enable": "true", "other": "x"}, "sha256:2")
    assert found.running is False
    assert (found.name, found.status, found.health, found.exit_code) == ("oracle", "restarting", "unhealthy", 139)
    assert (found.restart_policy, found.restart_count, found.stop_grace) == ("on-failure:5", 3, 120.0)
    assert (found.network_parent, found.oom_killed, found.error) == ("x", True, "bad")
    assert dict(found.image_labels) == {"resurgam.enable": "true"}
    assert (found.image_ref, found.ref_image_id) == ("local/oracle:1", "sha256:2")
    assert found.created_at == 1760000000.5
    assert found.started_at == pytest.approx(1760000000.123456, abs=1e-6)
    assert found.finished_at == 0.0


@pytest.mark.parametrize(
    ("mode", "networks", "status", "wanted"),
    [
        ("host", {}, "running", "127.0.0.1"),
        ("lan", {"aaa": {"IPAddress": "10.0.0.1"}, "lan": {"IPAddress": "10.0.0.2"}}, "running", "10.0.0.2"),
        ("default", {"bridge": {"IPAddress": "172.17.0.2"}, "aaa": {"IPAddress": "10.0.0.1"}}, "running", "172.17.0.2"),
        ("lan", {"lan": None, "zzz": {"GlobalIPv6Address": "fd00::2"}}, "running", "fd00::2"),
        ("lan", {"lan": {"IPAddress": "10.0.0.2"}}, "exited", ""),
        ("none", {"none": {"IPAddress": ""}}, "running", ""),
    ],
)
def test_the_address_is_that_of_the_primary_network(mode, networks, status, wanted):
    raw = {
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": networks},
        "State": {"Status": status},
    }
    assert shape.address(raw) == wanted


@pytest.mark.parametrize("text", ["no", "always", "unless-stopped", "on-failure", "on-failure:3"])
def test_policies_go_there_and_back(text):
    assert shape.policy_text(shape.policy_json(text)) == text


@pytest.mark.parametrize("text", ["", "sometimes", "always:3", "on-failure:x", "on-failure:-1"])
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(ValueError, match="restart policy"):
        shape.policy_json(text)


@pytest.mark.parametrize(
    ("ref", "full"),
    [
        ("busybox", "busybox:latest"),
        ("docker.io/library/busybox", "busybox:latest"),
        ("docker.io/vllm/vllm:1", "vllm/vllm:1"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("x@sha256:12", "x@sha256:12"),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("a" * 12, "a" * 12),
        ("abba", "abba:latest"),
    ],
)
def test_references_become_those_the_engine_lists(ref, full):
    assert shape.reference(ref) == full


def test_the_working_set_leaves_out_cache_and_an_absent_limit_is_zero():
    raw = {
        "memory_stats": {"usage": 1000, "limit": 8000, "stats": {"inactive_file": 300}},
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
    }
    used = shape.usage(raw, host_memory=8000)
    assert used is not None
    assert (used.memory, used.memory_limit, used.cpu_seconds) == (700.0, 0.0, 2.5)
    older = {"memory_stats": {"usage": 1000, "limit": 500, "stats": {"total_inactive_file": 100, "inactive_file": 5}}}
    used = shape.usage(older, host_memory=8000)
    assert used is not None
    assert (used.memory, used.memory_limit) == (900.0, 500.0)
    assert shape.usage({"memory_stats": {}}) is None


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"NetworkMode": "lan", "PidMode": "host", "IpcMode": "private"}, {}),
        ({"NetworkMode": "container:abc", "PidMode": "container:def"}, {"network": "abc", "pid": "def"}),
        ({"IpcMode": "container:abc", "Cgroup": "container:def"}, {"ipc": "abc", "cgroup": "def"}),
        ({"VolumesFrom": ["one:ro", "two", "three:rw"]}, {"volumes": "one", "volumes.2": "two", "volumes.3": "three"}),
        ({"VolumesFrom": None}, {}),
    ],
)
def test_what_is_shared_with_another(host, wanted):
    assert shape.container({"HostConfig": host}).parents == wanted


def test_ports_that_are_published_for_good():
    config = {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443/tcp": {}}}
    binds = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}, {"HostIp": "127.0.0.1", "HostPort": "9000"}],
        "53/udp": [{"HostIp": "", "HostPort": "53"}, {"HostIp": "::1", "HostPort": "5353"}, {"HostPort": ""}],
        "443/tcp": None,
        "9999/tcp": [{"HostIp": "", "HostPort": "9999"}],
    }
    found = shape.container({"Config": config, "HostConfig": {"PortBindings": binds}})
    assert found.ports == ("127.0.0.1:9000/tcp", "53/udp", "8000/tcp", "[::1]:5353/udp")
    assert shape.container({"Config": config, "HostConfig": {"PortBindings": None}}).ports == ()


@pytest.mark.parametrize(
    ("host", "env", "wanted"),
    [
        ({"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}, (), True),
        ({"DeviceRequests": [{"Driver": "nvidia", "Capabilities": None}]}, (), True),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]}, (), True),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/camera=0"]}]}, (), False),
        ({"Devices": [{"PathOnHost": "/dev/kfd"}]}, (), True),
        ({"Devices": [{"PathOnHost": "/dev/ttyUSB0"}]}, (), False),
        ({"Runtime": "nvidia"}, ("NVIDIA_VISIBLE_DEVICES=all",), True),
        ({"Runtime": "nvidia"}, ("NVIDIA_VISIBLE_DEVICES=void",), False),
        ({"Runtime": "nvidia"}, ("CUDA_VERSION=12.4",), True),
        ({"Runtime": "nvidia"}, ("PATH=/bin",), False),
        ({"Runtime": "runc"}, ("NVIDIA_VISIBLE_DEVICES=all",), False),
        ({"DeviceRequests": None, "Devices": None}, (), False),
    ],
)
def test_who_asks_for_a_gpu(host, env, wanted):
    assert shape.container({"Config": {"Env": list(env)}, "HostConfig": host}).gpu is wanted


def checked(*log):
    return shape.container({"State": {"Health": {"Status": "unhealthy", "Log": list(log)}}}).health_output


NO_TOOL = (
    "OCI runtime exec failed: exec failed: unable to start container process: "
    'exec: "curl": executable file not found in $PATH: unknown'
)


@pytest.mark.parametrize(
    ("code", "output", "broken"),
    [
        (-1, NO_TOOL, True),
        (127, "/bin/sh: curl: not found\n", True),
        (126, "sh: /check: Permission denied", False),
        (126, "exec /check: permission denied", True),
        (-1, "Health check exceeded timeout (1s)", False),
        (1, "404 not found", False),
        (22, "curl: (22) The requested URL returned error: 503", False),
    ],
)
def test_a_check_that_cannot_run_is_told_apart(code, output, broken):
    found = checked({"ExitCode": 0, "Output": "fine"}, {"ExitCode": code, "Output": output})
    assert found.startswith(CANNOT_RUN) is broken
    assert " ".join(output.split()) in found


def test_a_checks_output_is_one_short_line():
    assert checked({"ExitCode": 1, "Output": " a\n\n b\t" + "x" * 1000})[:6] == "a b xx"
    assert len(checked({"ExitCode": 1, "Output": "x" * 1000})) == shape.OUTPUT
    assert checked() == ""
    assert checked({"ExitCode": 0, "Output": None}) == ""


def test_what_an_engine_is():
    raw = {"Architecture": "x86_64", "Runtimes": {"runc": {}, "nvidia": {}}, "DefaultRuntime": "nvidia"}
    version = {"Version": "29.0.1", "ApiVersion": "1.52", "Os": "linux", "Arch": "amd64"}
    found = shape.info(raw | {"CDISpecDirs": ["/etc/cdi"]}, version, "id:1", "docker")
    assert (found.identity, found.name, found.version, found.api) == ("id:1", "docker", "29.0.1", "1.52")
    assert (found.os, found.architecture) == ("linux", "amd64")
    assert (found.runtimes, found.default_runtime, found.cdi) == (("nvidia", "runc"), "nvidia", True)
    assert shape.info(raw | {"CDISpecDirs": []}, {}, "id", "docker").cdi is False
