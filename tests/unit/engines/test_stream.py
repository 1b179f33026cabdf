"""Raw engine events as facts; labels and odd engines must not fool us."""

import pytest

from supervisor.clock import ManualClock
from supervisor.engines.docker.link import Link
from supervisor.engines.docker.stream import Records, Stream
from supervisor.errors import EngineGone


@pytest.fixture
def stream():
    return Stream(Link(None, {}), ManualClock(wall=1_760_000_000.0, mono=5.0), "docker")


def raw(action: str, what: str = "container", **attributes: str):
    return {
        "Type": what,
        "Action": action,
        "Actor": {"ID": "abc", "Attributes": attributes},
        "time": 1_759_999_999,
        "timeNano": 1_759_999_999_123_456_789,
    }


def test_a_death(stream):
    event = stream.shape(raw("die", name="a", exitCode="139"))
    assert (event.type, event.kind, event.object_id, event.engine) == ("container", "die", "abc", "docker")
    assert event.time_ns == 1_759_999_999_123_456_789
    assert event.at == pytest.approx(1_759_999_999.123456)
    assert event.mono == 5.0
    assert event.attributes["exitCode"] == "139"


def test_a_stamp_from_the_future_is_not_later_than_its_arrival(stream):
    ahead = raw("die") | {"timeNano": 1_760_000_009_000_000_000}
    event = stream.shape(ahead)
    assert (event.at, event.time_ns) == (1_760_000_000.0, 1_760_000_009_000_000_000)


@pytest.mark.parametrize(("action", "status"), [("health_status: unhealthy", "unhealthy"), ("health_status:ok", "ok")])
def test_health_is_read_from_the_action_not_from_a_label(stream, action, status):
    event = stream.shape(raw(action, health_status="lie"))
    assert (event.kind, event.attributes["health_status"]) == ("health_status", status)


@pytest.mark.parametrize(
    "unused",
    [raw("exec_start: sh"), raw("attach"), raw("create", "volume"), raw("die", "image"), raw(""), {}],
)
def test_kinds_we_do_not_use_are_left_out(stream, unused):
    assert stream.shape(unused) is None


def test_an_engine_without_nanoseconds_or_attributes(stream):
    event = stream.shape({"Type": "image", "Action": "untag", "Actor": {"ID": "i", "Attributes": None}, "time": 12})
    assert (event.time_ns, dict(event.attributes)) == (12_000_000_000, {})


def test_the_events_of_152_carry_nothing_but_their_actor(stream):
    """Since API 1.52 the old fields (`status`, `id`, `from`) are gone."""
    found = stream.shape(
        {
            "Type": "container",
            "Action": "die",
            "Actor": {"ID": "abc", "Attributes": {"execDuration": "3", "exitCode": "1"}},
            "scope": "local",
            "time": 1_759_999_999,
            "timeNano": 1_759_999_999_123_456_789,
        }
    )
    assert (found.kind, found.object_id, found.attributes["exitCode"]) == ("die", "abc", "1")


ONE, TWO = b'{"Type":"a","Actor":{"ID":"\xc3\xa9"}}', b'{"Type":"b}\\n{"}'


@pytest.mark.parametrize(
    "framed",
    [ONE + b"\n" + TWO + b"\n", ONE + b"\r\n\r\n" + TWO + b"\r\n", b"\x1e" + ONE + b"\n\x1e" + TWO + b"\n", ONE + TWO],
    ids=["lines", "carriage returns", "json-seq", "nothing between"],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_records_are_found_however_they_are_framed(framed, size):
    records, found = Records(), []
    for start in range(0, len(framed), size):
        found += records.feed(framed[start : start + size])
    assert [record["Type"] for record in found] == ["a", "b}\n{"]
    assert found[0]["Actor"]["ID"] == "\u00e9"


def test_a_line_that_makes_no_sense_is_dropped_and_the_next_is_read():
    assert Records().feed(b'{"Type": oops\n[1]\n12\n' + ONE + b"\n")[0]["Type"] == "a"


def test_a_record_without_an_end_ends_the_stream():
    with pytest.raises(EngineGone):
        Records().feed(b'{"Type":"' + b"x" * (2 << 20))
