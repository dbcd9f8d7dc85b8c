"""Steps that are recorded write what steps by Python write, to the last bit."""

from __future__ import annotations

import logging

import pytest
import torch

from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps
from backends.transformers.engine.traces import TracedSteps
from tests.backends.engine.conftest import Bench, ask, generate, load
from tests.backends.tiny_models import ARCHITECTURES, make_gpt2, make_llama, make_model

RECORDED = ("recorded steps",)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dtype(request):
    return request.param


@pytest.fixture(scope="module", params=["gpt2", "llama", *ARCHITECTURES])
def tiny(request, dtype, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    own = {"gpt2": make_gpt2, "llama": make_llama}.get(request.param)
    return load(own(folder) if own else make_model(folder, request.param), dtype=dtype)


def make_steps(model, kind=TracedSteps, slots=5):
    steps = kind(model.network, Slots(model.network, count=slots, context=model.context))
    steps.warm_up()
    return steps


def test_it_works(tiny):
    """However many rows and whatever the span; where a prompt is read, that goes on by Python in the same memory."""
    recorded, plain = make_steps(tiny), make_steps(tiny, Steps)
    assert recorded.tuning == RECORDED
    found, wanted = [], []
    for steps, logits in ((recorded, found), (plain, wanted)):
        logits.append(steps.read(0, [list(range(5, 18))] * 5, [0] * 5))
        for place, rows in enumerate((5, 5, 4, 4, 3, 3, 2, 2, 1, 1), start=13):
            logits.append(steps.write([11 + row for row in range(rows)], [place] * rows))
        logits.append(steps.read(0, [[3, 4], [7]], [23, 21]))
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_answers_come_and_go(gpt2):
    bench = Bench(gpt2, steps=TracedSteps, slots=3)
    bench.steps.warm_up()
    requests = [ask(content, max_output_tokens=n) for content, n in (("Hello", 40), ("a" * 99, 5), ("x", 20), ("b", 9))]
    ids = []
    for request in requests:
        ids.append(bench.submit(request))
        bench.step()
    bench.run()
    for id_, request in zip(ids, requests, strict=True):
        assert bench.written(id_) == generate(gpt2, request)
    assert bench.scheduler.status()["tuning"][-1:] == list(RECORDED)


class Forgetful(TracedSteps):
    """Its recording holds the numbers of the text that it was made with."""

    def calculate(self, tokens, window, mask):
        return super().calculate(torch.zeros_like(tokens) if torch.jit.is_tracing() else tokens, window, mask)


class Elsewhere(TracedSteps):
    """Its recording writes to memory of its own."""

    def calculate(self, tokens, window, mask):
        if torch.jit.is_tracing():
            for layer in self.slots.cache.layers:
                layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        return super().calculate(tokens, window, mask)

    def _record(self):
        before = [(layer.keys, layer.values) for layer in self.slots.cache.layers]
        trace = torch.jit.trace

        def traced(*arguments, **options):
            recording = trace(*arguments, **options)
            for layer, (keys, values) in zip(self.slots.cache.layers, before, strict=True):
                layer.keys, layer.values = keys, values
            return recording

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.jit, "trace", traced)
            return super()._record()


class Failing(TracedSteps):
    def calculate(self, tokens, window, mask):
        if torch.jit.is_tracing():
            raise TypeError("unsupported")
        return super().calculate(tokens, window, mask)


@pytest.mark.parametrize("kind", [Forgetful, Elsewhere, Failing])
def test_a_recording_that_is_not_right_is_not_used(gpt2, kind, caplog):
    caplog.set_level(logging.INFO)
    steps = make_steps(gpt2, kind)
    assert steps.tuning == ()
    assert "Steps are not recorded" in caplog.text
    assert torch.equal(steps.write([5, 6], [0, 0]), make_steps(gpt2, Steps).write([5, 6], [0, 0]))
