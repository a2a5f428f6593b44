"""Verdicts from what the runs read, and which models answered."""

import pytest

pytestmark = pytest.mark.sqlite_only

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def reads(*listed, level="L0", near="step"):
    """A witness event: reads by the drifted step, by the body, by the import or by another."""

    def note(fp):
        where = {
            "step": {"step": "count", "fp": fp},
            "any call": {"step": "count", "fp": ""},
            "body": {"step": "", "fp": ""},
            "import": {"step": "import", "fp": ""},
            "thread": {"step": "?", "fp": ""},
            "earlier": {"step": "first", "fp": "00"},
        }[near]
        return {"kind": "witness", "level": level, "attempt": 1, "blob": None} | {
            "reads": [{**where, **one} for one in listed]
        }

    return note


def one(what, name, digest, declared=""):
    """One read."""
    size = None if digest is None or what == "host" else 1
    return {"what": what, "name": name, "digest": digest, "size": size, "declared": declared}


def served(reported="m-1", response=A, request=A, requested="m", **more):
    """A served event of the drifted step."""
    return lambda fp: {
        "kind": "served", "step": "count", "fp": fp, "provider": "gemini", "requested": requested,
        "reported": reported, "requestDigest": request, "responseDigest": response, **more,
    }  # fmt: skip


def sides(a, b, **how):
    """The notes of two runs that each read one thing."""
    return [[reads(*([side] if side else []), **how)] for side in (a, b)]


def told(found, cause):
    """The evidence for a cause, as (item, a, b)."""
    return [(item, a, b) for of, item, a, b in found.evidence if of == cause]


@pytest.mark.parametrize("near", ["step", "any call", "import"])
@pytest.mark.parametrize(
    ("a", "b", "item", "sides_"),
    [
        (one("file", "/h/.rc", A), one("file", "/h/.rc", B), "file /h/.rc", (A, B)),
        (one("file", "/h/.rc", A), one("file", "/h/.rc", None), "file /h/.rc", (A, "absent")),
        (one("file", "/h/.rc", A), None, "file /h/.rc", (A, None)),
        (one("file", "/a/.rc", A), one("file", "/b/.rc", B), "file /a/.rc | /b/.rc", (A, B)),
        (one("folder", "/in", A), one("folder", "/in", B), "folder /in", (A, B)),
        (one("variable", "REGION", A), one("variable", "REGION", B), "variable REGION", (A, B)),
        (one("program", "/bin/x", A), one("program", "/bin/x", B), "program /bin/x", (A, B)),
        (None, one("host", "api.x:443", None), "host api.x:443", (None, "contacted")),
        (
            one("file", "/h/.rc", A, "setting files"),
            one("file", "/h/.rc", B, "setting files"),
            "file /h/.rc",
            (A, B),
        ),
    ],
)
def test_what_was_read_and_differs_is_context(judged, near, a, b, item, sides_):
    """Read by the step or while the target was imported: context, and the item is named."""
    found = judged({}, {"numeric": {"blas/threads": "1"}}, notes=sides(a, b, near=near))
    assert found.verdicts["context"] == "consistent with"
    assert told(found, "context") == [(item, *sides_)]
    assert judged({}, {}, notes=sides(a, b, near=near)).cause == "context"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (one("file", "/h/.rc", A), one("file", "/h/.rc", A)),
        (one("file", "/a/one.rc", A), one("file", "/b/two.rc", A)),
        (one("file", "/h/.netrc", None), None),
        (one("file", "/a/.netrc", None), one("file", "/b/.netrc", None)),
        (one("file", "/out/x", A, "run"), one("file", "/out/x", B, "run")),
        (one("host", "127.0.0.1:40001", None), one("host", "127.0.0.1:50001", None)),
        (one("variable", "TOKEN", "withheld"), one("variable", "TOKEN", "withheld")),
        (one("variable", "PYTHONPATH", A), one("variable", "PYTHONPATH", B)),
        (one("file", "/v/x.pyc", A, "package"), one("file", "/v/x.pyc", B, "package")),
        (one("file", "/v/x.py", A, "package"), None),
        (
            one("program", "/a/python", A, "interpreter"),
            one("program", "/b/python", B, "interpreter"),
        ),
    ],
)
def test_reads_that_are_no_difference(judged, a, b):
    """The same content elsewhere, what was not there for either, what the run wrote itself."""
    found = judged({}, {}, notes=sides(a, b))
    assert found.verdicts["context"] == "not testable"
    assert found.verdicts["environment"] == found.verdicts["code"] == "excluded"
    assert found.cause is None


