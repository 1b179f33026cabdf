"""Names and labels from outside become ids, series labels and temporary names that are safe everywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.services import canonical, canonical_ref, is_temp, safe_id, series_labels, temp_name
from supervisor.services.names import ID_LIMIT, LABEL_LIMIT, ROLES
from tests.unit.services.world import compose


@pytest.mark.parametrize("role", ROLES)
def test_a_temporary_name_is_known_again_and_leads_back(role: str) -> None:
    made = temp_name("box-oracle-1", role, "1f2e3d")
    assert made == f"box-oracle-1.resurgam-{role}-1f2e3d"
    assert is_temp(made)
    assert canonical(made, {}) == "box-oracle-1"


@pytest.mark.parametrize(("role", "op"), [("old", "ab12"), ("new", ""), ("new", "a/b"), ("", "ab")])
def test_a_temporary_name_that_would_not_be_known_again_is_refused(role: str, op: str) -> None:
    with pytest.raises(ValueError, match="temporary"):
        temp_name("oracle", role, op)


@pytest.mark.parametrize(
    "name", ["oracle", "resurgam-new-ab12", "oracle.resurgam-old-ab12", "oracle.resurgam-new-", ""]
)
def test_other_names_are_not_temporary(name: str) -> None:
    assert not is_temp(name)


def test_composes_aside_name_is_undone_for_compose_only() -> None:
    assert canonical("0123456789ab_box_oracle_1", compose()) == "box_oracle_1"
    assert canonical("0123456789ab_box_oracle_1", {}) == "0123456789ab_box_oracle_1"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("box.oracle", "box.oracle"),
        ("a/b#c+d", "a~2Fb~23c~2Bd"),
        ("tilde~", "tilde~7E"),
        ("ü", "~C3~BC"),
        ("a\nb", "a~0Ab"),
        ("host", "~68ost"),
        ("daemon", "~64aemon"),
        ("-rf", "~2Drf"),
        ("..", "~2E."),
        ("", "~"),
    ],
)
def test_an_id_is_one_word_and_no_word_of_ours(text: str, made: str) -> None:
    assert safe_id(text) == made


@given(st.text(max_size=300), st.text(max_size=300))
def test_every_id_is_safe_bounded_and_its_own(one: str, other: str) -> None:
    made = safe_id(one)
    assert re.fullmatch(r"[A-Za-z0-9_~][A-Za-z0-9_.~-]*", made)
    assert len(made) <= ID_LIMIT
    assert (made == safe_id(other)) == (one == other)


def test_ten_kilobytes_of_name_stay_apart() -> None:
    assert safe_id("x" * 10_000 + "a") != safe_id("x" * 10_000 + "b")
    assert len(series_labels("x" * 10_000, {})["name"]) == LABEL_LIMIT


def test_series_labels_carry_the_canonical_name_and_compose_and_nothing_else() -> None:
    has = compose("box", "or\nacle", **{"resurgam.enable": "true", "maintainer": "x"})
    assert series_labels("box-oracle-1.resurgam-parked-ab12", has) == {
        "name": "box-oracle-1",
        "container_label_com_docker_compose_project": "box",
        "container_label_com_docker_compose_service": "or\N{REPLACEMENT CHARACTER}acle",
    }
    assert series_labels("oracle", {}) == {"name": "oracle"}


@pytest.mark.parametrize(
    ("ref", "long"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("docker.io/library/busybox:latest", "docker.io/library/busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("local/oracle:1", "docker.io/local/oracle:1"),
        ("localhost:5000/oracle", "localhost:5000/oracle:latest"),
        ("ghcr.io/a/b:2", "ghcr.io/a/b:2"),
        ("sha256:" + "a" * 64, ""),
        ("a" * 64, ""),
        ("oracle@sha256:" + "a" * 64, ""),
        ("", ""),
    ],
)
def test_a_reference_has_one_spelling_and_ids_have_none(ref: str, long: str) -> None:
    assert canonical_ref(ref) == long
