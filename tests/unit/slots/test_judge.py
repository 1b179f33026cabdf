"""GO or NO-GO, and the lines that say why."""

from dataclasses import replace

import pytest

from supervisor.facts import Bench, Completion, Criteria
from supervisor.slots import judge
from supervisor.slots.judge import GO, NO_GO, Declared, Shown, headline, verdict, why

GIB = 2**30
BENCH = Bench(1.0, "oracle", "b", runs=3, rate=15.2, prompt_rate=210.0, first_token=0.4, spread=0.02)
BEFORE = Bench(0.0, "oracle", "a", runs=3, rate=10.9)


def judged(criteria, **shown):
    declared = shown.pop("declared", Declared())
    return judge.judge(criteria, Shown(**({"bench": BENCH, "before": BEFORE} | shown)), declared)


def line(lines, what):
    return next(one for one in lines if one.what == what)


def test_without_a_criterion_figures_are_shown_and_refuse_nothing():
    lines = judged(Criteria(), memory=GIB, vram={"GPU-aa": GIB}, errors=99)
    assert verdict(lines) == GO
    assert {one.ok for one in lines} == {None}
    assert [one.what for one in lines] == ["tokens/s", "prompt tokens/s", "first token", "memory", "vram GPU-aa"]


@pytest.mark.parametrize(
    ("criteria", "shown", "says"),
    [
        (Criteria(rate=16.0), {}, "15.2 tokens/s, wanted 16 at least"),
        (Criteria(rate=16.0, rate_wanted=20.0), {}, "15.2 tokens/s, wanted 16 at least"),
        (Criteria(prompt_rate=300.0), {}, "210 prompt tokens/s, wanted 300 at least"),
        (Criteria(ratio=1.5), {}, "ratio: 1.39 times a (10.9), wanted 1.5 times at least"),
        (Criteria(first_token=0.2), {}, "first token: 400 ms, wanted 200ms at most"),
        (Criteria(memory=GIB), {"memory": 2.0 * GIB}, "memory: 2 GiB, wanted 1 GiB at most"),
        (
            Criteria(vram=(("GPU-aa", GIB),)),
            {"vram": {"GPU-aa": 2.0 * GIB}},
            "vram GPU-aa: 2 GiB, wanted 1 GiB at most",
        ),
        (Criteria(vram=(("", GIB),)), {"vram": {"GPU-aa": 2.0 * GIB}}, "vram GPU-aa: 2 GiB, wanted 1 GiB at most"),
        (Criteria(log=("CUDA",)), {"log": ("CUDA error 700",)}, "log: CUDA error 700, wanted none of its patterns"),
        (Criteria(errors=2), {"errors": 3}, "errors: 3, wanted 2 at most"),
        (Criteria(rate=1.0), {"bench": replace(BENCH, rate=0.0)}, "not told tokens/s, wanted 1 at least"),
        (Criteria(first_token=1.0), {"bench": replace(BENCH, first_token=0.0)}, "first token: not told"),
    ],
)
def test_each_criterion_refuses(criteria, shown, says):
    lines = judged(criteria, **shown)
    assert verdict(lines) == NO_GO
    assert says in why(lines)


@pytest.mark.parametrize(
    ("criteria", "shown"),
    [
        (Criteria(rate=15.2), {}),
        (Criteria(ratio=1.39), {}),
        (Criteria(ratio=2.0), {"before": None}),
        (Criteria(memory=GIB), {"memory": float(GIB)}),
        (Criteria(errors=3), {"errors": 3}),
        (Criteria(errors=3), {"errors": -1}),
        (Criteria(rate=12.0, rate_wanted=20.0), {}),
        (Criteria(rate=12.0), {"bench": replace(BENCH, runs=0, rate=0.0)}),
    ],
)
def test_what_is_just_enough_or_cannot_be_compared_does_not(criteria, shown):
    assert verdict(judged(criteria, **shown)) == GO


def test_less_than_was_hoped_for_is_said_and_refuses_nothing():
    lines = judged(Criteria(rate=12.0, rate_wanted=20.0, prompt_rate_wanted=1e6))
    assert verdict(lines) == GO
    assert line(lines, "tokens/s").found.endswith(", less than hoped for")
    assert line(lines, "prompt tokens/s").found.endswith(", less than hoped for")
    assert "hoped" not in line(judged(Criteria(rate=12.0, rate_wanted=15.2)), "tokens/s").found
    low = judged(Criteria(rate=16.0, rate_wanted=20.0))
    assert headline(low, BENCH, None) == "15.2 tokens/s, wanted 16 at least"


