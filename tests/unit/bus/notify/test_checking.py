"""What is found wrong with `notify:` before anybody is told anything, by `check` and by `run`."""

from pathlib import Path

import pytest

from supervisor.bus.notify import apprise, checking
from supervisor.cli import check
from supervisor.cli.run import refuse_templates
from supervisor.config import load
from supervisor.errors import ConfigError

TEXT = """\
host: box
notify:
- apprise: {url_file: urls}
  template:
    title: "{{ .Nope }}"
    body: "{{ .Status }}"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "resurgam.yaml"
    path.write_text(TEXT)
    path.chmod(0o600)
    (tmp_path / "urls").write_text("json://localhost")
    (tmp_path / "urls").chmod(0o600)
    return path


def test_check_names_the_place_of_a_bad_template(config: Path) -> None:
    report = check.inspect([], str(config))
    assert report.code == 2
    (mistake,) = report.of("error")
    assert (mistake.line, mistake.column) == (5, 12)
    assert mistake.text.startswith("notify[0].template.title: this template cannot be used: can't evaluate field Nope")


def test_run_does_not_start_with_it(config: Path) -> None:
    settings = load(config)
    with pytest.raises(ConfigError, match=r"resurgam\.yaml:5:12: notify\[0\]\.template\.title"):
        refuse_templates(settings, config)
    config.write_text(TEXT.replace(".Nope", ".Host"))
    refuse_templates(load(config), config)


def test_a_missing_apprise_is_a_warning_with_the_command_that_helps(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(TEXT.replace(".Nope", ".Host"))
    assert checking.cautions(load(config).notify) == []
    monkeypatch.setattr(apprise, "missing", lambda: True)
    report = check.inspect([], str(config))
    assert report.code == 0
    (mistake,) = report.of("warning")
    assert (mistake.line, mistake.text) == (
        3,
        "notify[0].apprise: this installation has no Apprise: pip install 'resurgam[notify]'",
    )
