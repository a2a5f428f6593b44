"""OpenTelemetry spans of attempts and steps, and what lies below them."""

import pytest

from nightproof import effect, job, step

pytestmark = pytest.mark.sqlite_only

trace = pytest.importorskip("opentelemetry.trace")
sdk = pytest.importorskip("opentelemetry.sdk.trace")


class Kept(sdk.SpanProcessor):
    """Keeps every span that has ended."""

    def __init__(self):
        self.ended = []

    def on_end(self, span):
        self.ended.append(span)


@pytest.fixture
def spans(monkeypatch):
    """The spans that have ended so far, by name."""
    kept = Kept()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kept)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)

    def ended():
        return list(kept.ended)

    return ended


broken = True


@step(name="double", retry=None)
async def double(i: int) -> int:
    """Fails for 2 while `broken`; makes a span of its own."""
    with trace.get_tracer("mine").start_as_current_span("inner"):
        if broken and i == 2:
            raise KeyError("two")
    return 2 * i


@effect(name="say", key="say")
async def say() -> int:
    """An act."""
    return 1


def make(night_contract):
    @job(name="main")
    async def main(contract: night_contract) -> int:
        await say()
        return sum(await double.map(range(3), key=lambda i: f"k{i}"))

    return main


def test_an_attempt_is_a_span_with_its_steps_below(night, spans, night_contract, monkeypatch):
    """Names, keys, parents, times and errors; a second attempt tells only what it did itself."""
    main = make(night_contract)
    failed = night.run(main)
    found = {one.name: one for one in spans() if one.name != "inner"}
    assert set(found) == {"run main", "step double", "effect say"}
    root = found["run main"]
    assert root.attributes["nightproof.run"] == failed.name
    assert root.attributes["nightproof.status"] == "failed"
    assert root.status.status_code is trace.StatusCode.ERROR
    steps = {one.attributes["nightproof.key"]: one for one in spans() if one.name == "step double"}
    assert steps["k2"].attributes["error.type"] == "KeyError"
    assert not steps["k2"].status.is_ok
    assert all(one.parent.span_id == root.context.span_id for one in steps.values())
    assert all(one.start_time <= one.end_time for one in spans())
    before = len(spans())
    monkeypatch.setattr(f"{__name__}.broken", False)
    assert night.run(main).value == 6
    second = spans()[before:]
    assert [one.name for one in second] == ["inner", "step double", "run main"]
    assert second[-1].attributes["nightproof.attempt"] == 2
    assert second[-1].status.is_ok


def test_spans_of_steps_own_calls_lie_below_the_attempt(night, spans, night_contract):
    """What instrumented clients do inside a step belongs to the run's trace."""
    night.run(make(night_contract))
    [root] = [one for one in spans() if one.name == "run main"]
    inner = [one for one in spans() if one.name == "inner"]
    assert inner
    assert {one.parent.span_id for one in inner} == {root.context.span_id}


def test_a_child_run_lies_below_its_parent(night, spans, night_contract):
    """One trace of both."""

    @job(name="inner-job")
    async def inner(contract: night_contract) -> int:
        return await say()

    @job(name="outer")
    async def outer(contract: night_contract) -> int:
        return await inner(contract)

    night.run(outer)
    roots = {one.name: one for one in spans() if one.name.startswith("run ")}
    assert roots["run inner-job"].parent.span_id == roots["run outer"].context.span_id
    assert not trace.get_current_span().is_recording()


def test_of_a_large_map_failures_and_the_slowest_are_told(
    night, spans, night_contract, monkeypatch
):
    """The rest is a number."""
    monkeypatch.setattr("nightproof.observe.telemetry.MOST", 2)
    night.run(make(night_contract))
    [root] = [one for one in spans() if one.name == "run main"]
    told = [one for one in spans() if one.name.startswith(("step ", "effect "))]
    assert len(told) == 2
    assert any(not one.status.is_ok for one in told)
    assert root.attributes["nightproof.steps_left_out"] == 2
