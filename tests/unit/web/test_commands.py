"""What a client may wish for."""

import json

import pytest

from supervisor.web.commands import Wish, check, parse


def test_a_wish_is_a_verb_a_target_and_its_parameters() -> None:
    text = json.dumps(
        {"verb": "phoenix", "target": "oracle", "params": {"image": "x:1", "within": ""}, "override": "now"}
    )
    assert parse(text) == Wish("phoenix", "oracle", {"image": "x:1"}, "now")


def test_a_pause_without_a_service_is_for_everything() -> None:
    assert check("pause", "", {"for": "2h", "reason": "backup"}).target == "*"
    assert check("resume", "oracle", {}).target == "oracle"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("nonsense", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be an object"),
        ('{"verb": "fly", "target": "x"}', "there is no verb 'fly'; there are: restart"),
        ('{"verb": "protect", "target": "x"}', "there is no verb 'protect'"),
        ('{"verb": "restart"}', "restart needs a service"),
        ('{"verb": "restart", "target": "x", "force": true}', "unknown key 'force'"),
        ('{"verb": "restart", "target": "x", "params": {"within": "soon"}}', "'soon' is not a duration"),
        ('{"verb": "restart", "target": "x", "params": {"image": "y"}}', "restart has no parameter 'image'"),
        ('{"verb": "restart", "target": "x", "params": {"within": 5}}', "params must be an object of texts"),
        ('{"verb": "restart", "target": ["x"]}', "target must be a text"),
        ('{"verb": "scale", "target": "x"}', "scale needs replicas"),
        ('{"verb": "scale", "target": "x", "params": {"replicas": "2"}}', "replicas=0 or replicas=1"),
        ('{"verb": "pause", "params": {"for": "soon"}}', "not a duration"),
        ('{"verb": "resume", "params": {"for": "1h"}}', "resume has no parameter 'for'"),
    ],
)
def test_anything_else_is_refused_in_words(body: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(body)
    assert said in str(caught.value)
