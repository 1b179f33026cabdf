"""The sums: the owner's plan as the owner would compute it, what fits, and what does not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.facts import Container, GroupMemory, HostReading, MemoryBudget, Needs, Service, ServiceMemory
from supervisor.memory.budget import budget_of, fits, loads, part_of, plan_of, reserve_of
from supervisor.verdicts import Reason, yes
from tests.support.owners_plan import AGENTS, CANDIDATE, GB, ORACLE, PLAN, RUNNING, TOTAL, budget

MIB, GIB = float(1 << 20), float(1 << 30)


# ------------------------------------------------------------ the owner's plan


def test_the_owners_plan_adds_up_to_361_of_384_gb():
    box = budget()
    assert box.planned == 361 * GB
    assert box.total == 384 * GB
    assert box.reserve == pytest.approx(7.68 * GB)
    assert box.headroom == pytest.approx(15.32 * GB)


def test_the_candidate_beside_the_oracle_is_refused_with_the_sum_and_what_to_do():
    verdict = fits(CANDIDATE, PLAN[CANDIDATE], budget())
    assert verdict.reason is Reason.NO_ROOM
    assert verdict.text == (
        "omni.mxfp4 needs 341 GB; of 384 GB 7.7 GB are the system's and 361 GB are planned (omni.deepseek 341 GB, "
        "omni.agent 4 GB, omni.qdrant 4 GB, 5 more 12 GB), so 15.3 GB are free: 325.7 GB are missing. "
        "Stop omni.deepseek first, or start it all the same with `--override REASON`."
    )


def test_once_the_oracle_is_stopped_it_fits():
    verdict = fits(CANDIDATE, PLAN[CANDIDATE], budget(AGENTS))
    assert verdict.ok
    assert "20 GB are planned" in verdict.text
    assert "356.3 GB are free" in verdict.text


def test_a_second_start_counts_though_it_has_not_begun():
    empty = budget(AGENTS)
    assert fits(ORACLE, PLAN[ORACLE], empty).ok
    assert not fits(ORACLE, PLAN[ORACLE], empty, {CANDIDATE: float(PLAN[CANDIDATE])}).ok


def test_what_is_being_started_and_runs_already_counts_once():
    running = budget()
    assert fits("omni.small", 10 * GB, running, {ORACLE: float(PLAN[ORACLE])}).ok


def test_who_is_started_anew_makes_place_for_itself():
    assert fits(ORACLE, PLAN[ORACLE], budget()).ok
    assert not fits(ORACLE, PLAN[ORACLE] + 16 * GB, budget()).ok


def test_what_is_taken_beyond_a_plan_is_nobody_elses():
    leaking = budget(used={"omni.agent": 14 * GB})
    verdict = fits("omni.small", 10 * GB, leaking)
    assert not verdict.ok
    assert "10 GB are in use beyond that (omni.agent 10 GB)" in verdict.text
    assert fits("omni.small", 10 * GB, budget()).ok


def test_what_no_service_uses_counts_where_it_is_more_than_the_reserve():
    verdict = fits("omni.small", 10 * GB, budget(foreign=20.0 * GB))
    assert not verdict.ok
    assert "20 GB are in use by what is no service" in verdict.text


def test_page_cache_takes_no_room():
    """What the kernel can drop is available: mapped weights are no use of anybody."""
    box = budget(used={ORACLE: 60 * GB}, foreign=3.0 * GB)
    assert box.foreign == pytest.approx(3.0 * GB)
    assert fits("omni.small", 10 * GB, box).ok


def test_the_service_that_matters_least_is_to_make_place():
    parts = tuple(
        ServiceMemory(name, size * GIB, "declared", used=size * GIB, running=True, priority=priority)
        for name, size, priority in (("a", 40, 0), ("b", 20, 5), ("c", 21, 5), ("d", 5, -1))
    )
    box = MemoryBudget(0.0, 100 * GIB, 4 * GIB, 86 * GIB, 10 * GIB, 6 * GIB, services=parts)
    assert "Stop d first" in fits("new", 14 * GIB, box).text
    assert "Stop a first" in fits("new", 20 * GIB, box).text
    assert "Stop d and a first" in fits("new", 52 * GIB, box).text
    assert "Even alone it has only 96 GiB here" in fits("new", 97 * GIB, box).text


def test_what_is_to_be_spared_longer_does_not_make_place_while_others_can():
    parts = tuple(
        ServiceMemory(name, size * GIB, "declared", used=size * GIB, running=True, priority=priority)
        for name, size, priority in (("model", 60, 100), ("agent", 8, 0), ("store", 10, 0))
    )
    box = MemoryBudget(0.0, 100 * GIB, 4 * GIB, 78 * GIB, 10 * GIB, 6 * GIB, services=parts)
    assert "Stop store and agent first" in fits("new", 32 * GIB, box).text
    assert "Stop store first" in fits("new", 27 * GIB, box).text
    assert "Stop model first" in fits("new", 60 * GIB, box).text


def test_nobody_knows_what_it_needs_so_it_may_start():
    assert fits("omni.small", 0.0, budget()).ok


@given(
    plans=st.lists(st.integers(0, 400), max_size=12),
    need=st.integers(0, 400),
    total=st.integers(1, 1000),
    foreign=st.integers(0, 50),
)
@settings(max_examples=30, deadline=None)
def test_what_was_let_start_never_makes_the_plans_more_than_there_is(plans, need, total, foreign):
    """Whatever runs: after a start that fits, all claims and the system's share are within the machine."""
    parts = tuple(
        ServiceMemory(f"s{number:02}", size * GIB, "declared", used=size * GIB / 2, running=number % 3 != 0)
        for number, size in enumerate(plans)
    )
    box = MemoryBudget(0.0, total * GIB, 2 * GIB, 0.0, 0.0, 0.0, services=parts, foreign=foreign * GIB)
    claims = 0.0
    for part in parts:
        claims += part.claim
    verdict = fits("new", need * GIB, box)
    assert verdict.ok == (need == 0 or claims + need * GIB + max(2, foreign) * GIB <= total * GIB)
    assert ("missing" in verdict.text) == (not verdict.ok) or "missing already" in verdict.text


