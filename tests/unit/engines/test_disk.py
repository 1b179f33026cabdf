"""What an engine keeps on disk, from the older and the newer form of its answer."""

from typing import Any

from supervisor.engines.docker.disk import KINDS, use

OLDER: dict[str, Any] = {
    "LayersSize": 1000,
    "Images": [
        {"Id": "a", "Size": 600, "SharedSize": 400, "Containers": 1},
        {"Id": "b", "Size": 500, "SharedSize": 400, "Containers": 0},
        {"Id": "c", "Size": 300, "SharedSize": 0, "Containers": 0},
        {"Id": "d", "Size": -1, "SharedSize": -1, "Containers": 0},
    ],
    "Containers": [
        {"Id": "x", "State": "running", "SizeRw": 50},
        {"Id": "y", "State": "exited", "SizeRw": 7},
        {"Id": "z", "State": "created"},
        {"Id": "p", "State": "paused", "SizeRw": 2},
    ],
    "Volumes": [
        {"Name": "v", "UsageData": {"Size": 20, "RefCount": 1}},
        {"Name": "w", "UsageData": {"Size": 30, "RefCount": 0}},
        {"Name": "remote", "UsageData": {"Size": -1, "RefCount": 0}},
        {"Name": "untold", "UsageData": None},
    ],
    "BuildCache": [
        {"ID": "1", "Size": 11, "InUse": False, "Shared": False},
        {"ID": "2", "Size": 13, "InUse": True, "Shared": False},
        {"ID": "3", "Size": 17, "InUse": False, "Shared": True},
    ],
}


def test_what_is_used_and_what_nothing_uses() -> None:
    found = use(OLDER)
    assert found.used == {"images": 1000.0, "containers": 59.0, "volumes": 50.0, "build_cache": 24.0}
    assert found.reclaimable == {"images": 400.0, "containers": 7.0, "volumes": 30.0, "build_cache": 11.0}


def test_a_base_that_is_still_in_use_is_not_counted_as_free_to_go() -> None:
    """`docker system df` says 900 here: all but what the one used image has alone."""
    images = [{"Size": 900, "SharedSize": 800, "Containers": 1}, {"Size": 900, "SharedSize": 800, "Containers": 0}]
    assert use({"LayersSize": 1000, "Images": images}).reclaimable["images"] == 100.0


def test_where_no_image_is_used_all_of_them_are_free_to_go_shared_or_not() -> None:
    images = [{"Size": 900, "SharedSize": 800, "Containers": 0}] * 2
    assert use({"LayersSize": 1000, "Images": images}).reclaimable["images"] == 1000.0


def test_the_newer_form_has_a_summary_and_the_rows_on_demand() -> None:
    rows = {"Images": "ImageUsage", "Containers": "ContainerUsage", "Volumes": "VolumeUsage"}
    newer = {name: {"Items": OLDER[old]} for old, name in rows.items()}
    newer["BuildCacheUsage"] = {"Items": OLDER["BuildCache"]}
    newer["ImageUsage"]["TotalSize"] = 1000
    assert use(newer) == use(OLDER)


def test_the_newer_form_without_rows_is_taken_at_its_word() -> None:
    names = ("ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage")
    found = use({name: {"TotalSize": 10 * n, "Reclaimable": n} for n, name in enumerate(names, 1)})
    assert list(found.used.values()) == [10.0, 20.0, 30.0, 40.0]
    assert list(found.reclaimable.values()) == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_answer_says_nothing_is_there() -> None:
    found = use({"Images": None, "BuildCache": None})
    assert found.used == found.reclaimable == dict.fromkeys(KINDS, 0.0)
