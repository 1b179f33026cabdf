"""The part of the engines' suite about files: what a container wrote, and copies out of it and into it.

Checks like those of engine_suite.py; whoever runs that suite imports this module, too.
"""

import pytest

from supervisor.errors import EngineError, NotFound
from supervisor.ports import FileChange, FileStat
from tests.support.archives import HOSTILE, content, listed, tar
from tests.support.engine_suite import Lab, body, check, made

LIMIT = 1 << 20


async def state(lab: Lab, which: str) -> str:
    """A container that was only created, that runs, or that ran."""
    container_id = await lab.engine.create(lab.name("a"), body(lab, "serve"))
    if which != "created":
        await lab.engine.start(container_id)
    if which == "stopped":
        await lab.engine.stop(container_id, 5)
    return container_id


async def _round_trip(lab: Lab, which: str) -> None:
    key = await state(lab, which)
    before = await lab.engine.changes(key)
    given = tar(("made", "folder", b""), ("made/inner", "folder", b""), ("made/inner/secret", "file", b"hush"))
    await lab.engine.put_archive(key, "/etc", given)
    back = await lab.engine.get_archive(key, "/etc/made", LIMIT)
    entries = listed(back)
    assert sorted(entries) == ["made", "made/inner", "made/inner/secret"]
    kept = entries["made/inner/secret"]
    assert (kept.uid, kept.gid, kept.mode & 0o777, kept.mtime) == (7, 8, 0o640, 1_000_000_000)
    assert content(back, "made/inner/secret") == b"hush"
    assert entries["made"].isdir()
    after = await lab.engine.changes(key)
    assert set(after) - set(before) == {
        FileChange("/etc", "modified"),
        FileChange("/etc/made", "added"),
        FileChange("/etc/made/inner", "added"),
        FileChange("/etc/made/inner/secret", "added"),
    }
    assert [change.path for change in after] == sorted(change.path for change in after)


@check
async def files_go_into_one_that_was_only_created(lab: Lab) -> None:
    await _round_trip(lab, "created")


@check
async def files_go_into_one_that_runs(lab: Lab) -> None:
    await _round_trip(lab, "running")


@check
async def files_come_out_of_one_that_stands_still(lab: Lab) -> None:
    await _round_trip(lab, "stopped")


@check
async def what_it_wrote_is_told_by_path_and_kind(lab: Lab) -> None:
    container_id, name = await made(lab, "a", "serve")
    assert await lab.engine.changes(container_id) == ()
    await lab.engine.put_archive(name, "/tmp", tar(("new", "file", b"1")))
    await lab.delete_path(name, "/data")
    wanted = (FileChange("/data", "deleted"), FileChange("/tmp", "modified"), FileChange("/tmp/new", "added"))
    assert await lab.engine.changes(name) == wanted
    await lab.engine.stop(name, 5)
    assert await lab.engine.changes(name) == wanted
    await lab.engine.start(name)
    assert await lab.engine.changes(name) == wanted


@check
async def a_file_that_comes_and_goes_is_no_change(lab: Lab) -> None:
    _, name = await made(lab, "a", "serve")
    await lab.engine.put_archive(name, "/data", tar(("new", "file", b"1")))
    await lab.delete_path(name, "/data/new")
    assert FileChange("/data/new", "added") not in await lab.engine.changes(name)


@check
async def places_for_mounts_are_added_at_the_start(lab: Lab) -> None:
    host = {"Binds": [f"{lab.name('vol')}:/deep/er"]}
    container_id = await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig=host))
    assert await lab.engine.changes(container_id) == ()
    await lab.engine.start(container_id)
    assert await lab.engine.changes(container_id) == (FileChange("/deep", "added"), FileChange("/deep/er", "added"))


@check
async def an_archive_is_bounded(lab: Lab) -> None:
    key = await state(lab, "created")
    await lab.engine.put_archive(key, "/data", tar(("big", "file", b"x" * 300_000)))
    with pytest.raises(EngineError, match="larger than 200000 bytes"):
        await lab.engine.get_archive(key, "/data/big", 200_000)
    assert len(content(await lab.engine.get_archive(key, "/data/big", 400_000), "big")) == 300_000
    found = await lab.engine.inspect(key)
    assert found is not None


