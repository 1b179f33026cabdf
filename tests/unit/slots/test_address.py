"""Where a model's callers go."""

import pytest

from supervisor.facts import Container, Needs, Slot, SlotModel
from supervisor.slots.address import shown, unknown, upstream

BOX = Container("c", "deepseek", "sha256:i", "i", status="running", address="172.18.0.3", ports=("8003/tcp",))


@pytest.mark.parametrize(
    ("url", "probe", "box", "found"),
    [
        ("http://:8000", "", {}, "http://172.18.0.3:8000"),
        ("", "http://:8001/health", {}, "http://172.18.0.3:8001"),
        ("", "completion://:8002", {}, "http://172.18.0.3:8002"),
        ("http://:8000", "tcp://:6333", {}, "http://172.18.0.3:8000"),
        ("", "", {}, "http://127.0.0.1:8003"),
        ("", "", {"ports": ("127.0.0.2:8003/tcp", "9000/udp")}, "http://127.0.0.2:8003"),
        ("", "", {"ports": ("8003/tcp", "8004/tcp")}, ""),
        ("http://:8000", "", {"address": ""}, "http://127.0.0.1:8003"),
        ("http://:8000", "", {"address": "", "ports": ()}, ""),
        ("http://:8000", "", {"address": "fd00::3"}, "http://[fd00::3]:8000"),
        ("https://gpu.box", "", {}, "https://gpu.box:443"),
        ("", "http://[bad", {"ports": ()}, ""),
    ],
)
def test_by_what_is_declared_else_the_probe_else_its_only_port(
    url: str, probe: str, box: dict[str, object], found: str
) -> None:
    given = {"address": BOX.address, "ports": BOX.ports} | box
    container = Container("c", "deepseek", "sha256:i", "i", status="running", **given)  # type: ignore[arg-type]
    assert upstream(SlotModel("m", "m", url=url), Needs(probe=probe), container) == found


@pytest.mark.parametrize(
    ("url", "box", "why"),
    [
        ("", {"status": "exited", "ports": ("8003/tcp", "9000/udp")}, ""),
        ("http://:8000", {"status": "exited", "ports": ()}, ""),
        ("https://gpu.box", {"status": "exited", "ports": ()}, ""),
        ("", {"status": "exited", "ports": ()}, "it publishes none"),
        ("", {"status": "created", "ports": ("8003/tcp", "8004/tcp")}, "it publishes several"),
        ("http://:8000", {"status": "running", "ports": ()}, "no address that this machine reaches"),
        ("http://:8000", {"status": "running", "ports": ("8003/tcp",)}, ""),
    ],
)
def test_before_it_runs_its_ports_say_whether_it_will_be_reached(url: str, box: dict[str, object], why: str) -> None:
    container = Container("c", "deepseek", "sha256:i", "i", **box)  # type: ignore[arg-type]
    found = unknown(SlotModel("m", "m", url=url), Needs(), container)
    assert why in found
    assert bool(found) is bool(why)


def test_a_server_elsewhere_needs_no_container() -> None:
    assert upstream(SlotModel("m", url="http://10.0.0.2:11434"), Needs(), None) == "http://10.0.0.2:11434"
    assert upstream(SlotModel("m", "m"), Needs(), None) == ""


def test_what_callers_are_told() -> None:
    model = SlotModel("m", "m")
    assert shown(Slot("o", (model,), listen="127.0.0.1:8000"), model, BOX, "http://x:1") == "127.0.0.1:8000"
    assert shown(Slot("o", (model,), rename="deepseek"), model, BOX, "http://x:1") == "deepseek"
    assert shown(Slot("o", (model,)), model, BOX, "http://x:1") == "http://x:1"
    assert shown(Slot("o", (model,)), model, BOX, "") == "deepseek"
