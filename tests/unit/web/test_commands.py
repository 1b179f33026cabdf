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


def test_a_persons_word_names_what_it_is_about() -> None:
    assert check("approve", "ap-3", {"reason": "yes"}) == Wish("approve", "ap-3", {"reason": "yes"})
    assert check("silence", 'name="x"', {"for": "2h"}).target == 'name="x"'
    assert check("silence", "", {"end": "si-1"}).target == "", "not everything"


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
        ('{"verb": "approve"}', "approve needs the id of what it is about"),
        ('{"verb": "silence", "target": "x", "params": {"for": "soon"}}', "'soon' is not a duration"),
        ('{"verb": "ack", "target": "x", "params": {"colour": "red"}}', "ack has no parameter 'colour'"),
        ('{"verb": "pause", "params": {"for": "soon"}}', "not a duration"),
        ('{"verb": "resume", "params": {"for": "1h"}}', "resume has no parameter 'for'"),
    ],
)
def test_anything_else_is_refused_in_words(body: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(body)
    assert said in str(caught.value)


def test_a_document_comes_only_with_a_phoenix_and_is_bounded() -> None:
    web = {"web": {"service": "web", "image": "i"}}
    body = {"verb": "phoenix", "target": "box", "document": web}
    assert parse(json.dumps(body)).document == web
    assert parse(json.dumps({"verb": "phoenix", "target": "box"})).document == {}
    for bad, says in (
        ({**body, "verb": "restart"}, "takes no document"),
        ({**body, "document": {"web": "text"}}, "object of compose services"),
        ({**body, "document": ["web"]}, "object of compose services"),
        ({**body, "document": {"web": {"x": "y" * 48_000}}}, "larger than 48 kB"),
    ):
        with pytest.raises(ValueError, match=says):
            parse(json.dumps(bad))
