"""The descriptions of servers: ours are whole, and a mistake in one is told with its place."""

import pytest

from supervisor.errors import ConfigError
from supervisor.servers import described
from supervisor.servers.described import parse, shipped

GOOD = """\
name: mine
title: Mine
sources: [its manual]
look:
  - get: /models
    state:
      - {at: "data[id={model}].id", is: loaded}
      - {is: unloaded}
verbs:
  load:
    steps:
      - {post: /load, body: {model: "{model}"}}
"""


def test_ours_cover_what_is_promised() -> None:
    names = {"opta-lmx", "sglang", "llama-swap", "lm-studio", "localai", "tabbyapi", "mlx-lm", "vllm-mlx", "triton"}
    assert names <= set(shipped())
    for name, one in shipped().items():
        assert (described.FOLDER / f"{name}.yaml").exists(), "a file is called like the kind it describes"
        assert one.sources
        assert {"load", "unload"} <= set(one.verbs), "what cannot be done says why"


def test_what_is_asked_to_look_only_reads() -> None:
    """The one POST among them lists; nothing that loads, wakes or generates is ever asked."""
    asked = {
        (name, "POST" if question.post else "GET", question.get or question.post or "")
        for name, one in shipped().items()
        for question in one.look
    }
    assert {one for one in asked if one[1] == "POST"} == {("triton", "POST", "/v2/repository/index")}
    for _name, _method, path in asked:
        assert not any(
            word in path for word in ("completion", "generate", "upstream", "load", "slots", "wake", "sleep")
        )
    assert ("tabbyapi", "GET", "/health") not in asked, "it answers 503 for ever after its first trouble"


def test_the_one_that_lists_only_is_recognised_last() -> None:
    assert list(shipped())[-1] == "openai"


@pytest.mark.parametrize(
    ("before", "after", "place", "words"),
    [
        ("/models\n", "models\n", "5:", "is not the path of an address"),
        ("data[id={model}].id", "data[id={modle}].id", "7:", "{modle} stands for nothing"),
        ("data[id={model}].id", "data[id", "7:", "is not a path"),
        ("is: loaded", "is: here", "7:", "here"),
        ("- {is: unloaded}", "- {status: 200, is: unloaded}", "", "must always apply"),
        ('"{model}"}}', '"{key}"}}', "12:", "{key} stands for nothing"),
        ("post: /load", "put: /load", "12:", "put"),
        ("sources: [its manual]\n", "", "", "sources"),
        ("name: mine", "name: My Server", "1:", "name"),
        ('{at: "data[id={model}].id", is: loaded}', "{at: data, is: loaded, words: {x: loaded}}", "7:", "one of"),
        ("title: Mine", "title: Mine\nshell: rm", "3:", "shell"),
    ],
)
def test_a_mistake_is_told_with_its_place(before: str, after: str, place: str, words: str) -> None:
    assert before in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(before, after), "mine.yaml")
    text = "\n".join(str(one) for one in caught.value.mistakes)
    assert f"mine.yaml:{place}" in text
    assert words in text


def test_a_good_one_is_read() -> None:
    one = parse(GOOD, "mine.yaml")
    assert one.look[0].state[0].at is not None
    assert one.look[0].state[0].at.text == "data[id={model}].id"
    assert one.verbs["load"].waits
