"""What is learned of what a service needs: from good loads, per image, within bounds."""

from dataclasses import replace

import pytest

from supervisor.facts import Container, Needs, Service
from supervisor.memory import learned
from supervisor.memory.learned import Footprints, Learned
from supervisor.verdicts import yes

GIB, PROOF, AT = float(1 << 30), 600.0, 1_760_000_000.0


def service(image: str = "sha256:a", name: str = "oracle", **more: object) -> Service:
    box = Container("c1", name, image, "img", **({"status": "running", "started_at": AT} | more))
    return Service(name, "docker", box, yes(), healthy=True)


def watched(known: Learned, one: Service, *sizes: float, begins: float = 0.0, every: float = 100.0) -> bool:
    found = False
    for number, size in enumerate(sizes):
        mono = begins + number * every
        found = known.saw(one, size * GIB, AT + mono, mono, PROOF) or found
    return found


def test_after_the_proof_its_largest_use_is_its_plan_and_a_little_more():
    known = Learned({})
    assert not watched(known, service(), 1, 9, 8, 8, 8, 8)
    assert known.plans("oracle") == {}
    assert watched(known, service(), 8, begins=600.0)
    assert known.plans("oracle") == {"sha256:a": pytest.approx(9.9 * GIB)}


def test_a_leak_afterwards_is_not_learned():
    known = Learned({})
    watched(known, service(), *[9] * 7, *[20 + n for n in range(20)])
    assert known.plans("oracle") == {"sha256:a": pytest.approx(9.9 * GIB)}


def test_a_tenth_of_a_large_model_is_not_added():
    known = Learned({})
    watched(known, service(), *[300] * 7)
    assert known.plans("oracle")["sha256:a"] == 304 * GIB


def test_one_that_was_not_well_for_so_long_teaches_nothing():
    known = Learned({})
    for mono in range(0, 2000, 100):
        well = mono % 500 != 0
        known.saw(replace(service(), healthy=well), 9 * GIB, 0.0, float(mono), PROOF)
    assert known.plans("oracle") == {}


def test_one_that_stands_still_was_well_before_and_a_new_run_was_not_yet():
    known = Learned({})
    watched(known, service(), 9)
    watched(known, replace(service(status="paused"), healthy=False), 9, begins=100.0)
    watched(known, replace(service(), healthy=False), 9, begins=200.0)
    assert known.was_well("oracle")
    watched(known, replace(service(started_at=AT + 300), healthy=False), 9, begins=300.0)
    assert not known.was_well("oracle")
    watched(known, service(status="exited"), 9, begins=400.0)
    assert not known.was_well("oracle")


def test_where_only_running_can_be_seen_a_declared_load_is_waited_for():
    known, one = Learned({}), replace(service(), needs=Needs(startup=1500.0))
    watched(known, one, *[9] * 20)
    assert known.plans("oracle") == {}
    watched(known, one, 9, begins=2100.0)
    assert known.plans("oracle") != {}


def test_each_image_by_itself_and_a_new_load_is_learned_anew():
    known = Learned({})
    watched(known, service(), *[9] * 7)
    watched(known, service("sha256:b", started_at=AT + 1000), *[20] * 7, begins=1000.0)
    watched(known, service("sha256:a", started_at=AT + 3000), *[5] * 7, begins=3000.0)
    assert known.plans("oracle")["sha256:b"] == pytest.approx(22 * GIB)
    assert known.plans("oracle")["sha256:a"] == pytest.approx(9.9 * GIB), "the largest of the last loads"
    for number in range(3):
        watched(known, service(started_at=AT + 5000 + 1000 * number), *[5] * 7, begins=5000.0 + 1000 * number)
    assert known.plans("oracle")["sha256:a"] == pytest.approx(5.5 * GIB)


def test_a_leak_that_was_not_seen_from_its_start_is_not_learned_as_a_load():
    known = Learned({})
    watched(known, service(), *[9] * 7)
    kept = {name: value for name, value in known.take_puts().items() if value is not None}
    for begins in (90_000.0, 190_000.0, 290_000.0):  # three starts of ours, while it leaks for days
        again = Learned(kept)
        assert not watched(again, service(), *[30] * 9, begins=begins)
        assert again.plans("oracle") == {"sha256:a": pytest.approx(9.9 * GIB)}
        assert again.take_puts() == {}
    first = Learned({})
    assert watched(first, service(), *[30] * 9, begins=90_000.0), "nothing better is known"
    soon = Learned(kept)
    assert watched(soon, service(started_at=AT + 800), *[12] * 9, begins=900.0), "we came back while it loaded"


def test_it_outlives_a_restart_and_what_cannot_be_read_is_dropped():
    known = Learned({})
    watched(known, service(), *[9] * 7)
    kept = {name: value for name, value in known.take_puts().items() if value is not None}
    assert known.take_puts() == {}
    again = Learned({**kept, "bad": {"images": "?"}})
    assert again.plans("oracle") == known.plans("oracle")
    assert again.take_puts() == {"bad": None}


def test_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learned, "SERVICES", 3)
    known = Learned({})
    for number in range(5):
        one = service(name=f"s{number}")
        watched(known, one, *[1] * 7, begins=1000.0 * number)
    assert [name for name in (f"s{n}" for n in range(5)) if known.plans(name)] == ["s2", "s3", "s4"]
    assert known.take_puts()["s0"] is None
    many = Footprints()
    for number in range(9):
        many = many.one_more(f"sha256:{number}", 1.0, float(number))
    assert len(many.images) == learned.IMAGES