@check
async def an_archive_is_named_after_the_last_part(lab: Lab) -> None:
    key = await state(lab, "created")
    await lab.engine.put_archive(key, "/data", tar(("one", "file", b"1"), ("link", "link", "one")))
    for path in ("/data", "/data/", "/data/."):
        assert {"data", "data/one", "data/link"} <= set(listed(await lab.engine.get_archive(key, path, LIMIT)))
    link = listed(await lab.engine.get_archive(key, "/data/link", LIMIT))["link"]
    assert link.issym()
    assert link.linkname == "one"
    with pytest.raises(EngineError, match="not a directory"):
        await lab.engine.put_archive(key, "/data/one", tar(("x", "file", b"1")))


@check
async def what_is_at_a_path_is_told_without_its_content(lab: Lab) -> None:
    key = await state(lab, "created")
    given = tar(("one", "file", b"12345"), ("link", "link", "one"), ("far", "link", "/tmp"))
    await lab.engine.put_archive(key, "/data", given)
    wanted = FileStat(5, 1_000_000_000.0)
    assert await lab.engine.stat(key, "/data/one") == wanted
    assert await lab.engine.stat(key, "/data/link") == wanted
    for path in ("/data", "/data/far"):
        found = await lab.engine.stat(key, path)
        assert found is not None
        assert found.folder
    assert await lab.engine.stat(key, "/data/nosuch") is None
    assert await lab.engine.stat(lab.name("nosuch"), "/data") is None
    await lab.engine.start(key)
    assert await lab.engine.stat(key, "/data/link") == wanted


@check
async def files_of_what_is_not_there_are_not_found(lab: Lab) -> None:
    key = await state(lab, "created")
    with pytest.raises(NotFound, match="Could not find the file /nosuch"):
        await lab.engine.get_archive(key, "/nosuch", LIMIT)
    with pytest.raises(NotFound, match="Could not find the file /nosuch"):
        await lab.engine.put_archive(key, "/nosuch", tar(("x", "file", b"1")))
    missing = lab.name("nosuch")
    for call in (lab.engine.changes(missing), lab.engine.get_archive(missing, "/etc", LIMIT)):
        with pytest.raises(NotFound, match="No such container"):
            await call
    with pytest.raises(NotFound, match="No such container"):
        await lab.engine.put_archive(missing, "/etc", tar(("x", "file", b"1")))


@check
async def an_archive_with_hostile_names_writes_nothing(lab: Lab) -> None:
    key = await state(lab, "created")
    for what, archive in HOSTILE.items():
        with pytest.raises(EngineError):
            await lab.engine.put_archive(key, "/etc", archive)
        assert await lab.engine.changes(key) == (), what


@check
async def names_from_the_root_stay_below_the_folder(lab: Lab) -> None:
    key = await state(lab, "created")
    await lab.engine.put_archive(key, "/etc", tar(("/data/inside", "file", b"x"), ("a/../b", "file", b"y")))
    paths = {change.path for change in await lab.engine.changes(key)}
    assert {"/etc/data/inside", "/etc/b"} <= paths
    assert "/data/inside" not in paths


@check
async def a_folder_gives_way_to_nothing_else(lab: Lab) -> None:
    key = await state(lab, "created")
    with pytest.raises(EngineError, match="cannot overwrite directory"):
        await lab.engine.put_archive(key, "/", tar(("etc", "file", b"x")))
    assert await lab.engine.changes(key) == ()


@check
async def a_read_only_one_takes_no_files(lab: Lab) -> None:
    key = await lab.engine.create(lab.name("a"), body(lab, "serve", HostConfig={"ReadonlyRootfs": True}))
    with pytest.raises(EngineError, match="marked read-only"):
        await lab.engine.put_archive(key, "/etc", tar(("x", "file", b"1")))
