"""Continuous batching: who comes, who goes, and that nobody notices the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import ChatMessage
from backends.transformers.engine import pace
from backends.transformers.engine.steps import Steps
from tests.backends.engine.conftest import Bench, ask, generate, load
from tests.backends.tiny_models import ARCHITECTURES, make_gpt2, make_model, write_broken_numbers

CONTENTS = ["Hello there", "안녕하세요 👋🏽", "Tell me a long story about the sea. " * 3, "x"]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("content", CONTENTS)
def test_greedy_equals_generate(model, content, penalty):
    request = ask(content, repetition_penalty=penalty)
    _, tokens = Bench(model).write(request)
    assert tokens == generate(model, request, repetition_penalty=penalty)
    assert len(set(tokens)) > 2


def test_an_answer_is_continued_where_it_was_cut(model):
    request = ask("Tell me more")
    cut = replace(request, messages=(*request.messages, ChatMessage("assistant", "Once upon a time")))
    _, tokens = Bench(model).write(cut)
    assert tokens == generate(model, cut)
    assert tokens != generate(model, request)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_architectures_write_what_generate_writes(architecture, tmp_path):
    model = load(make_model(tmp_path, architecture))
    bench = Bench(model)
    bench.steps.check()
    requests = [ask(content, max_output_tokens=20 + 5 * index) for index, content in enumerate(CONTENTS)]
    ids = [bench.submit(request) for request in requests]
    bench.run()
    for id_, request in zip(ids, requests, strict=True):
        assert bench.written(id_) == generate(model, request)


arrivals = st.lists(
    st.tuples(
        st.sampled_from(CONTENTS),
        st.integers(1, 30),  # length
        st.integers(0, 6),  # steps before the next one comes
        st.sampled_from([None, None, None, 3]),  # steps after which it is cancelled
    ),
    min_size=1,
    max_size=9,
)


budgets = st.sampled_from([4, 16, 64, 512])


@settings(deadline=None, max_examples=40)
@given(arrivals=arrivals, slots=st.integers(1, 5), budget=budgets, cache=st.sampled_from([0, 4]))
def test_any_mix_of_arrivals_and_departures_writes_what_generate_writes(gpt2, expected, arrivals, slots, budget, cache):
    bench = Bench(gpt2, slots=slots, prefix_cache_mb=cache)
    bench.scheduler._pace.tokens_to_read = lambda reading, writing: budget
    cancelled: dict[int, int] = {}
    lengths: dict[int, tuple[str, int]] = {}

    def step():
        bench.step()
        for id_ in [id_ for id_, left in cancelled.items() if left == 0]:
            bench.scheduler.cancel((1, id_))
            lengths.pop(id_, None)
        for id_ in cancelled:
            cancelled[id_] -= 1

    for content, length, pause, cancel in arrivals:
        id_ = bench.submit(ask(content, max_output_tokens=length))
        lengths[id_] = content, length
        if cancel is not None:
            cancelled[id_] = cancel
        for _ in range(pause):
            step()
    while not bench.scheduler.is_idle:
        step()
    assert not bench.errors
    for id_, (content, length) in lengths.items():
        assert bench.written(id_) == expected(content)[:length]


@pytest.fixture(scope="module")
def expected(gpt2):
    known = {content: generate(gpt2, ask(content, max_output_tokens=30)) for content in CONTENTS}
    return known.__getitem__


def test_the_seed_decides_the_text_alone_or_beside_others(model):
    request = ask(temperature=1, top_p=0.9, seed=7)
    alone, _ = Bench(model).write(request)
    bench = Bench(model)
    other = bench.submit(ask(temperature=1, seed=8))
    bench.step()
    ids = [bench.submit(request), bench.submit(ask(temperature=0.7, top_k=5)), bench.submit(request)]
    bench.run()
    assert bench.texts[ids[0]] == bench.texts[ids[2]] == alone
    assert bench.texts[other][:20] != alone[:20]


def test_a_long_prompt_is_read_in_pieces_between_the_tokens_of_others(gpt2):
    bench = Bench(gpt2)
    first = bench.submit(ask(max_output_tokens=100))
    for _ in range(5):
        bench.step()
    bench.scheduler._pace.tokens_to_read = lambda reading, writing: 16
    long = bench.submit(ask("Tell me a long story about the sea. " * 5, max_output_tokens=5))
    before = len(bench.answers[first].tokens)
    while "writing" not in bench.stages.get(long, ()):
        bench.step()
    pieces = -(-bench.usages.get(long, [bench.answers[long]._input_tokens])[0] // 16)
    assert pieces > 5
    assert len(bench.answers[first].tokens) - before >= pieces - 1


def test_short_prompts_are_read_together(gpt2, monkeypatch):
    reads = []
    read = Steps.read

    def count(self, first, pieces, starts):
        reads.append(len(pieces))
        return read(self, first, pieces, starts)

    monkeypatch.setattr(Steps, "read", count)
    bench = Bench(gpt2)
    for _ in range(4):
        bench.submit(ask(max_output_tokens=5))
    bench.run()
    assert reads == [4]


def test_it_ends_at_the_context_wall(model):
    endless = replace(model, eos_ids=frozenset())
    bench = Bench(endless)
    id_ = bench.submit(ask("a" * 100, max_output_tokens=5000))
    bench.run()
    assert bench.finishes[id_] == "length"
    assert sum(bench.usages[id_]) == model.context


def test_eos_ends_it(llama):
    first = generate(llama, ask(max_output_tokens=1))[0]
    bench = Bench(replace(llama, eos_ids=frozenset({first})))
    id_ = bench.submit(ask())
    bench.run()
    assert (bench.texts[id_], bench.finishes[id_], bench.usages[id_][1]) == ("", "stop", 1)


def test_a_stop_string_ends_it(gpt2):
    whole, _ = Bench(gpt2).write(ask())
    stop = whole[len(whole) // 2 :][:4]
    text, _ = Bench(gpt2).write(ask(stop=("never", stop)))
    assert text == whole[: whole.index(stop)]


def test_cancel_frees_the_slot_within_two_steps(gpt2):
    bench = Bench(gpt2, slots=1)
    first = bench.submit(ask(max_output_tokens=200))
    bench.step()
    second = bench.submit(ask("Another", max_output_tokens=3))
    bench.step()
    assert bench.stages[second] == [("queued", 1)]
    bench.scheduler.cancel((1, first))
    bench.step()
    bench.step()
    assert bench.stages[second][-1] == "writing"
    bench.run()
    assert first not in bench.finishes


def test_a_connection_that_is_gone_is_forgotten(gpt2):
    bench = Bench(gpt2, slots=2)
    kept = bench.submit(ask(max_output_tokens=20), connection=2)
    for _ in range(3):
        bench.submit(ask(max_output_tokens=200), connection=1)
    bench.step()
    bench.scheduler.forget(1)
    bench.run()
    assert list(bench.finishes) == [kept]


def test_who_waits_is_told_the_place_and_served_in_turn_by_user(gpt2):
    bench = Bench(gpt2, slots=1)
    bench.submit(ask(max_output_tokens=4, user="a"))
    bench.step()
    greedy = [bench.submit(ask(max_output_tokens=4, user="a")) for _ in range(3)]
    other = bench.submit(ask(max_output_tokens=4, user="b"))
    bench.run()
    assert bench.stages[other] == [("queued", 1), "reading", "writing"]
    assert bench.stages[greedy[0]][:1] == [("queued", 2)]
    assert bench.stages[greedy[2]][0] == ("queued", 4)
    order = list(bench.finishes)
    assert order.index(other) < order.index(greedy[0])


def test_one_too_many_is_refused_with_a_hint(gpt2):
    bench = Bench(gpt2, slots=1, max_waiting=2)
    bench.submit(ask(max_output_tokens=50))
    bench.step()
    ids = [bench.submit(ask(max_output_tokens=2)) for _ in range(3)]
    bench.run()
    assert bench.errors == {ids[2]: ("backend_full", "The engine's queue is full: 2 answers wait for 1 slots.")}
    assert set(ids[:2]) < set(bench.finishes)


def test_where_nobody_may_wait_free_slots_are_taken_all_the_same(gpt2):
    bench = Bench(gpt2, slots=2, max_waiting=0)
    ids = [bench.submit(ask(max_output_tokens=2)) for _ in range(3)]
    bench.run()
    assert list(bench.errors) == ids[2:]


class FailingSteps(Steps):
    """Raises when it meets a token, as a kernel might."""

    bad = -1
    while_reading = True

    def read(self, first, pieces, starts):
        if self.while_reading and any(self.bad in piece for piece in pieces):
            raise ValueError("broken")
        return super().read(first, pieces, starts)

    def write(self, tokens, positions):
        if not self.while_reading and len(tokens) > 1:
            raise RuntimeError("broken")
        return super().write(tokens, positions)


def test_an_error_while_reading_fails_that_answer_only(gpt2):
    bench = Bench(gpt2, steps=FailingSteps)
    bench.steps.bad = gpt2.tokenizer.encode_text("~")[0]
    ids = [bench.submit(ask(content, max_output_tokens=12)) for content in ("Hello", "a~b", "Other", "b")]
    bench.run()
    assert bench.errors == {ids[1]: ("backend_unavailable", "The model failed at this request: ValueError: broken")}
    for id_, content in ((ids[0], "Hello"), (ids[2], "Other"), (ids[3], "b")):
        assert bench.written(id_) == generate(gpt2, ask(content, max_output_tokens=12))


def test_an_error_while_writing_fails_the_newcomer_first(gpt2):
    bench = Bench(gpt2, steps=FailingSteps)
    bench.steps.while_reading = False
    first = bench.submit(ask(max_output_tokens=30))
    for _ in range(6):
        bench.step()
    second = bench.submit(ask("Other", max_output_tokens=30))
    bench.run()
    assert list(bench.errors) == [second]
    assert bench.written(first) == generate(gpt2, ask(max_output_tokens=30))


def test_memory_that_runs_out_is_a_clear_error(gpt2, monkeypatch):
    def run_out(self, first, pieces, starts):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate …")

    monkeypatch.setattr(Steps, "read", run_out)
    bench = Bench(gpt2)
    id_ = bench.submit(ask())
    bench.run()
    assert bench.errors[id_] == ("backend_unavailable", "The device has no memory left for another answer.")


def test_a_broken_device_gets_through(gpt2, monkeypatch):
    def assert_on_device(self, tokens, positions):
        raise torch.AcceleratorError("device-side assert triggered")

    monkeypatch.setattr(Steps, "write", assert_on_device)
    bench = Bench(gpt2)
    bench.submit(ask())
    with pytest.raises(torch.AcceleratorError):
        bench.run()


def test_numbers_that_are_none_are_a_clear_error(tmp_path):
    with torch.inference_mode(mode=False):
        write_broken_numbers(make_gpt2(tmp_path))
    bench = Bench(load(tmp_path))
    id_ = bench.submit(ask())
    bench.run()
    assert "no numbers" in bench.errors[id_][1]


def test_numbers_that_are_none_harm_nobody_else(gpt2, monkeypatch):
    """One row's answer becomes NaN in mid-flight, in its logits and in its slot; its slot is used again."""
    bench = Bench(gpt2, slots=2)
    write = Steps.write

    def poison(self, tokens, positions):
        logits = write(self, tokens, positions)
        if len(tokens) == 2 and positions[1] > 15:
            for layer in self.slots.cache.layers:
                layer.keys[1] = layer.values[1] = float("nan")
            logits[1] = float("nan")
        return logits

    monkeypatch.setattr(Steps, "write", poison)
    good = bench.submit(ask(max_output_tokens=40))
    bad = bench.submit(ask("Tell me", max_output_tokens=40))
    while bad not in bench.errors:
        bench.step()
    monkeypatch.setattr(Steps, "write", write)
    after = bench.submit(ask("Other", max_output_tokens=40))
    bench.run()
    assert bench.written(good) == generate(gpt2, ask(max_output_tokens=40))
    assert bench.written(after) == generate(gpt2, ask("Other", max_output_tokens=40))


