"""`notify:` in resurgam.yaml: what contradicts itself is one sentence; secrets come from files."""

from pathlib import Path

import pytest

from supervisor.config.files import read_secret_lines
from supervisor.config.settings import Settings
from supervisor.config.yaml import load_yaml, validate
from supervisor.errors import ConfigError

HOOK = "webhook: {url: 'https://h/x'}"
PHONE = "apprise: {url_file: urls}"
MANAGER = "alertmanager: {url: 'http://am:9093'}"


def read(*entries: str) -> Settings:
    text = "notify:\n" + "".join(f"- {{{entry}}}\n" for entry in entries)
    return validate(Settings, load_yaml(text, "resurgam.yaml"))


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        (f"{MANAGER}, group_by: [alertname]", "groups, repeats and routes by itself; take group_by out"),
        (f"{MANAGER}, when: unheard, repeat: 1h", "take when and repeat out"),
        (f"{HOOK}, template: {{body: x}}", "a template is for apprise"),
        (f"{HOOK}, group_wait: 1m", "group_wait has no effect without group_by; add group_by: [alertname]"),
        (f"{HOOK}, group_by: ['...', name]", "'...' stands for all labels"),
        (f"{HOOK}, severity: []", "an empty severity"),
        (f"{HOOK}, when: unheard, severity: [warning]", "critical alerts only, which severity leaves out"),
        (f"{HOOK}, when: unheard, escalate: 15m", "make two notifiers of this one"),
        (f"{HOOK}, {PHONE}", "exactly one of webhook, apprise and alertmanager"),
        (f"{HOOK}, repaet: 1h", "did you mean 'repeat'?"),
    ],
)
def test_what_contradicts_itself_is_said_with_its_place(entry: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(entry)
    (mistake,) = caught.value.mistakes
    assert wrong in mistake.text
    assert mistake.text.startswith("notify[0]")
    assert mistake.line == 2


@pytest.mark.parametrize(
    "entry",
    [
        HOOK,
        f"{HOOK}, when: unheard",
        f"{HOOK}, escalate: 15m, repeat: 1h",
        f"{PHONE}, group_by: alertname, group_wait: 5s, group_interval: 1m, repeat: 4h, template: {{title: x}}",
        f"{PHONE}, group_by: ['...']",
        f"{PHONE}, group_by: []",
        f"{MANAGER}, severity: [critical], name: am",
    ],
)
def test_what_makes_sense_loads(entry: str) -> None:
    assert len(read(entry).notify) == 1


def test_names_are_told_apart_numbers_too() -> None:
    assert len(read(f"{HOOK}, name: phone", HOOK).notify) == 2
    for entries in ((f"{HOOK}, name: phone", f"{HOOK}, name: phone"), (f"{HOOK}, name: '1'", HOOK)):
        with pytest.raises(ConfigError, match="two notifiers are called"):
            read(*entries)


def test_secrets_one_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# mine\n\n  json://a \r\ntgram://b\n")
    file.chmod(0o600)
    assert read_secret_lines(str(file), {}) == ((3, "json://a"), (4, "tgram://b"))
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "urls").write_text("json://c")
    (folder / "urls").chmod(0o600)
    assert read_secret_lines(str(file), {"CREDENTIALS_DIRECTORY": str(folder)}) == ((1, "json://c"),)


@pytest.mark.parametrize(
    ("text", "mode", "wrong"),
    [
        ("# none\n", 0o600, "1 to 64 lines"),
        ("x\n" * 65, 0o600, "1 to 64 lines of secrets; it has 65"),
        ("json://s3cr3t", 0o644, "everyone can read"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_used_says_nothing_of_them(
    tmp_path: Path, text: str, mode: int, wrong: str
) -> None:
    file = tmp_path / "urls"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=wrong) as caught:
        read_secret_lines(str(file), {})
    assert "s3cr3t" not in str(caught.value)
