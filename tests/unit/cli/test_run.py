"""`resurgam run`: which switches it knows, and that they reach the daemon."""

from typing import Any

import pytest

from supervisor import daemon
from supervisor.cli.main import main
from supervisor.rules.promql.evaluate import Options


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[Options]:
    """The options with which the daemon was started, instead of starting it."""
    found: list[Options] = []

    async def run(_settings: Any, _path: Any, options: Options) -> int:
        found.append(options)
        return 0

    monkeypatch.setattr(daemon, "run", run)
    monkeypatch.setattr("supervisor.cli.logs.set_up_logs", lambda: None)
    monkeypatch.setenv("RESURGAM_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.parametrize(
    ("words", "delayed"),
    [
        ([], False),
        (["--enable-feature=promql-delayed-name-removal"], True),
        (["--enable-feature", "promql-delayed-name-removal,promql-delayed-name-removal"], True),
    ],
)
def test_names_are_removed_late_only_where_that_is_asked_for(
    asked: list[Options], words: list[str], delayed: bool
) -> None:
    assert main(["run", *words]) == 0
    assert asked == [Options(delayed_names=delayed)]


def test_a_switch_that_nobody_knows_is_refused_and_the_known_ones_are_named(
    asked: list[Options], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--enable-feature=promql-at-modifier"]) == 2
    assert "there is: promql-delayed-name-removal" in capsys.readouterr().err
    assert asked == []
