"""What the daemon reads of a shared folder, whatever somebody puts there; what a person reads."""

import json
import os
from pathlib import Path

import pytest

from supervisor.actions.compose.sources import AsPerson, InFolder, in_folder, read_file
from supervisor.errors import ConfigError

COMPOSE = "services: {web: {image: i, env_file: a.env, volumes: ['./d:/d']}}"


def mistakes(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        in_folder(str(path))
    return str(caught.value)


def test_a_file_in_the_folder_is_read_with_what_lies_beside_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "never")
    monkeypatch.setenv("TAG", "ours")
    tmp_path.joinpath(".env").write_text("TAG=theirs\n")
    tmp_path.joinpath("a.env").write_text("A=$TAG\nB=$SECRET_OF_THE_DAEMON\n")
    tmp_path.joinpath("compose.yml").write_text(COMPOSE)
    web = in_folder(str(tmp_path / "compose.yml"))["web"]
    assert web["config"]["Env"] == ["A=theirs", "B="]
    assert web["mounts"][0]["source"] == f"{tmp_path}/d"


@pytest.mark.parametrize("name", ["../a.env", "/etc/passwd", "sub/../../a.env", "."])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tmp_path.joinpath("a.env").write_text("A=1")
    folder.joinpath("compose.yml").write_text(COMPOSE.replace("a.env", name))
    assert "outside" in mistakes(folder / "compose.yml")


def test_no_link_is_followed_and_no_pipe_is_waited_for(tmp_path: Path) -> None:
    folder, secret = tmp_path / "in", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("PASSWORD=1")
    file = folder / "compose.yml"
    os.symlink(secret, folder / "a.env")
    file.write_text(COMPOSE)
    assert "link" in mistakes(file)
    os.unlink(folder / "a.env")
    os.mkfifo(folder / "a.env")
    assert "no plain file" in mistakes(file)
    os.unlink(folder / "a.env")
    os.symlink(tmp_path, folder / "up")
    file.write_text(COMPOSE.replace("a.env", "up/secret"))
    assert "cannot be read" in mistakes(file)
    os.unlink(file)
    os.symlink("/etc/hostname", file)
    assert "link" in mistakes(file)
    os.unlink(file)
    os.mkfifo(file)
    assert "no plain file" in mistakes(file)
    os.unlink(file)
    file.mkdir()
    assert mistakes(file)


def test_a_huge_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    file.write_bytes(b"#" * (1 << 20) + b"\n" + COMPOSE.encode())
    assert "larger than 1 MiB" in mistakes(file)
    file.write_bytes(b"services: \xff")
    assert "UTF-8" in mistakes(file)
    many = {f"s{n}": {"image": "i", "environment": {"A": "x" * 3000}} for n in range(20)}
    file.write_text(json.dumps({"services": many}))
    assert "48 kB" in mistakes(file)


def test_a_person_reads_what_they_may(tmp_path: Path) -> None:
    tmp_path.joinpath("a.env").write_text("A=1")
    folder = tmp_path / "in"
    folder.mkdir()
    folder.joinpath("compose.yml").write_text(COMPOSE.replace("a.env", "../a.env").replace("image: i", "image: $IMG"))
    found = read_file(str(folder / "compose.yml"), AsPerson({"IMG": "x"}, "/home/me"))
    assert found.services["web"].config.Env == ("A=1",)
    assert found.services["web"].image == "x"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_file(str(tmp_path / "gone.yml"), AsPerson({}, "/"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        InFolder(str(tmp_path)).read(str(tmp_path))


def test_a_few_lines_that_stand_for_gigabytes_are_refused_before_they_are_made(tmp_path: Path) -> None:
    labels = "".join(f"      a{number}: *v\n" for number in range(900))
    text = f'services:\n  s:\n    image: a\n    labels: &l\n      a: &v "{"x" * 31_000}"\n{labels}'
    text += "".join(f"  s{number}:\n    image: a\n    labels: *l\n" for number in range(40))
    file = tmp_path / "compose.yml"
    file.write_text(text)
    assert "more than 4 MiB" in mistakes(file)


def test_the_same_file_named_again_and_again_is_read_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.actions.compose.sources.MOST_BYTES", 10_000)
    tmp_path.joinpath("a.env").write_text("#" * 1_000)
    names = ", ".join(["a.env"] * 50)
    file = tmp_path / "compose.yml"
    file.write_text(f"services: {{web: {{image: i, env_file: [{names}]}}}}")
    assert "are named in all" in mistakes(file)
