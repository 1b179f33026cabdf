"""What `resurgam check` says of slots that load well: the ports, the times, the files, who stands in."""

from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.config.slotting import Doubt, doubts

KINDS = ("llama-server", "vllm")
SERVICES = {"a": {"enable": True, "memory": "10GiB"}, "b": {"enable": True}}


def settings(slot: dict[str, Any], services: dict[str, Any] | None = None, **more: Any) -> Settings:
    whole = {"models": {"a": None, "b": None}} | slot
    return Settings.model_validate({"slots": {"oracle": whole}, "services": services or SERVICES} | more)


def said(slot: dict[str, Any], *here: str, services: dict[str, Any] | None = None, **more: Any) -> tuple[Doubt, ...]:
    return doubts(settings(slot, services, **more), KINDS, lambda path: path in here)


def only(slot: dict[str, Any], *here: str, services: dict[str, Any] | None = None, **more: Any) -> Doubt:
    (found,) = said(slot, *here, services=services, **more)
    return found


def test_a_slot_that_is_well_is_not_spoken_of() -> None:
    assert said({"listen": "127.0.0.1:8000"}) == ()


def test_the_example_of_the_docs_is_well() -> None:
    slot = {
        "listen": "127.0.0.1:8000",
        "models": {"a": None, "b": {"files": ["/models/b.gguf"], "server": "llama-server"}},
        "criteria": {"at-least": 12, "wanted": 15},
        "fallback": ["b"],
    }
    assert said(slot, "/models/b.gguf") == ()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"http": {"listen": "127.0.0.1:8000"}}, "http.listen"),
        ({"http": {"listen": "0.0.0.0:8000"}}, "http.listen"),
    ],
)
def test_a_gate_on_a_port_of_ours(more: dict[str, Any], word: str) -> None:
    found = only({"listen": "127.0.0.1:8000"}, **more)
    assert word in found.text
    assert found.sure


def test_two_gates_on_one_port() -> None:
    both = {"oracle": {"models": {"a": None}, "listen": "127.0.0.1:8000"}}
    both["executor"] = {"models": {"b": None}, "listen": "0.0.0.0:8000"}
    (found,) = doubts(Settings.model_validate({"slots": both, "services": SERVICES}), KINDS, lambda _path: True)
    assert found.place == ("slots", "executor", "listen")
    assert "gate of the slot oracle" in found.text


def test_a_gate_that_would_ask_itself() -> None:
    found = only({"listen": "127.0.0.1:8000", "models": {"a": {"service": "a", "url": "http://localhost:8000"}}})
    assert "would ask itself" in found.text
    assert found.place == ("slots", "oracle", "models", "a", "url")
    assert said({"listen": "127.0.0.1:8000", "models": {"a": {"url": "http://:8000"}}}) == (), "its own container"


def test_a_probe_that_the_gate_would_answer() -> None:
    services = {"a": {"enable": True, "probe": "http://127.0.0.1:8000/health"}, "b": {"enable": True}}
    found = only({"listen": "127.0.0.1:8000"}, services=services)
    assert found.place == ("services", "a", "probe")
    assert "whoever holds the slot would answer for it" in found.text
    own = {"a": {"enable": True, "probe": "http://:8000/health"}, "b": {"enable": True}}
    assert said({"listen": "127.0.0.1:8000"}, services=own) == ()


def test_two_models_beside_each_other_on_one_port() -> None:
    models = {word: {"service": word, "url": "http://127.0.0.1:8001"} for word in ("a", "b")}
    found = only({"shape": "beside", "models": models})
    assert "both answer at 127.0.0.1:8001" in found.text
    assert said({"shape": "exclusive", "models": models}) == ()


def test_requests_that_are_held_shorter_than_a_load_takes() -> None:
    services = {"a": {"enable": True}, "b": {"enable": True, "startup": "25m"}}
    found = only({"listen": "127.0.0.1:8000"}, services=services)
    assert found.text.startswith("b may take 25m to load and requests are held for 15m at most")
    assert said({"listen": "127.0.0.1:8000", "gate": {"hold": "30m"}}, services=services) == ()
    assert said({}, services=services) == (), "without a gate nobody is held"


def test_a_model_whose_service_nobody_declares() -> None:
    found = only({"models": {"a": None, "glm": None}})
    assert found.place == ("slots", "oracle", "models", "glm")
    assert "services: says nothing about glm" in found.text
    assert not found.sure
    assert said({"models": {"a": None, "glm": {"url": "http://mac:8080", "inside": True}}}) == ()


def test_a_service_that_is_only_watched_can_hold_nothing() -> None:
    found = only({}, services={"a": {"enable": True}, "b": {"enable": False}})
    assert "b is only watched" in found.text
    assert found.sure


def test_a_kind_of_server_that_there_is_none() -> None:
    found = only({"models": {"a": {"server": "lama-server"}}})
    assert found.text == "there is no kind of server 'lama-server'; there are: llama-server, vllm"
    assert (found.place[-1], found.sure) == ("server", True)


def test_files_that_are_not_here() -> None:
    models = {"a": {"files": ["/m/1.gguf", "/m/2.gguf"], "compose": "/m/compose.yaml"}}
    found = said({"models": models}, "/m/1.gguf")
    assert [one.place[-2:] for one in found] == [("files", 1), ("a", "compose")]
    assert found[0].text == "/m/2.gguf is not here; a swap to a is refused until it is"
    assert not any(one.sure for one in found), "the daemon may see what we do not"


def test_what_is_hoped_for_is_more_than_what_is_asked_for() -> None:
    found = only({"criteria": {"at-least": 20, "wanted": 15}})
    assert found.place == ("slots", "oracle", "criteria", "wanted")
    assert "less is hoped for (wanted) than is asked for (at-least)" in found.text


def test_a_folder_of_golden_files_that_is_not_there() -> None:
    assert "no golden file is asked" in only({"criteria": {"golden": "/golden"}}).text
    assert said({"criteria": {"golden": "/golden"}}, "/golden") == ()


def test_a_measurement_in_no_probation() -> None:
    assert "there is no probation" in only({"probation": "0s", "probation-every": "1h"}).text


def test_a_stand_in_that_fails_with_the_first_choice() -> None:
    models = {"a": {"inside": True, "service": "a"}, "b": {"inside": True, "service": "a"}}
    found = only({"models": models, "fallback": ["b"]})
    assert found.text == "b runs in the same service as a: when that is down, it is down, too"


def test_a_service_in_two_slots() -> None:
    both = {"oracle": {"models": {"a": None}}, "executor": {"models": {"b": None, "a": None}}}
    (found,) = doubts(Settings.model_validate({"slots": both, "services": SERVICES}), KINDS, lambda _path: True)
    assert found.text.startswith("a is a model of the slot oracle, too")


@pytest.mark.parametrize("url", ["https://gpu.lan:8443", "https://:8443"])
def test_a_gate_speaks_no_https_so_that_no_request_is_sent_in_clear(url: str) -> None:
    """It would send what callers ask to a port that waits for TLS, in clear, over whatever network is between."""
    models = {"a": None, "b": {"url": url, "service": "b"}}
    with pytest.raises(ValueError, match="plain HTTP"):
        settings({"listen": "127.0.0.1:8000", "models": models})
    assert settings({"models": models}).slots["oracle"].models["b"] is not None
