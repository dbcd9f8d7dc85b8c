from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from backends import ChatMessage, ChatRequest, Finish, Stage, TextDelta
from backends.exceptions import (
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    ModelNotFound,
    RequestRejected,
    StreamInterrupted,
)
from backends.testing import ChatBackendConformance
from backends.transformers import TransformersBackend, restarts
from backends.transformers.restarts import Restarts
from tests.backends.tiny_models import make_gpt2, set_config

ROOT = Path(__file__).parents[2]
CONTEXT = 8192
ENDLESS = {"max_output_tokens": 8000, "temperature": 0}
"""An answer that takes many seconds: greedy, so that this model never comes to an end of its own."""


class KeptBackend(TransformersBackend):
    """Keeps its engine for the next test, since loading one takes seconds; closes only as often as it is told."""

    closings = 0

    async def aclose(self):
        if self.closings:
            self.closings -= 1
            await super().aclose()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_gpt2(tmp_path_factory.mktemp("gpt2"), context=CONTEXT)


@pytest.fixture(scope="module")
def kept(folder):
    # One thread: where others keep the cores busy, several wait for each other more than they calculate.
    backend = KeptBackend(model=folder, threads=1, idle_unload=3600)
    yield backend
    asyncio.run(TransformersBackend.aclose(backend))


class TestTransformers(ChatBackendConformance):
    @pytest.fixture(autouse=True)
    def _kept(self, kept):
        self.kept = kept

    def make_backend(self):
        return self.kept

    def make_broken_backend(self):
        return TransformersBackend(model="/does/not/exist")

    def test_is_usable_after_aclose(self):
        self.kept.closings = 1
        super().test_is_usable_after_aclose()
        assert self.kept.closings == 0


def ask(content="Hello there", **fields) -> ChatRequest:
    return ChatRequest(messages=(ChatMessage("user", content),), **{"max_output_tokens": 32, **fields})


