"""The simulation still finds what it must find: every planted bug, within the stated number of runs.

A run is named in words: `kill STORY POINT` (0: none) and `fault STORY WRITE KIND` as in test_kill_matrix, `worlds SEED`
as in test_worlds, `slots SEED` as in test_slot_worlds, `memory STORY POINT` as in test_memory_kills, `gpu STORY POINT`
as in test_gpu_kills, `swap STORY POINT` as in test_swap_kills, `story NAME` for one of the stories below. That the same
runs find nothing in the code as it is, is what those tests show.
"""

import re
from collections.abc import Callable

import pytest

from tests.sim import slot_worlds
from tests.sim import test_carried as carried
from tests.sim import test_engine_ends as ends
from tests.sim import test_floods as floods
from tests.sim import test_gpu_kills as cards
from tests.sim import test_gpu_machine as machine
from tests.sim import test_interrupted as interrupted
from tests.sim import test_kill_matrix as matrix
from tests.sim import test_left_parked as parked
from tests.sim import test_loops as loops
from tests.sim import test_memory_kills as memory
from tests.sim import test_memory_stories as leaking
from tests.sim import test_probation as watched
from tests.sim import test_requests as asked
from tests.sim import test_resident_models as residents
from tests.sim import test_review as review
from tests.sim import test_rollouts as rollouts
from tests.sim import test_safe_profile as profiles
from tests.sim import test_stand_ins as stand_ins
from tests.sim import test_stories as stories
from tests.sim import test_swap_kills as swaps
from tests.sim import test_swap_stories as races
from tests.sim import test_swap_troubles as troubles
from tests.sim.planted import PLANTED, Planted, table
from tests.sim.worlds import Play, Script
from tests.support.docs import ROOT

TOLD: dict[str, Callable[[], None]] = {
    "budget": lambda: interrupted.test_nothing_refills_the_budget("kill"),
    "jump": lambda: interrupted.test_nothing_refills_the_budget("jump"),
    "not owned": stories.test_what_did_not_opt_in_is_watched_and_told_and_never_written_to,
    "broker": interrupted.test_an_alert_that_the_broker_never_took_is_told_by_the_next_life,
    "outage": floods.test_an_outage_ends_in_a_digest_and_a_kill_before_it_is_durable_loses_nothing,
    "shed": floods.test_what_is_too_much_is_given_up_and_said_and_nothing_critical_is_among_it,
    "pause": lambda: stories.test_a_pause_ends_a_plan_that_has_touched_nothing_and_lets_one_go_on_that_has("look"),
    "waiting stop": lambda: review.test_a_stop_asked_for_in_mid_plan_stops_whatever_serves_when_the_plan_is_over(
        review.FAILS
    ),
    "stopped by hand": review.test_a_person_who_stops_it_in_probation_is_obeyed_and_blames_no_image,
    "engine ends": lambda: ends.test_what_the_engine_stopped_on_its_way_out_is_not_stopped_on_purpose("always"),
    "loop": loops.test_a_loop_with_policy_always_and_no_good_image_is_made_anew_once_and_stopped,
    "second loop": loops.test_a_person_starts_it_and_it_is_stopped_again_when_it_loops_again,
    "rights": carried.test_an_image_that_runs_as_root_is_refused_where_the_old_one_did_not,
    "secrets": carried.test_a_file_that_compose_injected_is_there_in_the_new_container,
    "likeness": carried.test_an_engine_that_loses_something_on_the_way_is_noticed_before_the_old_one_stops,
    "backup": carried.test_a_backup_that_fails_leaves_the_old_one_serving,
    "room": carried.test_the_new_one_starts_only_once_there_is_room,
    "bad stage": rollouts.test_a_bad_one_ends_the_project_there_and_the_rest_is_not_touched,
    "rollout and sigterm": lambda: rollouts.test_a_pause_ends_it_there_and_a_restart_of_ours_does_not("sigterm"),
    "project stop": rollouts.test_a_project_stops_in_the_other_order_and_starts_again,
    "shared network": rollouts.test_who_shares_a_network_is_restarted_after_the_one_that_was_restarted,
    "locked request": asked.test_a_file_that_cannot_be_removed_is_not_obeyed_twice_also_not_after_a_restart,
    "brake": loops.test_when_everything_fails_rules_stop_trying_and_try_one_when_it_was_quiet,
    "heavy": loops.test_a_heavy_model_in_a_loop_is_stopped_and_not_loaded_again_by_us,
    "loads": watched.test_what_a_load_takes_is_learned_and_outlives_a_kill,
    "slow": watched.test_a_model_that_is_too_slow_is_taken_back_and_quarantined,
    "toolless": watched.test_a_health_check_without_its_tool_does_not_condemn_a_new_image,
    "engine back": lambda: ends.test_an_engine_that_is_back_within_a_second_is_nobodys_wish_at_any_moment_of_the_watch(
        False, "always"
    ),
    "left parked": parked.test_it_is_warned_of_until_the_next_success_clears_it_up,
    "policy kept": lambda: parked.test_the_restart_policy_comes_back_with_the_next_success("start"),
    "killed in a reset": machine.test_a_daemon_that_is_killed_in_the_midst_of_a_reset_looks_and_does_not_begin_anew,
    "resets": machine.test_the_budget_of_resets_is_counted_over_restarts,
    "profile killed": profiles.test_a_kill_at_the_commit_loses_nothing_of_what_was_before,
    "profile kept": profiles.test_a_plain_phoenix_a_restart_and_a_rollback_keep_it_and_the_spare_is_of_before,
    "leaker": lambda: leaking.test_the_leaker_is_held_and_ended_and_the_large_one_never_touched(2),
    "ram before swap": leaking.test_the_end_of_ram_is_seen_before_the_first_page_goes_to_swap,
    "load by plan": leaking.test_a_load_by_plan_and_a_swap_of_models_raise_no_alert,
    "late memory": races.test_memory_that_comes_back_late_is_waited_for,
    "unknown in flight": lambda: races.test_requests_that_do_not_end_end_the_swap_before_anything_was_touched(
        counts=False
    ),
    "too slow to hold it": lambda: races.test_a_bad_candidate_ends_on_the_old_model_verified_and_is_remembered(
        "too slow"
    ),
    "senseless": lambda: races.test_a_bad_candidate_ends_on_the_old_model_verified_and_is_remembered("senseless"),
    "breaks its word": races.test_a_model_that_breaks_its_word_in_probation_goes_back,
    "held down": stand_ins.test_it_is_not_handed_back_while_the_owners_rule_holds_the_first_choice_down,
    "once per window": (
        stand_ins.test_a_first_choice_that_is_still_broken_is_tried_once_per_window_and_the_stand_in_comes_back
    ),
    "holder stopped": troubles.test_a_person_who_stops_the_holder_is_obeyed_and_starts_no_stand_in,
    "loops asleep": lambda: races.test_a_bad_candidate_that_may_sleep_is_out_of_the_way_before_the_other_one_wakes(
        "dies again and again"
    ),
    "works": residents.test_one_that_works_is_not_put_away_and_goes_when_it_has_nothing_to_do,
    "woken": residents.test_one_that_sleeps_is_not_woken_beside_the_one_that_holds_the_slot,
    "rule gone": interrupted.test_an_alert_whose_rule_is_gone_after_a_restart_is_told_as_resolved,
}


