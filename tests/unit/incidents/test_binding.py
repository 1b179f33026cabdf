"""What the text of an annotation binds to, and what it can never do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.incidents.binding import Action, bind, look, split
from supervisor.verdicts import Reason, Verdict


def params(action: Action | Verdict) -> dict[str, str]:
    assert isinstance(action, Action), action
    return {key: value for key, value in action.params if value}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("restart oracle", ["restart", "oracle"]),
        ("  restart\toracle\n", ["restart", "oracle"]),
        ('notify message="two words"', ["notify", "message=two words"]),
        ("notify message='it \"is\"'", ["notify", 'message=it "is"']),
        ('notify message="a \\"b\\""', ["notify", 'message=a "b"']),
        ("restart {{ $labels.name }} within=2m", ["restart", "{{ $labels.name }}", "within=2m"]),
        ('notify message="at {{ $value | printf "%.1f" }} %"', ["notify", 'message=at {{ $value | printf "%.1f" }} %']),
        ('notify message=""', ["notify", "message="]),
        ("restart ''", ["restart", ""]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize("text", ['restart "oracle', "restart {{ $labels.name }", "x" * 5000])
def test_words_that_cannot_be_told_apart(text: str) -> None:
    with pytest.raises(ValueError):
        split(text)
    refused = bind(text)
    assert isinstance(refused, Verdict)
    assert refused.reason is Reason.UNKNOWN_VERB


def test_a_verb_with_its_defaults() -> None:
    assert bind("phoenix") == Action("phoenix", "", (), (("image", "last-known-good"), ("profile", ""), ("within", "")))
    assert bind("phoenix demo.oracle image=local/oracle:1 within=10m") == Action(
        "phoenix", "demo.oracle", (), (("image", "local/oracle:1"), ("profile", ""), ("within", "10m"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "kubectl scale deployment inference-engine --replicas=0",
        "kubectl scale deploy/inference-engine --replicas 0",
        "kubectl scale --replicas=0 statefulset inference-engine",
        "kubectl   scale deployments inference-engine   --replicas=0",
    ],
)
def test_kubectl_scale_is_understood(text: str) -> None:
    assert bind(text) == Action("scale", "", (("deployment", "inference-engine"),), (("replicas", "0"),))


@pytest.mark.parametrize("where", ["-n ai", "--namespace ai", "--namespace=ai", "-n=ai"])
def test_kubectl_with_a_namespace(where: str) -> None:
    for text in (f"kubectl {where} scale deploy x --replicas=0", f"kubectl scale deploy x --replicas=0 {where}"):
        found = bind(text)
        assert isinstance(found, Action)
        assert found.kube == (("deployment", "x"), ("namespace", "ai"))


@pytest.mark.parametrize(
    "text",
    [
        "call Bob",
        "see https://wiki/runbook",
        "kubectl rollout restart deployment x",
        "kubectl delete pod x",
        "kubectl --kubeconfig=/x scale deployment x --replicas=0",
        "kubectl scale replicaset x --replicas=0",
        "kubectl",
        "systemctl restart x",
        "restart; rm -rf /",
        "protect image=x",
        "/bin/sh -c reboot",
    ],
)
def test_text_that_is_no_verb_is_a_hint(text: str) -> None:
    found = bind(text)
    assert isinstance(found, Verdict)
    assert (found.ok, found.reason) == (False, Reason.UNKNOWN_VERB)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("restart a b", "two targets"),
        ("restart within=soon", "duration"),
        ("restart image=x", "no parameter 'image'"),
        ("restart within=1m within=2m", "twice"),
        ("scale oracle", "replicas=0 or replicas=1"),
        ("scale oracle replicas=3", "0 or 1"),
        ("scale oracle replicas=-1", "not a count"),
        ("phoenix image=--help", "not an image"),
        ("kubectl scale deployment x --replicas=5", "0 or 1"),
        ("kubectl scale deployment x", "replicas"),
        ("kubectl scale deployment a b --replicas=0", "exactly one"),
        ("kubectl scale deployment x --replicas", "no value"),
    ],
)
def test_a_verb_that_is_wrong_says_what_is_wrong(text: str, says: str) -> None:
    found = bind(text)
    assert isinstance(found, Verdict)
    assert found.reason is Reason.BAD_PARAMETER
    assert says in found.text


def test_a_typing_error_gets_a_guess() -> None:
    found = bind("restrat oracle")
    assert isinstance(found, Verdict)
    assert "did you mean 'restart'?" in found.text


HOSTILE = "x within=1s; rm -rf / \"' {{ $labels.y }} --replicas=0"


def test_a_label_value_stays_one_argument() -> None:
    def expand(word: str) -> str:
        return word.replace("{{ $labels.name }}", HOSTILE)

    found = bind("restart {{ $labels.name }} within=5m", expand)
    assert isinstance(found, Action)
    assert found.target == HOSTILE
    assert params(found) == {"within": "5m"}


def test_a_label_value_is_never_the_verb_or_the_name_of_a_parameter() -> None:
    def expand(_word: str) -> str:
        return "stop"

    assert isinstance(bind("{{ $labels.verb }} oracle", expand), Verdict)
    assert isinstance(bind("restart {{ $labels.key }}=1m", expand), Action)  # a word without a plain key is a target
    found = bind("restart {{ $labels.key }}=1m", expand)
    assert isinstance(found, Action)
    assert params(found) == {}


def test_an_empty_target_is_not_the_same_as_none() -> None:
    found = bind("stop {{ $labels.gone }}", lambda _word: "")
    assert isinstance(found, Verdict)
    assert found.reason is Reason.BAD_PARAMETER


def test_check_looks_before_anything_is_filled_in() -> None:
    assert look("restart {{ $labels.name }} within={{ $labels.how_long }}").ok
    assert look("kubectl scale deployment {{ $labels.deployment }} --replicas={{ $value }}").ok
    assert look("restart within=soon").reason is Reason.BAD_PARAMETER
    assert look("restart {{ $labels.name }} within=soon").reason is Reason.BAD_PARAMETER
    assert look("call Bob").reason is Reason.UNKNOWN_VERB


def test_bare() -> None:
    for text, bare in (("restart", True), ("restart x", False), ("phoenix image=a", False), ("phoenix", True)):
        found = bind(text)
        assert isinstance(found, Action)
        assert found.bare is bare


@given(st.text(alphabet="restart kubcl-n=\"'{} $.0\\\n", max_size=60))
def test_any_text_is_answered(text: str) -> None:
    assert isinstance(bind(text), Action | Verdict)
    assert isinstance(look(text), Verdict)
