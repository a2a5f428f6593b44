"""What the design promises and offers, and which tests of the suite hold it on every combination."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nightproof

HERE = Path(__file__).parent
COVER: dict[str, tuple[str, ...]] = {
    # The promises.
    "an acknowledged checkpoint survives kill -9": (
        "test_owners.py::test_killed_between_and_inside_steps",
        "test_owners.py::test_killed_behind_the_end_it_is_complete",
        "test_owners.py::test_killed_again_and_again",
        "test_maps.py::test_only_missing_items_run_after_a_kill",
        "test_maps.py::test_a_map_survives_a_kill_anywhere",
    ),
    "results never shift, whatever order, concurrency and edits do": (
        "test_changes.py::test_edits_and_another_order_never_shift_results",
        "test_steps.py::test_equal_calls_are_told_apart",
        "test_maps.py::test_equal_maps_side_by_side_are_told_apart",
    ),
    "changed code is said, and refused with --strict": (
        "test_changes.py::test_edited_code_is_said_and_matching_results_are_used",
        "test_changes.py::test_strict_refuses_results_of_other_code",
        "test_changes.py::test_a_complete_run_says_when_its_code_has_changed",
        "test_changes.py::test_what_is_not_asked_for_again_is_a_divergence",
    ),
    "effects: intended first, an unknown outcome decided by policy": (
        "test_effects.py::test_an_effect_acts_once_and_is_replayed",
        "test_effects.py::test_killed_between_intent_and_confirmation",
        "test_effects.py::test_an_exception_that_leaves_it_open_is_as_unknown_as_a_crash",
        "test_effects.py::test_a_decision_without_the_result_that_is_needed_can_be_made_again",
        "test_effects.py::test_nobody_decides_an_effect_that_is_under_way",
        "test_effects.py::test_not_done_is_certain",
        "test_effects.py::test_a_refused_act_may_be_repeated_under_every_policy",
        "test_effects.py::test_an_effect_that_gives_up_reads_the_same_on_replay",
    ),
    "one run has one owner, taken over when it dies": (
        "test_owners.py::test_of_two_starters_one_works",
        "test_owners.py::test_a_live_run_is_left_alone_by_another_process",
        "test_owners.py::test_a_stopped_owner_is_fenced_off",
    ),
    "what a job sees is what a resume sees": (
        "test_steps.py::test_typed_values_are_the_same_live_and_on_replay",
        "test_values.py::test_recorded_values",
        "test_failures.py::test_a_failure_is_the_same_live_and_on_replay",
    ),
    "the same contract gives the same, or the difference is explained": (
        "test_values.py::test_seeds_do_not_depend_on_order_or_interruption",
        "test_provenance.py::test_diff_finds_the_first_step_in_which_two_runs_part",
        "test_provenance.py::test_reads_answers_and_environment_are_on_record",
    ),
    "nothing fails silently": (
        "test_failures.py::test_an_unmet_expectation_fails_the_run",
        "test_failures.py::test_an_error_of_the_body_fails_the_run",
        "test_provenance.py::test_a_refused_dataset_fails_the_run_before_any_step",
    ),
    # Writing a job.
    "async, plain, pure and nested steps": (
        "test_steps.py::test_steps_run_once_and_a_complete_run_returns_its_record",
        "test_steps.py::test_a_step_inside_a_step_is_an_ordinary_call",
        "test_steps.py::test_outside_a_run_a_step_is_an_ordinary_call",
        "test_steps.py::test_killed_in_a_pure_step",
    ),
    "values that do not fit are clear errors": (
        "test_steps.py::test_a_result_that_does_not_fit_is_a_clear_permanent_error",
        "test_steps.py::test_a_result_of_the_job_that_does_not_fit_fails_the_run",
    ),
    "Ambient": ("test_steps.py::test_ambient_parameters_are_no_part_of_the_identity",),
    "gather, TaskGroup, if, for, try": (
        "test_steps.py::test_gather_groups_branches_and_try_are_plain_python",
    ),
    "resume of a failed run": (
        "test_failures.py::test_resuming_a_failed_run_tries_what_failed_and_keeps_the_rest",
    ),
    "map: keys, concurrency, on_error, duplicates": (
        "test_maps.py::test_results_come_in_the_order_of_the_items",
        "test_maps.py::test_concurrency_can_be_changed_from_outside",
        "test_maps.py::test_keys_name_items_and_must_differ",
        "test_maps.py::test_collected_failures_stand_in_their_places",
        "test_maps.py::test_the_first_failure_ends_the_map",
    ),
    "stream": ("test_maps.py::test_a_stream_is_ordered_and_can_be_left",),
    "now, uuid, random": (
        "test_values.py::test_recorded_values",
        "test_values.py::test_the_clock_of_the_run_belongs_to_its_body",
    ),
    "sleep, sleep_until, wait_for": (
        "test_waits.py::test_short_sleeps_are_slept_and_recorded",
        "test_waits.py::test_a_signal_that_was_sent_before_is_found",
        "test_waits.py::test_a_wait_that_timed_out_stays_so",
        "test_waits.py::test_a_timeout_of_a_signal_is_durable",
        "test_waits.py::test_a_payload_that_does_not_fit_is_put_aside",
    ),
    "parking": (
        "test_waits.py::test_a_long_sleep_parks_the_run_until_its_time",
        "test_waits.py::test_a_run_parks_when_the_steps_beside_the_wait_are_done",
        "test_waits.py::test_a_signal_wakes_a_parked_run",
        "test_waits.py::test_killed_and_then_parked",
    ),
    "Ref and large values": (
        "test_values.py::test_refs_travel_by_digest",
        "test_values.py::test_large_values_are_spilled_and_replayed",
    ),
    "undo": ("test_failures.py::test_what_was_done_is_undone_in_reverse",),
    "child runs": (
        "test_family.py::test_a_child_is_a_run_of_its_own",
        "test_family.py::test_a_failed_child_fails_alike_on_replay",
        "test_family.py::test_resuming_a_failed_parent_tries_its_child_again",
        "test_family.py::test_a_signal_to_a_child_wakes_its_parent",
        "test_family.py::test_replicates_have_replicates_of_their_children",
        "test_family.py::test_cancelling_a_parent_cancels_its_child",
    ),
    "once()": ("test_owners.py::test_once_is_exactly_once",),
    "the same contract is the same run; replicates": (
        "test_owners.py::test_the_same_contract_is_the_same_run",
        "test_steps.py::test_a_job_can_be_run_from_python",
    ),
    "retry triage": (
        "test_failures.py::test_a_step_that_succeeds_in_the_end_succeeds",
        "test_failures.py::test_permanent_failures_are_not_retried",
        "test_failures.py::test_what_a_server_says_to_wait_is_a_minimum",
        "test_failures.py::test_the_users_classification_wins",
        "test_failures.py::test_a_refused_token_is_refreshed_once",
        "test_failures.py::test_a_token_that_is_refused_again_fails_the_step",
        "test_waits.py::test_a_short_exhaustion_is_waited_out_and_costs_no_try",
        "test_waits.py::test_a_long_exhaustion_parks_the_run",
    ),
    "timeout, deadline, cancel": (
        "test_failures.py::test_a_timeout_ends_one_try",
        "test_failures.py::test_a_deadline_fails_the_run",
        "test_failures.py::test_a_cancelled_run_ends_and_can_be_started_again",
    ),
    "effect keys are global": (
        "test_effects.py::test_concurrent_calls_of_one_key_act_once",
        "test_effects.py::test_two_live_runs_with_one_key_act_once",
        "test_effects.py::test_the_same_key_with_other_arguments_shows_both",
        "test_effects.py::test_an_effect_inside_a_step_goes_through_the_ledger",
        "test_maps.py::test_effects_inside_items_act_once",
    ),
    "replicates withhold effects; --effects": (
        "test_effects.py::test_a_replicate_withholds_its_effects",
        "test_effects.py::test_a_replicate_with_effects_performs_new_keys_only",
    ),
    "quotas": (
        "test_waits.py::test_quotas_hold_over_runs",
        "test_waits.py::test_tokens_are_counted_when_they_are_spent",
    ),
    "expiring and secret steps": (
        "test_secrets.py::test_a_secret_is_written_nowhere",
        "test_secrets.py::test_an_expiring_result_is_kept_while_it_is_good",
    ),
    "artifacts, manifests, verify": (
        "test_values.py::test_an_artifact_is_whole_stamped_and_verified",
        "test_values.py::test_an_artifact_stays_in_its_folder",
    ),
    "measure, decide, expect": ("test_values.py::test_measures_and_decisions_are_kept",),
    "the witness refuses under --strict": (
        "test_provenance.py::test_an_undeclared_read_is_refused_under_strict",
    ),
    "reading commands": ("test_provenance.py::test_reading_commands_show_the_run",),
}
NOT_FOR_JOBS = {
    # Types that users annotate with or catch; what is used of contracts has no engine in it.
    "Artifact", "ContractModel", "Effect", "Interrupted", "Job", "ModelMismatch", "ModelPin",
    "NightproofError", "PromptError", "PromptId", "PromptTemplate", "Step", "Window", "prompt",
}  # fmt: skip


def _tests() -> dict[str, set[str]]:
    """The tests of the suite, by file; not those about the suite itself."""
    found = {}
    for path in HERE.glob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        found[path.name] = {
            node.name
            for node in functions
            if node.name.startswith("test_") and "night" in {arg.arg for arg in node.args.args}
        }
    return found


def missing(named: tuple[str, ...]) -> list[str]:
    """Those of the named tests that do not run on every combination."""
    tests = _tests()
    return [
        name
        for name in named
        if name.partition("::")[2] not in tests.get(name.partition("::")[0], set())
    ]


@pytest.mark.parametrize("what", COVER)
def test_every_promise_and_feature_has_tests(what: str):
    """No test that holds one goes away unnoticed."""
    assert COVER[what]
    assert missing(COVER[what]) == []


def test_every_test_of_the_suite_is_in_the_table():
    """Nothing is tested that nobody has promised."""
    listed = {name for names in COVER.values() for name in names}
    assert {
        f"{file}::{name}" for file, names in _tests().items() for name in names
    } - listed == set()


def test_a_missing_test_would_be_found():
    """The check sees wrong files, wrong names, and tests that no combination runs."""
    wrong = (
        "test_steps.py::test_nothing",
        "test_nowhere.py::test_x",
        "test_covered.py::test_a_missing_test_would_be_found",
    )
    assert missing(wrong) == list(wrong)


def test_the_jobs_use_every_public_name():
    """What users import to write a job, some job or test of the suite uses."""
    used = set()
    for path in HERE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "nightproof":
                used |= {alias.name for alias in node.names}
    assert set(nightproof.__all__) - NOT_FOR_JOBS - used == set()
