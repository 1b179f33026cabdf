"""The table of faults: what is shipped holds together, and an owner's entries count instead of ours."""

from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.facts import RECOVERIES
from supervisor.gpu.xids import BY_VERDICT, CLASSES, REMEDIES, load, parse, shipped
from supervisor.kernel.xidlines import KINDS
from supervisor.units import plain


def test_every_shipped_entry_has_a_source_and_reads_as_the_end_of_a_sentence() -> None:
    table = shipped()
    for named, entry in [*table.xids.items(), *table.messages.items()]:
        assert entry.sources, named
        assert entry.kind in CLASSES, named
        assert entry.remedy in REMEDIES, named
        assert entry.name == plain(entry.name, 100), named
        assert not entry.name.endswith("."), named
        assert not entry.hint or entry.hint.endswith("."), named


def test_every_message_that_the_log_is_searched_for_is_in_the_table() -> None:
    assert set(shipped().messages) == set(KINDS)


def test_every_verdict_of_the_driver_has_a_remedy() -> None:
    assert set(BY_VERDICT) == set(RECOVERIES)
    assert set(BY_VERDICT.values()) <= set(REMEDIES)


def test_after_these_faults_the_driver_is_not_asked_any_more() -> None:
    table = shipped()
    assert [xid for xid in sorted(table.xids) if table.quiets(xid)] == [79, 119, 120]
    assert [kind for kind in KINDS if table.quiets(0, kind)] == ["lost"]


@pytest.mark.parametrize(
    ("xid", "kind", "remedy"),
    [
        (13, "app", "restart"),
        (31, "app", "restart"),
        (45, "app", "none"),
        (48, "memory", "reset"),
        (63, "info", "tell"),
        (64, "memory", "replace"),
        (79, "bus", "reboot"),
        (94, "app", "restart"),
        (95, "memory", "reset"),
        (119, "firmware", "reset"),
    ],
)
def test_well_known_faults_call_for_what_everybody_says(xid: int, kind: str, remedy: str) -> None:
    entry = shipped().of(xid)
    assert (entry.kind, entry.remedy) == (kind, remedy)


def test_a_fault_that_nobody_listed_is_told_and_nothing_more() -> None:
    entry = shipped().of(9_999)
    assert (entry.kind, entry.remedy, entry.quiet) == ("unknown", "tell", False)
    assert "9999" in entry.name


# ---------------------------------------------------------------- the owner's own


def write(folder: Path, text: str) -> Path:
    file = folder / "xids.yaml"
    file.write_text(text, "utf-8")
    return file


def test_an_entry_of_the_owners_counts_instead_of_ours_and_the_others_stay(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "xids: [{xid: 79, name: is gone, class: bus, remedy: power}]\n"
        "messages: [{message: heartbeat, name: sleeps, class: info, remedy: none}]\n",
    )
    table, wrong = load(file)
    assert wrong == ()
    assert (table.of(79).remedy, table.of(79).quiet) == ("power", False)
    assert table.of(0, "heartbeat").kind == "info"
    assert table.of(119) == shipped().of(119)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("xids: [{xid: 79, name: is gone, class: bus, remedy: explode}]\n", "remedy"),
        ("xids: [{xid: 79, name: is gone, class: space, remedy: tell}]\n", "class"),
        ("xids: [{xid: 0, name: x, class: bus, remedy: tell}]\n", "xid"),
        ("xids: [{xid: 5, name: x, class: bus, remedy: tell}, {xid: 5, name: y, class: bus, remedy: tell}]\n", "XID 5"),
        ("xids: [{xid: 5, name: x, class: bus, remedy: tell, sources: [me]}]\n", "'me'"),
        ("messages: [{message: dance, name: x, class: bus, remedy: tell}]\n", "message"),
        ("rows: []\n", "rows"),
        ("xids: {79: none}\n", "xids"),
    ],
)
def test_a_bad_file_is_left_out_as_a_whole_and_says_where_it_is_bad(tmp_path: Path, text: str, says: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        parse(text, str(file))
    table, wrong = load(file)
    assert table == shipped()
    assert wrong
    assert str(file) in wrong[0]
    assert any(says in line for line in wrong), wrong
    assert says in str(caught.value)


def test_a_file_that_is_not_there_or_too_long_or_no_text_is_told_of(tmp_path: Path) -> None:
    table, wrong = load(tmp_path / "nothing.yaml")
    assert table == shipped()
    assert "cannot be read" in wrong[0]
    (tmp_path / "long.yaml").write_text("# " + "x" * (300 << 10), "utf-8")
    assert "longer than" in load(tmp_path / "long.yaml")[1][0]
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in load(tmp_path / "raw.yaml")[1][0]


def test_a_file_that_others_may_write_is_not_obeyed(tmp_path: Path) -> None:
    file = write(tmp_path, "xids: [{xid: 79, name: is gone, class: bus, remedy: none}]\n")
    file.chmod(0o666)
    table, wrong = load(file, trust_uid=file.stat().st_uid)
    assert table == shipped()
    assert "chmod go-w" in wrong[0]


def test_without_a_file_ours_counts() -> None:
    assert load("") == (shipped(), ())