async def collect(backend, request):
    async with aclosing(backend.stream(request)) as stream:
        return [event async for event in stream]


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def until(condition, seconds=2.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


async def test_it_works(kept):
    events = await collect(kept, ask())
    assert Stage("reading") in events
    assert text_of(events)
    assert isinstance(events[-1], Finish)
    assert events[-1].usage.output_tokens <= 32
    assert (await kept.status())["device"] in {"cpu", "cuda:0"}


async def test_the_seed_decides_the_text(kept):
    texts = [text_of(await collect(kept, ask(seed=seed))) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


async def test_no_seed_differs(kept):
    assert len({text_of(await collect(kept, ask())) for _ in range(3)}) > 1


async def test_streams_take_turns(kept):
    async def read(name):
        async with aclosing(kept.stream(ask(max_output_tokens=100, temperature=0))) as stream:
            return [(time.monotonic(), name) async for event in stream if isinstance(event, TextDelta)]

    both = await asyncio.gather(read("a"), read("b"))
    order = [name for _, name in sorted(itertools.chain(*both))]
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > len(order) / 4


async def test_closing_frees_the_answer_within_a_step(kept):
    async with aclosing(kept.stream(ask(**ENDLESS))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        assert (await kept.status())["active"] == 1
    assert (await kept.status())["active"] == 0  # asked right behind the cancel


async def test_cancelling_the_task_frees_the_answer(kept):
    task = asyncio.create_task(collect(kept, ask(**ENDLESS)))
    while not (await kept.status()).get("active"):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await kept.status())["active"] == 0


async def test_a_stop_string_ends_it(kept):
    whole = text_of(await collect(kept, ask(seed=5, max_output_tokens=100)))
    stop = whole[len(whole) // 2 :][:6]
    events = await collect(kept, ask(seed=5, max_output_tokens=100, stop=("never", stop)))
    assert text_of(events) == whole[: whole.index(stop)]
    assert events[-1].reason == "stop"


async def test_bad_requests_are_rejected(kept):
    for fields in ({"temperature": 3}, {"top_p": 0}, {"max_output_tokens": 0}):
        with pytest.raises(RequestRejected):
            await collect(kept, ask(**fields))
    with pytest.raises(RequestRejected):
        await collect(kept, ChatRequest(messages=()))


async def test_a_newest_message_that_is_too_long_is_refused(kept):
    with pytest.raises(ContextLengthExceeded, match=f"of the model's {CONTEXT}"):
        await collect(kept, ask("word " * CONTEXT))


def test_several_event_loops_share_one_engine(kept):
    asyncio.run(collect(kept, ask()))
    pid = kept.client().pid

    async def in_threads():
        return await asyncio.gather(*(asyncio.to_thread(asyncio.run, collect(kept, ask())) for _ in range(3)))

    assert all(isinstance(events[-1], Finish) for events in asyncio.run(in_threads()))
    assert kept.client().pid == pid


def test_a_loop_that_is_gone_takes_nothing_with_it(kept):
    """Somebody's event loop was closed in the middle of a stream: the engine stops that answer."""
    loop = asyncio.new_event_loop()
    stream = kept.stream(ask(**ENDLESS))
    while not isinstance(loop.run_until_complete(anext(stream)), TextDelta):
        pass
    loop.close()

    async def is_free():
        while (await kept.status())["active"]:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(is_free(), 2))
    with pytest.raises(StopIteration):  # closing needs no loop, so nothing has to be awaited
        stream.aclose().send(None)


async def test_an_unknown_model_is_clear_and_quick(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    backend = TransformersBackend(model="nobody/no-such-model")
    started_at = time.monotonic()
    with pytest.raises(ModelNotFound, match="not on this machine") as raised:
        await collect(backend, ask())
    assert raised.value.hint == "Run: python manage.py fetch_model nobody/no-such-model"
    assert time.monotonic() - started_at < 5
    assert backend.client().state == "failed"
    # Again at once: the same answer, and no new process.
    with pytest.raises(ModelNotFound) as raised:
        await collect(backend, ask())
    assert 0 < raised.value.retry_after <= restarts.AFTER_FAILED_LOAD
    assert backend.client().pid is None
    await backend.aclose()


async def test_another_model_of_the_request_is_looked_for(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelNotFound, match="'another'"):
        await collect(kept, ask(model="another"))


async def test_a_folder_without_safetensors_is_misconfigured(tmp_path):
    set_config_only(tmp_path)
    backend = TransformersBackend(model=tmp_path)
    with pytest.raises(BackendMisconfigured, match="no weights in the safetensors format"):
        await collect(backend, ask())
    await backend.aclose()


async def test_loading_has_its_time(folder):
    backend = TransformersBackend(model=folder, load_timeout=0.1)
    with pytest.raises(BackendTimeout, match=r"not loaded after 0\.1 seconds"):
        await collect(backend, ask())
    await backend.aclose()


async def test_an_engine_that_dies_while_it_loads_is_unavailable(folder):
    backend = TransformersBackend(model=folder)
    async with aclosing(backend.stream(ask())) as stream:
        assert await anext(stream) == Stage("loading")
        os.kill(backend.client().pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailable, match=r"ended by signal 9.*while it loaded the model"):
            await anext(stream)
    await backend.aclose()


async def test_a_model_that_came_meanwhile_is_found_and_an_idle_one_goes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(restarts, "AFTER_FAILED_LOAD", 0)
    backend = TransformersBackend(model=tmp_path / "model", threads=1, idle_unload=0.05)
    with pytest.raises(ModelNotFound):
        await collect(backend, ask())
    shutil.copytree(folder, tmp_path / "model")
    assert text_of(await collect(backend, ask()))
    await until(lambda: backend.client().state == "absent")
    await backend.aclose()


async def test_an_engine_that_is_killed_interrupts_its_streams_and_comes_back(kept):
    async with aclosing(kept.stream(ask(**ENDLESS))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        os.kill(kept.client().pid, signal.SIGKILL)
        with pytest.raises(StreamInterrupted, match="signal 9"):
            async for _ in stream:
                pass
    assert text_of(await collect(kept, ask()))


def test_the_engine_goes_with_its_parent(folder):
    script = f"""
import asyncio
from backends import ChatMessage, ChatRequest, TextDelta
from backends.transformers import TransformersBackend

async def main():
    backend = TransformersBackend(model={str(folder)!r}, threads=1)
    request = ChatRequest(messages=(ChatMessage("user", "Hi"),), max_output_tokens=8000, temperature=0)
    async for event in backend.stream(request):
        if isinstance(event, TextDelta):
            print(backend.client().pid, flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    asyncio.run(until(lambda: not is_running(pid)))


def test_the_web_process_never_imports_torch(folder):
    script = f"""
import asyncio, sys
from backends import ChatMessage, ChatRequest
from backends.transformers import TransformersBackend

async def main():
    backend = TransformersBackend(model={str(folder)!r}, load_timeout=0.1)
    assert backend.check() == []
    try:
        async for event in backend.stream(ChatRequest(messages=(ChatMessage("user", "Hi"),))):
            pass
    except Exception as error:
        assert "not loaded after" in str(error), error
    await backend.aclose()

asyncio.run(main())
heavy = {{"torch", "transformers", "tokenizers", "huggingface_hub", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", script], cwd=ROOT, check=True, timeout=20)


@pytest.mark.parametrize(
    ("options", "id_"),
    [
        ({"model": "gpt2", "device": "gpu"}, "backends.E009"),
        ({"model": "gpt2", "dtype": "int3"}, "backends.E009"),
        ({"model": ""}, "backends.E010"),
        ({"model": "./does-not-exist"}, "backends.E011"),
        ({"model": Path("does-not-exist")}, "backends.E011"),
    ],
)
def test_check_finds(options, id_):
    (message,) = TransformersBackend(**options).check()
    assert message.id == id_
    assert message.hint


def test_check_finds_missing_packages(monkeypatch):
    monkeypatch.setattr("backends.transformers.backend.find_spec", lambda name: None)
    (message,) = TransformersBackend(model="gpt2").check()
    assert message.id == "backends.E012"
    assert "torch, transformers" in message.msg


def test_conversations_stay_here():
    assert TransformersBackend.sends_data_away is False


def test_crashes_in_a_row_wait_longer_and_longer(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(restarts.time, "monotonic", lambda: now)
    policy = Restarts()
    waits = []
    for _ in range(8):
        policy.crashed(StreamInterrupted("gone"))
        try:
            policy.check()
            waits.append(0)
        except StreamInterrupted as error:
            waits.append(error.retry_after)
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]
    policy.succeeded()
    policy.crashed(StreamInterrupted("gone"))
    policy.check()


def set_config_only(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    set_config(folder, model_type="gpt2")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
