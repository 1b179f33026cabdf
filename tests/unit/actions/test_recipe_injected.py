"""Files that compose put into a container come along; what the app wrote, and what a hostile container offers, not."""

import asyncio
import io
import tarfile

import pytest

from supervisor.actions.recipe import injected
from supervisor.errors import EngineError, EngineGone, EngineTimeout, NotFound
from supervisor.ports import FileChange, FileStat

CREATED, STARTED = "2026-01-01T00:00:00Z", "2026-01-01T00:00:05.5Z"
AT = 1767225600
"""CREATED in unix seconds"""
COMPOSED = {"com.docker.compose.project": "ai"}


def entry(name, data=b"x", *, kind=tarfile.REGTYPE, mode=0o444, mtime=AT + 3, link="", uid=0):
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.mtime, made.linkname, made.uid, made.gid = kind, mode, mtime, link, uid, uid
    made.size = len(data) if kind == tarfile.REGTYPE else 0
    return made, data


def archive(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for made, data in entries:
            tar.addfile(made, io.BytesIO(data) if made.isreg() else None)
    return out.getvalue()


class Box:
    """A container's files: path -> (archive, mtime). Knows what it was asked for."""

    def __init__(self, files, extra=()):
        self.files, self.asked = files, []
        self.rows = [FileChange(path, "added") for path in files] + list(extra)

    async def changes(self, key):
        return tuple(sorted(self.rows, key=lambda row: row.path))

    async def stat(self, key, path):
        self.asked.append(path)
        found = self.files.get(path)
        return FileStat(len(found[0]), found[1]) if found else None

    async def get_archive(self, key, path, limit):
        if path not in self.files:
            raise NotFound(path)
        data = self.files[path][0]
        if len(data) > limit:
            raise EngineError(f"{path} is larger than {limit} bytes")
        return data


def raw(labels=COMPOSED, started=STARTED, mounts=(), **host):
    return {
        "Id": "c" * 64,
        "Created": CREATED,
        "Config": {"Labels": labels},
        "HostConfig": host,
        "State": {"StartedAt": started},
        "Mounts": list(mounts),
    }


def file(path, mtime=AT + 3.0, **more):
    return path, (archive(entry(path.rpartition("/")[2], mtime=int(mtime), **more)), mtime)


def found(files, shown=None, extra=()):
    return asyncio.run(injected.find(Box(dict(files), extra), shown or raw()))


def paths(*given, shown=None, extra=()):
    return [each.path for each in found(given, shown, extra).files]


def test_what_compose_put_there_before_the_start_is_carried_with_owner_and_mode():
    got = found([file("/app.conf", data=b"secret words", mode=0o640, uid=7), file("/run/secrets/key")])
    assert [each.path for each in got.files] == ["/run/secrets/key", "/app.conf"]
    assert (got.files[1].mode, got.files[1].uid, got.files[1].gid) == (0o640, 7, 7)
    assert [trait.kind for trait in got.traits] == ["kept", "kept"]
    assert "secret words" not in repr(got.traits)


def test_what_the_app_wrote_itself_stays_behind():
    assert paths(file("/log", AT + 3.25)) == [], "a write leaves a fraction of a second, an archive does not"
    assert paths(file("/late", AT + 60.0)) == [], "it came after the start"
    assert paths(file("/ancient", 1000.0)) == [], "an archive that the app unpacked keeps its own old times"


def test_a_container_that_compose_did_not_make_is_left_alone():
    assert paths(file("/app.conf"), shown=raw(labels={"mine": "1"})) == []


def test_what_lies_on_a_mount_or_is_the_engines_is_not_copied():
    mounts = [{"Destination": "/data"}]
    shown = raw(mounts=mounts, Tmpfs={"/scratch": ""}, Mounts=[{"Target": "/m"}])
    given = [file(path) for path in ("/data/a", "/scratch/a", "/m/a", "/etc/hosts", "/dev/x", "/database/a")]
    assert paths(*given, shown=shown) == ["/database/a"]


@pytest.mark.parametrize(
    "bad",
    [
        archive(entry("app.conf", kind=tarfile.SYMTYPE, link="/etc/shadow")),
        archive(entry("app.conf", kind=tarfile.LNKTYPE, link="/etc/shadow")),
        archive(entry("app.conf", kind=tarfile.CHRTYPE)),
        archive(entry("app.conf", kind=tarfile.FIFOTYPE)),
        archive(entry("app.conf", kind=tarfile.DIRTYPE)),
        archive(entry("../app.conf/evil")),
        archive(entry("other")),
        archive(entry("app.conf"), entry("../../etc/passwd")),
        archive(),
        b"not a tar",
        archive(entry("app.conf", b"y" * 5000))[:1200],
    ],
)
def test_nothing_but_one_plain_file_is_taken_from_an_archive(bad):
    assert found([("/app.conf", (bad, AT + 3.0))]).files == ()


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a/./b", "//a", "/a\n", "/a\x1b[2J", "/" + "x" * 2000, "/a/"])
def test_a_name_that_climbs_or_cannot_be_shown_is_not_even_asked_for(path):
    box = Box({path: (archive(entry("a")), AT + 3.0)})
    assert asyncio.run(injected.find(box, raw())).files == ()
    assert box.asked == []


def test_a_file_that_is_too_large_and_too_many_together_are_said_not_copied():
    got = found([("/run/secrets/big", (archive(entry("big", b"z" * (2 << 20))), AT + 3.0))])
    assert got.files == ()
    assert [(trait.kind, trait.what) for trait in got.traits] == [("lost", "file /run/secrets/big")]
    many = [file(f"/etc/f{number}", data=b"z" * (1 << 20)) for number in range(10)]
    got = found(many)
    assert len(got.files) == 8
    assert [trait.kind for trait in got.traits].count("lost") == 2


def test_a_folder_full_of_new_files_is_the_apps_own():
    given = [file(f"/cache/f{number}") for number in range(30)]
    assert paths(*given, file("/app.conf")) == ["/app.conf"]


def test_new_folders_on_the_way_come_along_and_a_second_packing_is_the_same():
    box = Box(
        dict([file("/run/secrets/deep/key")]), [FileChange("/run", "modified"), FileChange("/run/secrets", "added")]
    )
    box.files["/run/secrets"] = (archive(entry("secrets", kind=tarfile.DIRTYPE, mode=0o700)), 0.0)
    got = asyncio.run(injected.find(box, raw()))
    assert got.folders == (("/run/secrets", 0o700, 0, 0),)
    packed = injected.pack(got)
    assert packed == injected.pack(got)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = [(each.name, each.type, oct(each.mode)) for each in tar]
    assert names == [("run/secrets", tarfile.DIRTYPE, "0o700"), ("run/secrets/deep/key", tarfile.REGTYPE, "0o444")]


class Hand:
    """Enough of a plan's hand: it reads once."""

    def __init__(self, box):
        self.engine = box

    async def read(self, look, until=None):
        return await look()


def test_carrying_puts_them_at_the_root_of_the_new_container():
    put = []

    class Taking(Box):
        async def put_archive(self, key, path, tar):
            put.append((key, path, tar))

        async def raw(self, key):
            return {"Created": "2026-01-01T00:01:40.7Z"}

    box = Taking(dict([file("/app.conf")]))
    traits = asyncio.run(injected.carry(Hand(box), raw(), "new"))
    assert [(key, path) for key, path, _tar in put] == [("new", "/")]
    with tarfile.open(fileobj=io.BytesIO(put[0][2])) as tar:
        assert [each.mtime for each in tar] == [AT + 100], "so that the next recreation knows it for compose's, too"
    assert [trait.what for trait in traits] == ["file /app.conf"]
    nothing = Taking({})
    assert asyncio.run(injected.carry(Hand(nothing), raw(), "new")) == ()
    assert len(put) == 1


def test_an_engine_that_does_not_say_in_time_what_was_written_is_no_reason_to_wait_for_ever():
    class Slow(Box):
        async def changes(self, key):
            raise EngineTimeout("late")

    (trait,) = asyncio.run(injected.carry(Hand(Slow({})), raw(), "new"))
    assert trait.kind == "lost"
    assert "docker diff" in trait.how


def test_an_engine_that_goes_away_in_the_middle_is_not_taken_for_a_large_file():
    class Gone(Box):
        async def get_archive(self, key, path, limit):
            raise EngineGone("gone")

    with pytest.raises(EngineGone):
        asyncio.run(injected.find(Gone(dict([file("/run/secrets/key", data=b"z" * (2 << 20))])), raw()))


def test_a_container_that_never_ran_has_only_what_others_put_there():
    assert paths(file("/app.conf"), shown=raw(started="0001-01-01T00:00:00Z")) == ["/app.conf"]
