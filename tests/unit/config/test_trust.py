"""Whether a file may be obeyed."""

import os
from pathlib import Path

from supervisor.config import trust


def file_in(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    path = folder / "rules.yaml"
    path.write_text("x")
    path.chmod(0o644)
    return path


def test_a_private_file_is_trusted(tmp_path: Path) -> None:
    assert trust.problems(file_in(tmp_path / "a")) == ()


def test_a_folder_that_others_may_write_spoils_what_is_inside(tmp_path: Path) -> None:
    path = file_in(tmp_path / "a")
    path.parent.chmod(0o777)
    assert trust.problems(path) == (f"{path.parent} can be changed by everyone; run: chmod go-w {path.parent}",)
    path.parent.chmod(0o1777)
    assert trust.problems(path) == (), "in a sticky folder nobody else can replace our file"
    assert trust.problems(path.parent) != (), "but a sticky folder is no place to read whatever lies in it"


def test_a_link_is_as_good_as_both_its_ends(tmp_path: Path) -> None:
    path = file_in(tmp_path / "a")
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    link = open_folder / "link.yaml"
    link.symlink_to(path)
    assert str(open_folder) in trust.problems(link)[0], "whoever may write there may turn the link"


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = file_in(tmp_path / "a")
    me = os.getuid()
    if me == 0:
        os.chown(path, 4321, -1)
        assert trust.problems(path) == (
            f"{path} belongs to user 4321, who could change what is done here; run: chown root {path}",
        )
    else:
        assert f"belongs to user {me}" in trust.problems(path, me + 1)[0]
