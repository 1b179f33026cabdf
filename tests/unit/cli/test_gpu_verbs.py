"""What `resurgam quiesce`, `gpu-reset` and `reboot` take, as commands and in `resurgam plan`."""

import pytest

from supervisor.cli.main import build_parser


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["quiesce", "gpu:0"], "gpu:0"),
        (["quiesce", "box.oracle", "--gpu", "0"], "box.oracle"),
        (["gpu-reset", "0"], "0"),
        (["reboot"], "host"),
        (["reboot", "gpu:0"], "gpu:0"),
    ],
)
def test_what_they_are_aimed_at(words: list[str], target: str) -> None:
    assert build_parser(words).parse_args(words).service == target
    planned = ["plan", *words]
    args = build_parser(planned).parse_args(planned)
    assert (args.verb, args.service) == (words[0], target)


@pytest.mark.parametrize("words", [["quiesce"], ["gpu-reset"], ["stop"]])
def test_what_touches_something_names_it(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser(words).parse_args(words)
