"""What a probe may look like, and what `check` finds odd about one."""

import pytest

from supervisor.config import fields
from supervisor.config.probing import doubts
from supervisor.config.settings import ServiceSettings


@pytest.mark.parametrize(
    "probe",
    [
        "",
        "http://:8000/health?full=1",
        "https://models.lan/health",
        "tcp://:6333",
        "grpc://:50051",
        "grpc://:50051/skills.Health",
        "grpc://otherhost:50051/",
        "completion://:8000",
        "completion://:8000/openai/v1",
    ],
)
def test_these_can_be_asked(probe: str) -> None:
    assert fields.probe(probe) == probe


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("grpc://:50051/a/b", "names no gRPC service"),
        ("grpc://:50051/a b", "spaces"),
        ("grpc://:50051?x=1", "has a ? or #"),
        ("grpc://host", "has no port"),
        ("completion://:8000/v1?key=1", "has a ? or #"),
        ("completion://host", "has no port"),
        ("tcp://:1/x", "has a path"),
        ("grpcs://:1", "not a probe's address"),
        ("exec://true", "not a probe's address"),
        ("grpc://user:pass@:1", "may not stand in an address"),
    ],
)
def test_these_cannot_and_it_is_said_how(probe: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        fields.probe(probe)
    assert words in str(caught.value)


def hints(grpc: bool = True, **entry: object) -> list[tuple[str, str]]:
    return list(doubts(ServiceSettings.model_validate(entry), grpc=grpc))


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({"probe-method": "/a.B/C", "probe": "tcp://:1"}, "probe-method", "only a grpc:// probe calls it"),
        ({"probe-model": "m"}, "probe-model", "only a completion:// probe"),
        ({"benchmark": {"at-least": 12}, "probe": "tcp://:1"}, "benchmark", "write probe: completion://:8000"),
        ({"probe": "http://:1/", "probe-exec": ["true"]}, "probe", "probe-exec is asked instead"),
    ],
)
def test_what_has_no_effect_is_a_hint(entry: dict[str, object], key: str, words: str) -> None:
    ((found, text),) = hints(**entry)
    assert found == key
    assert words in text


def test_a_missing_extra_is_a_hint() -> None:
    ((key, text),) = hints(grpc=False, probe="grpc://:50051")
    assert key == "probe"
    assert "pip install 'resurgam[grpc]'" in text


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"probe": "grpc://:50051", "probe-method": "/skills.Health/Check"},
        {"probe": "completion://:8000", "probe-model": "m", "benchmark": {"at-least": 12}},
        {"probe": "http://:8000/health", "probe-model": "m", "benchmark": {"at-least": 12}},
        {"probe-exec": ["pg_isready"]},
    ],
)
def test_what_fits_together_is_fine(entry: dict[str, object]) -> None:
    assert hints(**entry) == []


@pytest.mark.parametrize("key", ["probe-interval", "probe-timeout", "probe-retries"])
def test_a_rhythm_without_a_probe_has_no_effect(key: str) -> None:
    value: object = 5 if key == "probe-retries" else "50s"
    ((found, text),) = hints(**{key: value})
    assert (found, "nothing is asked" in text) == (key, True)
    assert hints(**{key: value, "probe": "http://:8000/health"}) == []
    assert hints(**{key: value, "probe-exec": ["true"]}) == []


def test_questions_that_come_too_often_are_told() -> None:
    fast: dict[str, object] = {"probe-interval": "5s"}
    assert hints(probe="http://:8000/health", **fast) == []
    ((_key, text),) = hints(probe="completion://:8000", **fast)
    assert "has the model make a token" in text
    ((_key, text),) = hints(**{"probe-exec": ["pg_isready"]}, **fast)
    assert "starts a process" in text
    ((_key, text),) = hints(probe="http://:8000/health", **fast, **{"probe-timeout": "10s"})
    assert "may take longer than that" in text