def test_the_confidence_is_told_before_the_first_text(gpt2):
    bench = Bench(gpt2)
    sure = bench.submit(ask(confidence_tokens=5))
    plain = bench.submit(ask("Other"))
    short = bench.submit(ask(confidence_tokens=50, max_output_tokens=3))
    bench.run()
    tokens = bench.answers[sure].tokens
    start = len(tokens) - bench.usages[sure][1]
    logits = gpt2.network(torch.tensor([tokens])).logits[0].softmax(-1)
    each = [float(logits[start - 1 + index, tokens[start + index]]) for index in range(5)]
    assert bench.confidences[sure] == pytest.approx(torch.tensor(each).prod().item(), rel=1e-3)
    assert plain not in bench.confidences
    assert bench.confidences[short] == pytest.approx(torch.tensor(each[:3]).prod().item(), rel=1e-3)
    assert bench.texts[sure] == Bench(gpt2).write(ask())[0]


def test_status_counts(gpt2):
    bench = Bench(gpt2, slots=2)
    for _ in range(3):
        bench.submit(ask(max_output_tokens=30))
    bench.step()
    status = bench.scheduler.status()
    assert (status["active"], status["waiting"], status["slots"], status["dtype"]) == (2, 1, 2, "float32")
    bench.run()
    assert bench.scheduler.status()["tokens_per_second"] > 0


