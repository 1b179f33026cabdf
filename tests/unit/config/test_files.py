"""Finding the file, obeying it only if nobody else can change it, and reading secrets."""

from pathlib import Path

import pytest

from supervisor.config import find, load, read_secret
from supervisor.errors import ConfigError


def write(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_order_in_which_files_are_found(tmp_path: Path) -> None:
    cwd, home, etc = tmp_path / "cwd", tmp_path / "home", tmp_path / "etc"
    cwd.mkdir()

    def found(given: str = "", **env: str) -> Path | None:
        return find(given, env, cwd, home, etc)

    assert found() is None
    in_etc = write(etc / "resurgam.yaml")
    assert found() == in_etc
    in_home = write(home / ".config" / "resurgam" / "resurgam.yaml")
    assert found() == in_home
    in_xdg = write(tmp_path / "xdg" / "resurgam" / "resurgam.yaml")
    assert found(XDG_CONFIG_HOME=str(tmp_path / "xdg")) == in_xdg
    here = write(cwd / "resurgam.yaml")
    assert found() == here
    named = write(tmp_path / "other.yaml")
    assert found(RESURGAM_CONFIG=str(named)) == named
    assert found("given.yaml", RESURGAM_CONFIG=str(named)) == Path("given.yaml")


def test_a_named_file_that_is_missing_is_a_mistake_not_a_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RESURGAM_CONFIG names this file, which does not exist"):
        find("", {"RESURGAM_CONFIG": "nope.yaml"}, tmp_path, tmp_path, tmp_path)


def test_no_file_is_fine(tmp_path: Path) -> None:
    settings = load(None, env={"HOME": str(tmp_path)}, uid=1000)
    assert settings.state_dir == tmp_path / ".local/state/resurgam"


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    text = "state_dir: state\nrules: [shipped, ./mine, /abs]\nmqtt: {url: 'mqtt://h', password_file: pw}\n"
    text += "notify: [{webhook: {url: 'https://h/x', token_file: ../hook}}]\n"
    text += "scrape: [{job: a, url: 'https://h/x', token_file: kpi.token}]\n"
    settings = load(write(tmp_path / "conf" / "resurgam.yaml", text), env={})
    folder = tmp_path / "conf"
    assert settings.state_dir == folder / "state"
    assert settings.rules == ("shipped", str(folder / "mine"), "/abs")
    assert settings.mqtt.password_file == str(folder / "pw")
    assert settings.mqtt.ca_file == ""
    assert settings.notify[0].webhook.token_file == str(tmp_path / "hook")
    assert settings.scrape[0].token_file == str(folder / "kpi.token")


def test_the_environment_moves_the_state(tmp_path: Path) -> None:
    path = write(tmp_path / "resurgam.yaml", "state_dir: /from/file\n")
    assert load(path, env={"RESURGAM_STATE_DIR": "/from/env"}).state_dir == Path("/from/env")
    assert load(path, env={}).state_dir == Path("/from/file")


@pytest.mark.parametrize(("mode", "who"), [(0o664, "its group"), (0o666, "everyone")])
def test_a_file_that_others_may_write_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, mode: int, who: str
) -> None:
    path = write(tmp_path / "resurgam.yaml", "mode: observe\n", mode)
    with pytest.raises(ConfigError) as found:
        load(path, env={})
    assert f"{path} can be changed by {who}; run: chmod go-w {path}" in str(found.value)
    assert load(path, env={}, check_trust=False).mode == "observe"


def test_unreadable_and_undecodable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it cannot be read"):
        load(tmp_path / "absent.yaml", env={})
    path = tmp_path / "resurgam.yaml"
    path.write_bytes(b"host: a\nmode: \xff\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"resurgam\.yaml:2:7: this is not UTF-8"):
        load(path, env={})


def test_secrets(tmp_path: Path) -> None:
    secret = write(tmp_path / "token", "s3cret\n", 0o600)
    assert read_secret(str(secret), {}) == "s3cret"
    given = write(tmp_path / "creds" / "token", "from systemd", 0o400)
    assert read_secret(str(secret), {"CREDENTIALS_DIRECTORY": str(given.parent)}) == "from systemd"
    for bad, mode, why in (("x", 0o644, "everyone can read"), ("", 0o600, "one line"), ("a\nb", 0o600, "one line")):
        with pytest.raises(ConfigError, match=why) as found:
            read_secret(str(write(tmp_path / "bad", bad, mode)), {})
        assert "a\nb" not in str(found.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(str(tmp_path / "none"), {})
