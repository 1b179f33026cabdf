"""Who may use the managed broker: kept over restarts, written privately, and never more than meant."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from supervisor.bus.managed.files import holding, put, take
from supervisor.bus.managed.users import Users
from supervisor.clock import ManualClock
from supervisor.errors import UsageError


def users(folder: Path, *commanders: str) -> Users:
    return Users(folder, ManualClock(), commanders)


def hashes(folder: Path) -> dict[str, str]:
    lines = (folder / "passwords").read_text().splitlines()
    return {name: hashed for name, _, hashed in (line.partition(":") for line in lines)}


def opens(hashed: str, secret: str) -> bool:
    _, kind, rounds, salt, digest = hashed.split("$")
    expected = hashlib.pbkdf2_hmac("sha512", secret.encode(), base64.b64decode(salt), int(rounds))
    return kind == "7" and base64.b64decode(digest) == expected


def test_our_own_users_have_passwords_that_stay(tmp_path: Path) -> None:
    users(tmp_path).write()
    secret = (tmp_path / "resurgam.password").read_text().strip()
    assert len(secret) >= 40
    assert list(hashes(tmp_path)) == ["resurgam", "listener"]
    assert opens(hashes(tmp_path)["resurgam"], secret)
    assert secret not in (tmp_path / "passwords").read_text()
    users(tmp_path, "phone").write()
    assert (tmp_path / "resurgam.password").read_text().strip() == secret
    assert opens(hashes(tmp_path)["phone"], (tmp_path / "phone.password").read_text().strip())
    assert all((file.stat().st_mode & 0o077) == 0 for file in tmp_path.iterdir())


def test_who_was_added_survives_the_daemons_rewriting_and_is_known_by_a_hash_alone(tmp_path: Path) -> None:
    users(tmp_path).add("ha", "hunter2")
    users(tmp_path, "phone").write()
    assert opens(hashes(tmp_path)["ha"], "hunter2")
    assert "user ha\n" in (tmp_path / "access").read_text()
    assert not [file for file in tmp_path.iterdir() if "hunter2" in file.read_text()]
    found = [(one.name, one.origin, bool(one.secret)) for one in users(tmp_path, "phone").all()]
    assert found == [
        ("resurgam", "ours", True),
        ("listener", "ours", True),
        ("ha", "added", False),
        ("phone", "commands.principals", True),
    ]


def test_adding_again_is_a_new_password(tmp_path: Path) -> None:
    users(tmp_path).add("ha", "old")
    users(tmp_path).add("ha", "new")
    users(tmp_path).write()
    assert opens(hashes(tmp_path)["ha"], "new")
    assert len((tmp_path / "users").read_text().splitlines()) == 1


def test_who_was_removed_is_gone(tmp_path: Path) -> None:
    users(tmp_path).add("ha", "x")
    users(tmp_path).add("node-red", "y")
    users(tmp_path).remove("ha")
    users(tmp_path).write()
    assert "ha" not in hashes(tmp_path)
    assert "user ha\n" not in (tmp_path / "access").read_text()
    assert "node-red" in hashes(tmp_path)


@pytest.mark.parametrize(
    "name", ["resurgam", "listener", "", "a/b", "a+b", "a#b", "a:b", "-a", "a b", "x" * 65, "a\nb"]
)
def test_some_names_nobody_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        users(tmp_path).add(name, "x")
    assert not (tmp_path / "users").exists()


def test_a_password_that_somebody_opened_to_all_is_private_again(tmp_path: Path) -> None:
    users(tmp_path).write()
    (tmp_path / "resurgam.password").chmod(0o644)
    users(tmp_path).write()
    assert (tmp_path / "resurgam.password").stat().st_mode & 0o077 == 0


def test_no_more_users_are_added_than_a_broker_should_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.bus.managed.users.MOST", 1)
    users(tmp_path).add("ha", "hunter2")
    users(tmp_path).add("ha", "another")
    with pytest.raises(UsageError, match="remove some"):
        users(tmp_path).add("phone", "hunter2")


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own user and stays"):
        users(tmp_path).remove("listener")
    with pytest.raises(UsageError, match="there is no user 'nobody'"):
        users(tmp_path).remove("nobody")
    with pytest.raises(UsageError, match=r"commands\.principals names phone"):
        users(tmp_path, "phone").remove("phone")


def test_a_principal_keeps_the_password_it_was_given_first(tmp_path: Path) -> None:
    users(tmp_path, "phone").write()
    with pytest.raises(UsageError, match=r"phone\.password"):
        users(tmp_path, "phone").add("phone", "x")
    users(tmp_path).add("tablet", "y")
    users(tmp_path, "phone", "tablet").write()
    assert opens(hashes(tmp_path)["tablet"], "y")
    assert not (tmp_path / "tablet.password").exists()


def test_a_password_of_a_principal_that_is_no_more_does_not_stay_beside_a_new_one(tmp_path: Path) -> None:
    users(tmp_path, "phone").write()
    users(tmp_path).add("phone", "x")
    assert not (tmp_path / "phone.password").exists()
    users(tmp_path, "phone").write()
    assert opens(hashes(tmp_path)["phone"], "x")


def test_lines_that_make_no_sense_let_nobody_in(tmp_path: Path) -> None:
    put(tmp_path / "users", "evil\nresurgam:$7$1$AA==$AA==\na b:$7$1$AA==$AA==\nha:plain\nok:$7$1$AA==$AA==\n")
    users(tmp_path).write()
    assert list(hashes(tmp_path)) == ["resurgam", "listener", "ok"]


def test_the_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    where = tmp_path / "users.lock"
    with holding(where):
        assert take(where) is None
    assert take(where) is not None


def test_a_link_that_lies_in_wait_is_not_written_through(tmp_path: Path) -> None:
    """As root we may write to what belongs to another user: a hard link must not be the way to it."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    os.link(precious, tmp_path / "users.new")
    put(tmp_path / "users", "theirs")
    assert (precious.read_text(), (tmp_path / "users").read_text()) == ("mine", "theirs")
