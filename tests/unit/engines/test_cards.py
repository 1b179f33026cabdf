"""Which GPUs a container asks for, as the engine shows it."""

import pytest

from supervisor.engines.docker import cards, shape

UUID = "GPU-8f6e0000-1111-2222-3333-444455556666"
ALL = {"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}


def asked(host: dict[str, object], *env: str) -> tuple[str, ...]:
    return shape.container({"Config": {"Env": list(env)}, "HostConfig": host}).gpus


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ALL, ("all",)),
        ({**ALL, "Count": 2}, ()),
        ({**ALL, "Count": 0, "DeviceIDs": ["0", UUID]}, ("0", UUID)),
        ({"Driver": "nvidia", "DeviceIDs": ["1"]}, ("1",)),
        ({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all", "vendor.com/nic=eth0"]}, ("nvidia.com/gpu=all",)),
        ({"Driver": "amd", "Count": -1, "Capabilities": [["gpu"]]}, ("amd.com/gpu=all",)),
        ({"Driver": "", "Count": -1, "Capabilities": [["tpu"]]}, ()),
        ({"Driver": None, "Count": -1, "Capabilities": [["gpu"]], "DeviceIDs": None}, ("all",)),
    ],
)
def test_a_device_request(request_: dict[str, object], words: tuple[str, ...]) -> None:
    assert asked({"DeviceRequests": [request_]}) == words


def test_device_files_are_cards_and_what_controls_them_is_none() -> None:
    files = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm", "/dev/nvidia11", "/dev/dri/card0", "/dev/kfd")
    host = {"Devices": [{"PathOnHost": file} for file in files]}
    assert asked(host) == ("/dev/nvidia0", "/dev/nvidia11", "/dev/dri/card0", "/dev/kfd")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (("NVIDIA_VISIBLE_DEVICES=0, 1,",), ("0", "1")),
        (("NVIDIA_VISIBLE_DEVICES=all",), ("all",)),
        (("NVIDIA_VISIBLE_DEVICES=void",), ()),
        (("CUDA_VERSION=12",), ("all",)),
        ((), ()),
    ],
)
def test_nvidias_runtime_reads_the_environment(env: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert asked({"Runtime": "nvidia"}, *env) == words
    assert asked({"Runtime": "runc"}, *env) == ()


def test_each_word_once_and_none_too_long() -> None:
    host = {"DeviceRequests": [{**ALL, "DeviceIDs": ["0", "0", "x\n" * 500, *map(str, range(500))]}]}
    words = asked(host)
    assert words[0] == "0"
    assert len(words) == cards.MOST
    assert all(len(word) <= cards.LONGEST and "\n" not in word for word in words)