def test_reading_takes_no_more_than_a_few_steps_time():
    measured = pace.Pace()
    assert measured.tokens_to_read(reading=1, writing=4) == pace.FIRST_TOKENS
    for _ in range(30):
        measured.has_written(4, 0.06)
        measured.has_read(100, 0.16)  # a step's time goes into the weights, 1 ms into each token
    assert measured.tokens_to_read(reading=1, writing=4) == pytest.approx(60, abs=1)
    assert measured.tokens_to_read(reading=3, writing=2) == pytest.approx(360, abs=1)
    measured.has_read(1, 5.0)  # one token costs a whole pass, and says nothing about many
    assert measured.tokens_to_read(reading=1, writing=4) == pytest.approx(60, abs=1)


@pytest.mark.parametrize(("seconds", "tokens"), [(0.00001, pace.MOST_TOKENS), (0.001, 500), (1.0, pace.LEAST_TOKENS)])
def test_reading_is_bounded_where_nobody_waits_for_a_next_token(seconds, tokens):
    measured = pace.Pace()
    measured.has_read(100, 100 * seconds)  # before anything was written
    assert measured.tokens_to_read(reading=9, writing=0) == pytest.approx(tokens, abs=1)
    measured.has_written(4, 1.0)
    assert measured.tokens_to_read(reading=99, writing=1) == pytest.approx(tokens, abs=1)
