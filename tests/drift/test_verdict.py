"""Verdicts from recorded environments and model pins."""

import pytest

pytestmark = pytest.mark.sqlite_only


@pytest.mark.parametrize(
    ("part", "item", "before", "value", "cause"),
    [
        ("strict", "edited/numpy/core.py", None, "sha256:bb", "environment"),
        ("strict", "python/version", "3.11.9", "3.12.1", "environment"),
        ("strict", "tz", "UTC", "Asia/Tokyo", "environment"),
        ("strict", "hashseed", "0", "1", "environment"),
        ("numeric", "blas/threads", "2", "1", "environment"),
        ("numeric", "variable/OMP_NUM_THREADS", None, "1", "environment"),
        ("strict", "code/jobs.py", "sha256:aa", "sha256:bb", "code"),
        ("strict", "variable/REGION", "eu", "us", "context"),
    ],
)
def test_differing_item_names_its_cause(judged, part, item, before, value, cause):
    """One item differs: its cause is consistent with the drift, and named, with the item."""
    found = judged({}, {part: {item: value}})
    assert found.cause == cause
    assert found.verdicts[cause] == "consistent with"
    assert found.verdicts["sampling"] == "not testable"
    assert [tuple(one) for one in found.evidence] == [(cause, item, before, value)]


def test_equal_environments_exclude_code_and_environment(judged):
    """What is left is what the record does not hold: it is not named."""
    found = judged({}, {})
    assert found.verdicts == {
        "input": "excluded",
        "code": "excluded",
        "environment": "excluded",
        "context": "not testable",
        "model": "excluded",
        "sampling": "consistent with",
    }
    assert found.cause is None


def test_random_hash_order_is_not_excluded(judged):
    """Two processes with random hash seeds had two environments, whatever the digests say."""
    same = {"strict": {"hashseed": "random"}}
    assert judged(same, same).verdicts["environment"] == "not testable"


@pytest.mark.parametrize("environments", [(None, None), ({}, None), (None, {})])
def test_without_snapshots_nothing_is_excluded(judged, environments):
    """Code too: a step's digest does not cover the modules that it imports."""
    found = judged(*environments)
    assert found.verdicts["environment"] == "not testable"
    assert found.verdicts["code"] == "not testable"
    assert found.cause is None


def test_two_differences_name_none(judged):
    """Both are consistent with the drift; only an experiment could tell."""
    found = judged({}, {"strict": {"tz": "Asia/Tokyo", "variable/REGION": "us"}})
    assert found.verdicts["environment"] == found.verdicts["context"] == "consistent with"
    assert found.cause is None


def test_digests_alone_still_tell(judged):
    """The items are gone: the environment differs, in what is not known."""
    found = judged({}, {"strict": {"tz": "Asia/Tokyo"}, "gone": True})
    assert found.verdicts["environment"] == "consistent with"
    assert found.evidence[0].item == "strict digest"


def test_unknown_hash_seed_is_not_excluded(judged):
    """The digests agree, but whether hash order was fixed cannot be read any more."""
    assert judged({"gone": True}, {"gone": True}).verdicts["environment"] == "not testable"


def test_editable_install_is_code(judged):
    """The user's own package is code, however it is installed."""
    a = {"strict": {"package/own": "1.0 editable sha256:aa"}}
    b = {"strict": {"package/own": "1.0 editable sha256:bb"}}
    assert judged(a, b).cause == "code"


def test_pinned_model_is_not_excluded(judged):
    """The contract names a model, and nothing says which one served."""
    contract = {"inputs": [{"model": {"id": "m", "pinnedVersion": "m-1"}}]}
    assert judged({}, {}, contract=contract).verdicts["model"] == "not testable"


@pytest.mark.parametrize("value", ["2.1 sha256:bb", "2.0 sha256:bb", None])
def test_packages_alone_are_not_named(judged, value):
    """One is upgraded all the time, mostly without a consequence; an experiment tells."""
    found = judged({}, {"strict": {"package/numpy": value}})
    assert found.verdicts["environment"] == "consistent with"
    assert found.cause is None
    assert "not on record" in found.reasons["environment"]
    assert [one.item for one in found.evidence] == ["package/numpy"]
    more = {"strict": {"package/numpy": value, "tz": "Asia/Tokyo"}}
    assert judged({}, more).cause == "environment"


@pytest.mark.parametrize(
    ("imported", "cause"), [("numpy other", "environment"), ("other", None), ("", None)]
)
def test_edited_package_that_nothing_imported_is_not_named(judged, imported, cause):
    """It may have had no part in the drift."""
    host = {"host": {"packages/imported": imported}}
    found = judged(host, {**host, "strict": {"edited/numpy/core.py": "sha256:bb"}})
    assert found.verdicts["environment"] == "consistent with"
    assert found.cause == cause
    assert ("environment" in found.reasons) == (cause is None)
