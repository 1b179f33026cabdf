"""Under whose labels others' samples go into the store."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.made import ours
from supervisor.facts import labels
from supervisor.signals.scrapes.relabel import dress

OWN = {"job": "oracle", "instance": "oracle:8000", "name": "box-oracle-1"}
NAMES = st.sampled_from(["job", "instance", "name", "exported_job", "exported_exported_job", "model", "le"])


def test_the_targets_labels_win_and_the_pages_are_kept_beside_them() -> None:
    found = dress([("x", {"job": "evil", "name": "letta", "model": "m"}, 1.0)], OWN)
    (sample,) = found.samples
    assert sample.labels == labels("x", **OWN, model="m", exported_job="evil", exported_name="letta")


def test_exported_names_that_are_taken_get_another_exported() -> None:
    offered = [("x", {"job": "a", "exported_job": "b", "exported_exported_job": "c"}, 1.0)]
    (sample,) = dress(offered, {"job": "own"}).samples
    assert dict(sample.labels) == {
        "__name__": "x",
        "job": "own",
        "exported_job": "b",
        "exported_exported_job": "c",
        "exported_exported_exported_job": "a",
    }


def test_honoured_labels_stay_and_missing_ones_are_added() -> None:
    (sample,) = dress([("x", {"job": "theirs"}, 1.0)], OWN, honor=True).samples
    assert sample.labels == labels("x", job="theirs", instance="oracle:8000", name="box-oracle-1")


def test_names_that_only_we_speak_are_left_out_and_counted() -> None:
    page = [
        (name, {"name": "oracle"}, 1.0)
        for name in ("up", "ALERTS", "ALERTS_FOR_STATE", "scrape_anything", "resurgam_service_healthy", "resurgam_new")
    ]
    page += [("container_memory_usage_bytes", {"id": "/"}, 1.0)] * 2 + [("vllm:requests", {}, 1.0)]
    found = dress(page, OWN, ours=ours)
    assert [dict(one.labels)["__name__"] for one in found.samples] == ["vllm:requests"]
    assert found.left_out == dict.fromkeys([name for name, _, _ in page[:6]], 1) | {"container_memory_usage_bytes": 2}
    assert len(dress(page, OWN).samples) == len(page)


def test_a_value_that_cannot_be_shown_is_made_plain() -> None:
    (sample,) = dress([("x", {"a": "one\ntwo\x1b[31m", "empty": ""}, 1.0)], {}).samples
    assert sample.labels == labels("x", a="one\N{REPLACEMENT CHARACTER}two\N{REPLACEMENT CHARACTER}[31m")


@given(st.dictionaries(NAMES, st.text("ab", max_size=2)), st.dictionaries(NAMES, st.text("xy", max_size=2)))
def test_nothing_a_page_says_is_lost_and_nothing_replaces_the_targets(
    said: dict[str, str], own: dict[str, str]
) -> None:
    (sample,) = dress([("m", said, 1.0)], own).samples
    found = dict(sample.labels)
    assert {name: found[name] for name, value in own.items() if value} == {k: v for k, v in own.items() if v}
    kept = sorted(value for value in said.values() if value)
    theirs = sorted(value for name, value in found.items() if name != "__name__" and value[0] in "ab")
    assert theirs == kept
    assert sample.labels == tuple(sorted(sample.labels))