def run(words: str) -> str:
    """One run: what it finds, '' for nothing."""
    kind, _, rest = words.partition(" ")
    if kind == "story":
        return told(TOLD[rest])
    if kind == "worlds":
        return "\n".join(Play(Script.of(int(rest))).run())
    if kind == "memory":
        name, _, point = rest.rpartition(" ")
        return "\n".join(memory.trouble(name, (int(point),) if int(point) else ()))
    if kind == "slots":
        return "\n".join(slot_worlds.Play(slot_worlds.Script.of(int(rest))).run())
    if kind == "swap":
        name, _, point = rest.rpartition(" ")
        return "\n".join(swaps.trouble(name, (int(point),) if int(point) else ()))
    if kind == "gpu":
        name, _, point = rest.rpartition(" ")
        return "\n".join(cards.trouble(name, (int(point),) if int(point) else ()))
    story, *where = rest.split()
    if kind == "kill":
        point = int(where[0])
        return "\n".join(matrix.trouble(story, (point,) if point else ()))
    fault = next(one for one in matrix.FAULTS if one.kind == where[1])
    return "\n".join(matrix.faulty(story, int(where[0]), fault))


def told(story: Callable[[], None]) -> str:
    try:
        story()
    except AssertionError as err:
        return str(err) or "an assertion failed"
    return ""


@pytest.fixture(scope="module", autouse=True)
def _undisturbed() -> None:
    """How the stories end in the real code, before anything is planted."""
    for name in matrix.ALL:
        matrix.undisturbed(name)
    for name in memory.STORIES:
        memory.undisturbed(name)
    for name in cards.STORIES:
        cards.undisturbed(name)
    for name in ("good", "pivot"):
        swaps.undisturbed(name)


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Planted) -> None:
    with bug.plant():
        found = next((text for words in bug.runs if (text := run(words))), "")
    assert found, f"{bug.name}: {len(bug.runs)} runs found nothing"
    assert bug.says in found, f"{bug.name} was found, but by something else:\n{found[:2000]}"


@pytest.mark.parametrize("words", sorted({words for bug in PLANTED for words in bug.runs if words[0] == "s"}))
def test_the_same_run_finds_nothing_in_the_code_as_it_is(words: str) -> None:
    assert run(words) == ""


def test_every_patch_is_undone() -> None:
    for bug in PLANTED:
        with bug.plant():
            pass
    assert run("kill healed 0") == ""


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(PLANTED) >= 8
    assert len({bug.name for bug in PLANTED}) == len(PLANTED)


def test_the_table_in_the_pages_is_this_one() -> None:
    page = (ROOT / "docs" / "safety.md").read_text("utf-8")
    match = re.search(r"<!-- planted:begin -->\n(.*?)\n<!-- planted:end -->", page, re.DOTALL)
    assert match, "docs/safety.md has no table of planted bugs"
    assert match[1].strip() == table(), "docs/safety.md: put this between the marks:\n" + table()
