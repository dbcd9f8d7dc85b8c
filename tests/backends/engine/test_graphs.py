"""Writing by recorded graphs: the arithmetic of buckets everywhere, the recordings where there is a GPU."""

from __future__ import annotations

import pytest
import torch

from backends.transformers.engine.graphs import GraphedSteps, Recording, row_counts, spans
from backends.transformers.engine.model import load_model
from backends.transformers.protocol import EngineOptions
from tests.backends.engine.conftest import Bench, ask, generate
from tests.backends.tiny_models import make_gpt2, make_llama

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class PlayedSteps(GraphedSteps):
    """Graphs on a processor that has none: what they would play is calculated when it is played."""

    def warm_up(self):
        for count in self._counts:
            for span in self._spans:
                self._recordings[count, span] = self._record(count, span, (0, 0))

    def _record(self, count, span, pool):
        staging, inputs = (torch.zeros(2, count, 1, dtype=torch.long) for _ in range(2))
        window = self.slots.window(0, inputs[1], span)
        logits = self.forward(inputs[0], window)
        return Recording(Player(lambda: logits.copy_(self.forward(inputs[0], window))), staging, inputs, logits)


class Player:
    def __init__(self, replay):
        self.replay = replay


@pytest.mark.parametrize("make", [make_gpt2, make_llama])
def test_rounded_up_rows_and_spans_change_nothing(make, tmp_path):
    with torch.inference_mode(mode=False):
        folder = make(tmp_path, context=600)
        model = load_model(folder, EngineOptions(model=str(folder), dtype="float32"), torch.device("cpu"))
    bench = Bench(model, steps=PlayedSteps, slots=6)
    bench.steps.warm_up()
    requests = [
        ask(content, max_output_tokens=n)
        for content, n in (("Hello", 40), ("a" * 250, 30), ("x", 7), ("b", 50), ("cd", 3))
    ]
    ids = []
    for request in requests:
        ids.append(bench.submit(request))
        for _ in range(3):
            bench.step()
    bench.run()
    for id_, request in zip(ids, requests, strict=True):
        assert bench.written(id_) == generate(model, request)


def test_counts_and_spans():
    assert row_counts(1) == [1]
    assert row_counts(16) == [1, 2, 4, 8, 16]
    assert row_counts(20) == [1, 2, 4, 8, 16, 20]
    assert spans(1024) == [256, 512, 1024]
    assert spans(300) == [256, 300]
    assert spans(100) == [100]


@needs_cuda
@pytest.mark.parametrize("dtype", ["float32", "auto"])
@pytest.mark.parametrize("make", [make_gpt2, make_llama])
def test_graphs_write_what_generate_writes_on_cuda(make, dtype, tmp_path):
    with torch.inference_mode(mode=False):
        folder = make(tmp_path, context=600)
        model = load_model(folder, EngineOptions(model=str(folder), dtype=dtype), torch.device("cuda"))
    bench = Bench(model, steps=GraphedSteps, slots=6)
    bench.steps.check()
    bench.steps.warm_up()
    assert bench.steps._recordings, "the recording failed, and steps are taken one kernel at a time"
    ids = [bench.submit(ask(content, max_output_tokens=40)) for content in ("Hello", "a" * 250, "x", "b", "cd")]
    bench.run()
    if dtype == "float32":
        for id_, content in zip(ids, ("Hello", "a" * 250, "x", "b", "cd"), strict=True):
            assert bench.written(id_) == generate(model, ask(content, max_output_tokens=40))
    assert not bench.errors


@needs_cuda
def test_a_recording_that_fails_leaves_eager_steps(tmp_path, monkeypatch):
    with torch.inference_mode(mode=False):
        folder = make_gpt2(tmp_path)
        model = load_model(folder, EngineOptions(model=str(folder), dtype="float32"), torch.device("cuda"))

    def fail(self, count, span, pool):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(GraphedSteps, "_record", fail)
    bench = Bench(model, steps=GraphedSteps)
    bench.steps.warm_up()
    id_ = bench.submit(ask())
    bench.run()
    assert bench.written(id_) == generate(model, ask())