def test_file_that_the_run_before_left_is_context(judged):
    """One run wrote it before it read it, the other found it there."""
    notes = sides(one("file", "/c/cache", A, "run"), one("file", "/c/cache", A))
    assert judged({}, {}, notes=notes).cause == "context"


@pytest.mark.parametrize(
    ("read", "declared", "cause"),
    [
        ("/v/site-packages/x/data.json", "package", "environment"),
        ("/job/helpers.py", "own code", "code"),
    ],
)
def test_installed_and_own_files_are_not_context(judged, read, declared, cause):
    """They are environment and code, as in the snapshot."""
    notes = sides(one("file", read, A, declared), one("file", read, B, declared))
    found = judged({}, {}, notes=notes)
    assert found.cause == cause
    assert told(found, cause) == [(f"file {read}", A, B)]


def test_zone_variable_is_environment(judged):
    """TZ is no context, however it was read."""
    found = judged({}, {}, notes=sides(one("variable", "TZ", A), one("variable", "TZ", B)))
    assert found.cause == "environment"


@pytest.mark.parametrize(
    ("name", "near", "declared"),
    [
        ("/h/.rc", "body", ""),
        ("/h/.rc", "earlier", ""),
        ("/h/.rc", "thread", ""),
        ("PWD", "step", ""),
        ("REGION", "step", "copy of the environment"),
    ],
)
def test_what_is_far_off_counts_where_nothing_else_does(judged, name, near, declared):
    """Named alone; beside another suspect it is none."""
    what = "file" if name.startswith("/") else "variable"
    notes = sides(one(what, name, A, declared), one(what, name, B, declared), near=near)
    assert judged({}, {}, notes=notes).cause == "context"
    found = judged({}, {"strict": {"tz": "Asia/Tokyo"}}, notes=notes)
    assert found.cause == "environment"
    assert found.verdicts["context"] == "not testable"


def test_file_and_zone_that_differ_name_nothing(judged):
    """Two suspects."""
    notes = sides(one("file", "/h/.rc", A), one("file", "/h/.rc", B))
    found = judged({}, {"strict": {"tz": "Asia/Tokyo"}}, notes=notes)
    assert found.verdicts["environment"] == found.verdicts["context"] == "consistent with"
    assert found.cause is None


def test_run_without_a_witness_is_not_compared(judged):
    """What only one side has on record is no difference."""
    found = judged({}, {}, notes=([], [reads(one("file", "/h/.rc", A))]))
    assert found.cause is None
    assert found.reasons["context"] == "what was read is not on record for both"


def test_deeper_level_sees_more(judged):
    """A read that only strace could see says nothing of a run without it."""
    notes = [[reads()], [reads(one("file", "/h/data.db", A), level="L3")]]
    assert judged({}, {}, notes=notes).verdicts["context"] == "not testable"
    both = [[reads(level="L3")], [reads(one("file", "/h/data.db", A), level="L3")]]
    assert judged({}, {}, notes=both).cause == "context"


def test_clock_is_seen_at_no_level(judged):
    """Equal witnesses of the highest level do not make it sampling."""
    found = judged({}, {}, notes=[[reads(level="L3")], [reads(level="L3")]])
    assert found.verdicts["context"] == "not testable"
    assert "clock" in found.reasons["context"]
    assert found.cause is None


def test_lost_reads_are_as_no_witness(judged):
    """The blob with the list is gone."""
    gone = lambda fp: {"kind": "witness", "level": "L0", "attempt": 1, "blob": A, "reads": None}  # noqa: E731
    found = judged({}, {}, notes=([gone], [reads(one("file", "/h/.rc", A))]))
    assert found.verdicts["context"] == "not testable"