@given(sizes=st.lists(st.integers(0, 100), min_size=1, max_size=8), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_sums_do_not_depend_on_the_order(sizes, order):
    parts = [ServiceMemory(f"s{n}", size * GIB, "declared", used=GIB, running=True) for n, size in enumerate(sizes)]
    shuffled = list(parts)
    order.shuffle(shuffled)
    reading = HostReading({"MemTotal": 1000 * GIB, "MemAvailable": 500 * GIB})
    one, two = (budget_of(reading, some, GIB, 0.0, 0.0) for some in (parts, shuffled))
    assert (one.planned, one.effective, one.headroom) == (two.planned, two.effective, two.headroom)
    assert one.effective >= 0.0


# ------------------------------------------------------------ the parts


@pytest.mark.parametrize(
    ("total", "declared", "expected"),
    [
        (384 * GB, None, 7.68 * GB),
        (2 * GIB, None, 512 * MIB),
        (2000 * GIB, None, 8 * GIB),
        (384 * GB, 20 * GB, 20 * GB),
        (384 * GB, 0, 0),
    ],
)
def test_the_reserve(total, declared, expected):
    assert reserve_of(total, declared) == pytest.approx(expected)


def box(**more: object) -> Container:
    given = {"status": "running", "started_at": 1000.0}
    return Container("c1", "oracle", "sha256:a", "img", **(given | more))


def service(container: Container | None = None, **more: object) -> Service:
    return Service("oracle", "docker", container or box(), yes(), **({"healthy": True} | more))


def test_declared_wins_over_learned_and_learned_is_of_one_image_only():
    assert plan_of(Needs(memory=5), "sha256:a", {"sha256:a": 9.0}) == (5.0, "declared")
    assert plan_of(Needs(), "sha256:a", {"sha256:a": 9.0}) == (9.0, "learned")
    assert plan_of(Needs(), "sha256:b", {"sha256:a": 9.0}) == (0.0, "")


def test_it_loads_until_it_is_healthy_and_older_than_its_startup():
    assert loads(service(healthy=False), 9000.0)
    assert loads(service(needs=Needs(startup=300)), 1200.0)
    assert not loads(service(needs=Needs(startup=300)), 1301.0)
    assert not loads(service(healthy=False), 9000.0, well=True), "it stands frozen, or is sick: that is no load"


def test_a_part_is_what_its_group_holds_and_page_cache_is_not():
    group = GroupMemory(anon=5 * GIB, shmem=GIB, locked=GIB, kernel=GIB, swap=2 * GIB, file=100 * GIB, usage=108 * GIB)
    part = part_of(service(), group, {}, 9000.0)
    assert (part.used, part.resident, part.swap) == (10 * GIB, 8 * GIB, 2 * GIB)


def test_what_cannot_be_read_is_not_taken_for_nothing():
    """With 0 in its place, everything planned would still have to come, and the box would seem to be out of memory."""
    part = part_of(service(needs=Needs(memory=int(300 * GIB))), None, {}, 9000.0)
    assert part.unread
    assert part.remaining == 0.0
    assert part.claim == 300 * GIB
    told = part_of(service(needs=Needs(memory=int(300 * GIB))), None, {}, 9000.0, otherwise=250 * GIB)
    assert told.resident == 250 * GIB
    assert not told.unread
    assert told.remaining == 50 * GIB


@pytest.mark.parametrize(
    ("status", "runs"), [("exited", False), ("created", False), ("paused", True), ("restarting", True)]
)
def test_what_holds_memory_or_takes_it_again_counts(status, runs):
    part = part_of(service(box(status=status), needs=Needs(memory=10)), None, {}, 9000.0)
    assert part.running is runs
    assert part.claim == (10 if runs else 0)


def test_what_has_no_plan_is_planned_with_what_it_uses():
    parts = (ServiceMemory("a", used=3 * GIB, running=True), ServiceMemory("b", 5 * GIB, "learned", running=True))
    reading = HostReading({"MemTotal": 100 * GIB, "MemAvailable": 50 * GIB})
    assert budget_of(reading, parts, GIB, 0.0, 0.0).planned == 8 * GIB


def test_what_is_left_is_less_than_the_kernel_says_by_all_that_still_comes():
    parts = (ServiceMemory("a", 30 * GIB, "declared", used=10 * GIB, running=True),)
    reading = HostReading({"MemTotal": 100 * GIB, "MemAvailable": 50 * GIB, "SwapFree": 64 * GIB})
    assert budget_of(reading, parts, 2 * GIB, 0.0, 0.0).effective == 28 * GIB
    gone = tuple(replace(part, running=False) for part in parts)
    assert budget_of(reading, gone, 2 * GIB, 0.0, 0.0).effective == 48 * GIB


def test_everything_of_the_fixture_is_there():
    assert set(RUNNING) | {CANDIDATE} == set(PLAN)
    assert TOTAL == 384 * GB
