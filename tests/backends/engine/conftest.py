"""The engine's side, in this process: models of a few thousand weights, and schedulers without a process around."""

from __future__ import annotations

import json

import pytest
import torch

from backends import ChatMessage
from backends.transformers.engine.answers import Answer
from backends.transformers.engine.dialogue import build_prompt
from backends.transformers.engine.model import load_model
from backends.transformers.engine.scheduler import Scheduler
from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps
from backends.transformers.protocol import EngineOptions, GenerateRequest, split_numbered
from tests.backends.tiny_models import make_gpt2, make_llama

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _inference():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other wherever the cores are busy
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    return load(make_gpt2(tmp_path_factory.mktemp("gpt2")))


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return load(make_llama(tmp_path_factory.mktemp("llama")))


@pytest.fixture(params=["gpt2", "llama"])
def model(request):
    return request.getfixturevalue(request.param)


def load(folder, **options):
    with torch.inference_mode(mode=False):
        return load_model(folder, EngineOptions(model=str(folder), **{"dtype": "float32", **options}), CPU)


def ask(content="Hello there", **fields) -> GenerateRequest:
    defaults = {"temperature": 0, "top_p": 1, "repetition_penalty": 1, "max_output_tokens": 60}
    return GenerateRequest(messages=(ChatMessage("user", content),), **{**defaults, **fields})


class Bench:
    """A scheduler, those who ask it, and what they heard."""

    def __init__(self, model, *, steps=Steps, **options):
        self.model = model
        self.options = EngineOptions(model="test", **{"slots": 4, **options})
        self.steps = steps(model.network, Slots(model.network, count=self.options.slots, context=model.context))
        self.scheduler = Scheduler(model, self.steps, self.options)
        self.answers: dict[int, Answer] = {}
        self.texts: dict[int, str] = {}
        self.stages: dict[int, list] = {}
        self.finishes: dict[int, str] = {}
        self.usages: dict[int, list[int]] = {}
        self.errors: dict[int, tuple[str, str]] = {}
        self.confidences: dict[int, float] = {}
        self._last = 0

    def submit(self, request, connection=1) -> int:
        self._last += 1
        prompt = build_prompt(
            self.model.tokenizer,
            request.messages,
            context=self.model.context,
            max_output_tokens=request.max_output_tokens,
        )
        answer = Answer((connection, self._last), request, prompt, self.model)
        self.answers[self._last] = answer
        self.scheduler.submit(answer)
        return self._last

    def step(self) -> None:
        for line in self.scheduler.step().lines():
            _, message = split_numbered(line)
            self._hear(json.loads(message))

    def run(self) -> None:
        while not self.scheduler.is_idle:
            self.step()

    def write(self, request):
        """Return the text and the tokens of an answer that is alone."""
        id_ = self.submit(request)
        self.run()
        return self.texts[id_], self.written(id_)

    def written(self, id_) -> list[int]:
        answer = self.answers[id_]
        return answer.tokens[len(answer.tokens) - self.usages[id_][1] :]

    def _hear(self, message) -> None:
        for id_, name, place in message.get("stages", ()):
            self.stages.setdefault(id_, []).append(name if place is None else (name, place))
        for id_, confidence in message.get("confidence", ()):
            assert id_ not in self.texts
            self.confidences[id_] = confidence
        for id_, text, finish, usage in message.get("events", ()):
            self.texts[id_] = self.texts.get(id_, "") + text
            if finish:
                self.finishes[id_], self.usages[id_] = finish, usage
        for id_, code, text, _ in message.get("errors", ()):
            self.errors[id_] = code, text


def generate(model, request, **options) -> list[int]:
    """Return what transformers itself writes, in tokens."""
    prompt = build_prompt(
        model.tokenizer, request.messages, context=model.context, max_output_tokens=request.max_output_tokens
    )
    ids = torch.tensor([prompt.token_ids], device=model.device)
    output = model.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        pad_token_id=0,
        eos_token_id=sorted(model.eos_ids),
        do_sample=False,
        max_new_tokens=request.max_output_tokens,
        **options,
    )
    return output[0, ids.shape[1] :].tolist()
