"""Lists of changes and archives, as engines send them, whole or cut off."""

import pytest

from supervisor.engines.docker import files
from supervisor.engines.docker.files import check_tar, last_part_named, parse_changes
from supervisor.errors import EngineError
from supervisor.ports import FileChange
from tests.support.archives import HOSTILE, tar

ROWS = '[{"Path":"/etc","Kind":0},{"Path":"/etc/odd\\"},{name","Kind":1},{"Path":"/data","Kind":2}]\n'


def test_changes_are_in_the_order_of_their_paths():
    assert parse_changes(ROWS) == (
        FileChange("/data", "deleted"),
        FileChange("/etc", "modified"),
        FileChange('/etc/odd"},{name', "added"),
    )


@pytest.mark.parametrize("text", ["null", "null\n", "", "[]", " [ ]"])
def test_nothing_changed(text):
    assert parse_changes(text) == ()


def test_a_list_that_was_cut_off_gives_what_is_whole():
    whole = ROWS.index(',{"Path":"/data"')
    for end in range(whole, len(ROWS) - 3):
        assert [change.path for change in parse_changes(ROWS[:end])] == ["/etc", '/etc/odd"},{name']


def test_there_is_an_end_to_changes(monkeypatch):
    assert files.MANY == 100_000
    monkeypatch.setattr(files, "MANY", 100)
    assert len(parse_changes("[" + '{"Path":"/a","Kind":1},' * 105)) == 100


def test_what_is_no_list_is_said_so():
    with pytest.raises(ValueError, match="no list"):
        parse_changes('{"message":"odd"}')


def test_a_kind_nobody_knows_is_a_change():
    assert parse_changes('[{"Path":"/a","Kind":9}]') == (FileChange("/a", "modified"),)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/etc", "/etc"),
        ("/etc/", "/etc"),
        ("/etc/.", "/etc"),
        ("/etc/./", "/etc"),
        ("/", "/"),
        ("/.", "/"),
        ("/a.", "/a."),
    ],
)
def test_the_last_part_of_a_path_has_a_name(path, wanted):
    assert last_part_named(path) == wanted


@pytest.mark.parametrize("archive", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives_are_refused_before_they_are_sent(archive):
    with pytest.raises(EngineError) as caught:
        check_tar("/etc", archive)
    assert caught.value.status == 400


def test_ordinary_archives_are_not():
    check_tar(
        "/",
        tar(
            ("/etc", "folder", b""),
            ("etc/a..b", "file", b"1"),
            ("etc/l", "link", "../tmp/x"),
            ("h", "hard", "etc/a..b"),
        ),
    )
    check_tar("/", tar())
