"""What nightproof promises, and which tests break when a promise is broken."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

PROMISES: dict[str, tuple[str, ...]] = {
    "1 A checkpoint that was acknowledged survives kill -9 and power loss": (
        "stores/test_sqlite_damage.py::test_what_was_acknowledged_survives_kill_nine",
        "stores/test_sqlite_damage.py::test_a_torn_wal_tail",
        "stores/test_sqlite_faults.py::test_a_full_disk",
        "stores/test_durability.py::test_an_acknowledged_checkpoint_is_synced",
        "engine/test_processes.py::test_killed_at_random_moments",
    ),
    "2 A result is only returned to the same step with the same inputs; edits are said": (
        "engine/test_map.py::test_items_inserted_removed_and_reordered_keep_their_results",
        "engine/test_map.py::test_a_key_does_not_hide_a_changed_item",
        "engine/test_replay.py::test_order_and_concurrency_do_not_matter",
        "engine/test_changed_code.py::test_an_edited_step_is_reported_and_strict_refuses",
        "engine/test_changed_code.py::test_a_complete_run_says_when_its_code_has_changed",
        "engine/test_changed_code.py::test_results_never_asked_for_again_are_divergences",
        "stores/test_golden.py::test_a_journal_of_every_schema_is_replayed",
    ),
    "3 An effect is intended before it is tried; an unknown outcome is never retried blindly": (
        "engine/test_effects.py::test_an_effect_acts_once_and_is_replayed",
        "engine/test_effect_policies.py::test_hold_stops_after_a_crash_until_somebody_decides",
        "engine/test_effect_policies.py::test_retry_repeats_with_the_same_idempotency_key",
        "engine/test_effect_policies.py::test_skip_never_tries_twice",
        "engine/test_effect_policies.py::test_a_probe_asks_the_provider",
        "engine/test_effects.py::test_the_same_key_with_other_arguments_shows_both",
        "engine/test_effects.py::test_two_live_runs_with_one_key_act_once",
        "engine/test_intents.py::test_an_act_under_way_is_waited_for_by_who_took_the_run_over",
        "engine/test_intents.py::test_what_happened_meanwhile_is_not_decided_away",
        "engine/test_intents.py::test_what_may_have_happened_twice_is_said",
    ),
    "4 One run has one owner": (
        "engine/test_processes.py::test_one_of_many_processes_works",
        "engine/test_processes.py::test_a_stopped_owner_is_fenced_off",
        "engine/test_processes.py::test_a_dead_owner_is_replaced_at_once",
        "engine/test_processes.py::test_an_attempt_that_was_fenced_off_writes_nothing",
        "engine/test_processes.py::test_a_wrong_clock_does_not_make_two_owners",
    ),
    "5 The value that a job sees is the value that a resume will see; never pickle": (
        "engine/test_values.py::test_the_decoded_form_is_handed_on_live",
        "engine/test_values.py::test_a_result_that_changes_later_does_not_change_the_past",
        "engine/test_failures.py::test_a_step_is_retried_and_its_history_kept",
        "engine/test_signals.py::test_a_wait_that_timed_out_stays_so",
        "model/test_codec.py::test_round_trip",
    ),
    "6 The same contract gives the same bytes, or the difference is explained": (
        "engine/test_seeds.py::test_seeds_do_not_depend_on_order_or_interruption",
        "engine/test_values.py::test_recorded_values",
        "engine/test_effects.py::test_a_replicate_withholds_its_effects",
    ),
    "7 Nothing fails silently": (
        "engine/test_failures.py::test_an_unmet_expectation_fails_the_run",
        "engine/test_large_values.py::test_large_values_spill_and_are_verified",
        "stores/test_sqlite_damage.py::test_a_flipped_byte_in_a_result_is_noticed",
        "stores/test_sqlite_damage.py::test_a_destroyed_page_says_what_to_do",
    ),
}


def missing(named: tuple[str, ...]) -> list[str]:
    """Those of the named tests that do not exist."""
    gone = []
    for name in named:
        file, _, function = name.partition("::")
        path = TESTS / file
        tree = ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([], [])
        if function not in {getattr(node, "name", "") for node in tree.body}:
            gone.append(name)
    return gone


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_tests_that_break_with_it(promise: str):
    """The index is kept: no test that holds a promise goes away unnoticed."""
    assert PROMISES[promise]
    assert missing(PROMISES[promise]) == []


def test_a_missing_test_would_be_found():
    """The check itself sees wrong files and wrong names."""
    wrong = ("test_promises.py::test_nothing", "no/file.py::test_x")
    assert missing(wrong) == list(wrong)
    assert missing(("test_promises.py::test_a_missing_test_would_be_found",)) == []