@pytest.mark.parametrize(
    ("b", "item", "sides_"),
    [
        (served("m-2"), "model m: reported", ("m-1", "m-2")),
        (served(None), "model m: reported", ("m-1", None)),
        (served(fingerprint="fp_2"), "model m: fingerprint", (None, "fp_2")),
        (served(provider="openai"), "model m: provider", ("gemini", "openai")),
    ],
)
def test_another_model_is_named(judged, b, item, sides_):
    """Another version, fingerprint or provider answered for the same requested model."""
    found = judged({}, {}, notes=([served()], [b]))
    assert found.cause == "model"
    assert told(found, "model") == [(item, *sides_)]


def test_same_request_and_other_answer_is_model_or_sampling(judged):
    """Nothing on this side of the wire can be the cause, whatever else differs."""
    asked = one("host", "api.x:443", None)
    notes = [
        [served(), reads(asked, one("file", "/h/.rc", A))],
        [served(response=B), reads(asked, one("file", "/h/.rc", B))],
    ]
    found = judged({}, {"strict": {"package/numpy": "2.1"}}, notes=notes)
    assert found.verdicts == {
        "input": "excluded",
        "code": "excluded",
        "environment": "excluded",
        "context": "excluded",
        "model": "not testable",
        "sampling": "consistent with",
    }
    assert found.cause is None
    assert told(found, "model") == [("answer of m to the same request", A, B)]


def test_another_host_is_still_context(judged):
    """The same request went elsewhere."""
    notes = [
        [served(), reads(one("host", "api.x:443", None))],
        [served(response=B), reads(one("host", "api.y:443", None))],
    ]
    assert judged({}, {}, notes=notes).cause == "context"


def test_same_answers_exclude_the_model(judged):
    """It was asked the same and answered the same."""
    assert judged({}, {}, notes=([served()], [served()])).verdicts["model"] == "excluded"


def test_other_request_accuses_no_model(judged):
    """What it was asked differs already: the cause lies before it."""
    found = judged({}, {}, notes=([served()], [served(request=B, response=B)]))
    assert found.verdicts["model"] == "not testable"
    assert told(found, "model") == []


def test_calls_that_end_in_another_order_are_the_same(judged):
    """Two calls at once."""
    calls = [served(), served(request=B, response=B)]
    assert judged({}, {}, notes=(calls, calls[::-1])).verdicts["model"] == "excluded"


def test_provider_without_a_record_is_not_excluded(judged):
    """The step contacted one, and did not say which model answered."""
    asked = one("host", "api.openai.com:443", None)
    found = judged({}, {}, notes=sides(asked, asked))
    assert found.verdicts["model"] == "not testable"
    assert "api.openai.com" in found.reasons["model"]


def test_prompt_of_the_step_is_context(judged):
    """Its text is another one under the same name."""
    used = [
        [lambda fp, text=text: {"kind": "prompt", "id": "p@1", "sha256": text, "step": "count"}]
        for text in "ab"
    ]
    found = judged({}, {}, notes=used)
    assert found.cause == "context"
    assert told(found, "context") == [("prompt p@1", "a", "b")]


def test_constant_from_a_variable_is_no_edit(judged):
    """The digest of a step covers constants of its module; its source was the same."""
    notes = sides(one("variable", "REGION", A), one("variable", "REGION", B), near="import")
    codes = ("3.11:aa", "3.11:bb")
    found = judged({}, {}, notes=notes, codes=codes)
    assert found.cause == "context"
    assert found.verdicts["code"] == "not testable"
    assert judged({}, {"strict": {"python/optimize": "1"}}, codes=codes).cause == "environment"
    assert judged({}, {}, notes=[[reads()], [reads()]], codes=codes).cause == "code"
    assert judged({}, {"strict": {"tz": "Asia/Tokyo"}}, codes=codes).cause is None
    assert judged(None, None, codes=codes).cause == "code"
    edited = judged({}, {"strict": {"code/jobs.py": "sha256:bb"}}, notes=notes, codes=codes)
    assert edited.verdicts["code"] == edited.verdicts["context"] == "consistent with"