def test_sizes_are_written_as_they_were_declared():
    found = line(judged(Criteria(memory=341 * 10**9), memory=298e9), "memory")
    assert (found.found, found.wanted) == ("298 GB", "341 GB at most")
    card = line(judged(Criteria(vram=(("0", 92 * GIB),)), vram={"0": 90.0 * GIB}), "vram 0")
    assert (card.found, card.wanted) == ("90 GiB", "92 GiB at most")


@pytest.mark.parametrize(("used", "verdict_"), [(104, GO), (105, GO), (106, NO_GO)])
def test_what_is_only_declared_is_no_bound_to_the_byte_and_a_criterion_is(used, verdict_):
    declared = Declared(100 * GIB, (("GPU-aa", 100 * GIB),))
    found = judged(Criteria(), memory=float(used * GIB), declared=declared)
    assert verdict(found) == verdict_
    assert line(found, "memory").wanted == "105 GiB at most (100 GiB are declared)"
    assert verdict(judged(Criteria(), vram={"GPU-aa": float(used * GIB)}, declared=declared)) == verdict_
    exact = judged(Criteria(memory=103 * GIB), memory=104.0 * GIB, declared=declared)
    assert why(exact) == "memory: 104 GiB, wanted 103 GiB at most"
    said = Criteria(vram=(("", 103 * GIB),))
    assert "wanted 103 GiB" in why(judged(said, vram={"GPU-aa": 104.0 * GIB}, declared=declared))


def test_a_card_of_which_nothing_is_declared_has_no_bound():
    assert verdict(judged(Criteria(), vram={"GPU-bb": 1e15}, declared=Declared(0, (("GPU-aa", GIB),)))) == GO
    assert verdict(judged(Criteria(), vram={"GPU-bb": 1e15}, declared=Declared(0, (("", GIB),)))) == NO_GO


def test_figures_that_would_read_the_same_say_by_how_much_they_differ():
    found = judged(Criteria(memory=100 * GIB), memory=100.0 * GIB + 50 * 2**20)
    assert why(found) == "memory: 100 GiB (50 MiB too much), wanted 100 GiB at most"
    card = judged(Criteria(vram=(("0", 90 * 10**9),)), vram={"0": 90e9 + 20e6})
    assert why(card) == "vram 0: 90 GB (20 MB too much), wanted 90 GB at most"
    found = judged(Criteria(), memory=105.0 * GIB + 2**20, declared=Declared(100 * GIB))
    assert why(found) == "memory: 105 GiB (1 MiB too much), wanted 105 GiB at most (100 GiB are declared)"


def test_a_wrong_canary_refuses_and_is_quoted():
    lines = judged(Criteria(), bench=replace(BENCH, canaries=3, failed=("canary 2 answered 'zq'",)))
    assert verdict(lines) == NO_GO
    assert line(lines, "canaries").found == "2 of 3 right: canary 2 answered 'zq'"


def test_what_people_read_first():
    good, bad = judged(Criteria(rate=12.0)), judged(Criteria(rate=16.0))
    assert headline(good, BENCH, BEFORE) == "15.2 tokens/s (a: 10.9)"
    assert headline(bad, BENCH, BEFORE) == "15.2 tokens/s, wanted 16 at least (a: 10.9)"
    log = judged(Criteria(log=("CUDA",)), log=("CUDA error",))
    assert headline(log, BENCH, BEFORE).startswith("log: CUDA error")
    assert headline((), None, None) == ""


def test_medians_and_their_spread():
    runs = [Completion("x", 1.0, first, 10, 5, rate, 100.0) for first, rate in ((0.3, 9.0), (0.1, 12.0), (0.2, 10.0))]
    about = {"at": 5.0, "slot": "oracle", "model": "b", "service": "s", "image_id": "i", "plan": 7, "reason": "swap"}
    bench = judge.bench_of(runs, **about)
    assert (bench.runs, bench.rate, bench.first_token, bench.prompt_rate) == (3, 10.0, 0.2, 100.0)
    assert bench.spread == pytest.approx(0.15)
    nothing = judge.bench_of([], **about)
    assert (nothing.runs, nothing.rate, nothing.spread) == (0, 0.0, 0.0)
