from __future__ import annotations

import asyncio
import itertools
import os
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
from backends.transformers import TransformersBackend
from backends.transformers.place import ServicePlace, configured_place
from backends.transformers.protocol import decode_options
from backends.transformers.service import restarts
from backends.transformers.service.restarts import Restarts
from tests.backends.fake_service import ROOT, is_running, until
from tests.backends.tiny_models import make_gpt2, set_config

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
def address(tmp_path_factory):
    """Where the first request of this module starts a service; ended after the module's last test."""
    folder = tmp_path_factory.mktemp("service")
    yield f"unix:{folder}/engine.sock"
    pid = (folder / "engine.sock.lock").read_text().strip()
    if pid:
        os.kill(int(pid), signal.SIGTERM)
        asyncio.run(until(lambda: not is_running(int(pid)), 10))


@pytest.fixture(scope="module")
def kept(folder, address):
    # One thread: where others keep the cores busy, several wait for each other more than they calculate.
    backend = KeptBackend(model=folder, threads=1, slots=4, engine=address)
    yield backend
    asyncio.run(TransformersBackend.aclose(backend))


@pytest.fixture
async def make_backend(address, folder):
    """Make backends of the same service, and close them."""
    backends = []

    def make(**options):
        backends.append(TransformersBackend(**{"model": folder, "threads": 1, "engine": address, **options}))
        return backends[-1]

    yield make
    for backend in backends:
        await backend.client.unload(backend.engine_key())
        await backend.aclose()


class TestTransformers(ChatBackendConformance):
    @pytest.fixture(autouse=True)
    def _kept(self, kept, address):
        self.kept = kept
        self.address = address

    def make_backend(self):
        return self.kept

    def make_broken_backend(self):
        return TransformersBackend(model="/does/not/exist", engine=self.address)

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
    pid = asyncio.run(kept.status())["pid"]

    async def in_threads():
        return await asyncio.gather(*(asyncio.to_thread(asyncio.run, collect(kept, ask())) for _ in range(3)))

    assert all(isinstance(events[-1], Finish) for events in asyncio.run(in_threads()))
    assert asyncio.run(kept.status())["pid"] == pid


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


async def test_an_unknown_model_is_clear_and_quick(make_backend):
    backend = make_backend(model="nobody/no-such-model")
    started_at = time.monotonic()
    with pytest.raises(ModelNotFound, match="not on this machine") as raised:
        await collect(backend, ask())
    assert raised.value.hint == "Run: python manage.py fetch_model nobody/no-such-model"
    assert time.monotonic() - started_at < 5
    assert (await backend.status())["state"] == "failed"
    # Again at once: the same answer, and no new process.
    with pytest.raises(ModelNotFound) as raised:
        await collect(backend, ask())
    assert 0 < raised.value.retry_after <= restarts.AFTER_FAILED_LOAD
    assert (await backend.status())["restarts"] == 0


async def test_another_model_of_the_request_is_looked_for(kept):
    with pytest.raises(ModelNotFound, match="'another'"):
        await collect(kept, ask(model="another"))


async def test_a_folder_without_safetensors_is_misconfigured(make_backend, tmp_path):
    set_config_only(tmp_path)
    with pytest.raises(BackendMisconfigured, match="no weights in the safetensors format"):
        await collect(make_backend(model=tmp_path), ask())


async def test_loading_has_its_time(make_backend):
    with pytest.raises(BackendTimeout, match=r"not loaded after 0\.1 seconds"):
        await collect(make_backend(load_timeout=0.1), ask())


async def test_an_engine_that_dies_while_it_loads_is_unavailable(make_backend):
    backend = make_backend(max_waiting=63)
    async with aclosing(backend.stream(ask())) as stream:
        assert await anext(stream) == Stage("loading")
        while not (pid := (await backend.status())["pid"]):
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailable, match=r"ended by signal 9.*while it loaded the model"):
            async for _ in stream:
                pass


async def test_an_idle_engine_goes(make_backend):
    backend = make_backend(idle_unload=0.05)
    assert text_of(await collect(backend, ask()))
    async with asyncio.timeout(2):
        while (await backend.status())["state"] != "absent":
            await asyncio.sleep(0.01)


async def test_an_engine_that_is_killed_interrupts_its_streams_and_comes_back(kept):
    async with aclosing(kept.stream(ask(**ENDLESS))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        os.kill((await kept.status())["pid"], signal.SIGKILL)
        with pytest.raises(StreamInterrupted, match="signal 9"):
            async for _ in stream:
                pass
    assert text_of(await collect(kept, ask()))


def test_the_engine_goes_with_the_service(folder, tmp_path):
    script = f"""
import asyncio
from backends import ChatMessage, ChatRequest, TextDelta
from backends.transformers import TransformersBackend

async def main():
    backend = TransformersBackend(model={str(folder)!r}, threads=1, engine="unix:{tmp_path}/engine.sock")
    request = ChatRequest(messages=(ChatMessage("user", "Hi"),), max_output_tokens=8000, temperature=0)
    async for event in backend.stream(request):
        if isinstance(event, TextDelta):
            print((await backend.client.status())["pid"], (await backend.status())["pid"], flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as web:
        service, engine = map(int, web.stdout.readline().split())
        os.kill(service, signal.SIGKILL)
        web.kill()
    asyncio.run(until(lambda: not is_running(engine)))


def test_the_web_process_never_imports_torch(folder, address):
    script = f"""
import asyncio, sys
from backends import ChatMessage, ChatRequest
from backends.transformers import TransformersBackend

async def main():
    backend = TransformersBackend(model={str(folder)!r}, load_timeout=0.1, engine={address!r})
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
        ({"device": "gpu"}, "backends.E009"),
        ({"dtype": "int3"}, "backends.E009"),
        ({"slots": 0}, "backends.E009"),
        ({"max_waiting": -1}, "backends.E009"),
        ({"prefix_cache_mb": -1}, "backends.E009"),
        ({"context_window": 0}, "backends.E009"),
        ({"threads": 0}, "backends.E009"),
        ({"load_timeout": 0}, "backends.E009"),
        ({"idle_unload": 0}, "backends.E009"),
        ({"temperature": 2.5}, "backends.E009"),
        ({"top_p": 0}, "backends.E009"),
        ({"top_k": -1}, "backends.E009"),
        ({"repetition_penalty": 0}, "backends.E009"),
        ({"max_output_tokens": "many"}, "backends.E009"),
        ({"model": ""}, "backends.E010"),
        ({"model": "./does-not-exist"}, "backends.E011"),
        ({"model": Path("does-not-exist")}, "backends.E011"),
        ({"engine": "localhost"}, "backends.E013"),
        ({"engine": "tcp:localhost:9000"}, "backends.E014"),
        ({"engine": f"unix:/{'x' * 200}"}, "backends.E015"),
    ],
)
def test_check_finds(options, id_):
    (message,) = TransformersBackend(**{"model": "gpt2", **options}).check()
    assert message.id == id_
    assert message.hint


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_check_lets_what_is_right_pass(dtype, settings):
    settings.CHAT_ENGINE_TOKEN = "hush"
    assert TransformersBackend(model="gpt2", dtype=dtype, top_k=40, slots=2, engine="tcp:[::1]:9000").check() == []


def test_check_finds_a_service_without_models(settings):
    settings.CHAT_ENGINE_MAX_MODELS = 0
    (message,) = TransformersBackend(model="gpt2").check()
    assert message.id == "backends.E016"


def test_the_settings_say_where_the_service_is(settings):
    settings.CHAT_ENGINE_ADDRESS = "unix:/somewhere/engine.sock"
    settings.CHAT_ENGINE_START = False
    assert configured_place() == ServicePlace(address="unix:/somewhere/engine.sock", may_start=False, max_models=3)
    assert configured_place("tcp:host:1").address == "tcp:host:1"


async def test_the_state_of_what_does_not_run_starts_nothing(tmp_path):
    backend = TransformersBackend(model="gpt2", engine=f"unix:{tmp_path}/engine.sock")
    assert await backend.status() == {"state": "absent"}
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_of_the_engine():
    backend = TransformersBackend(model="gpt2", top_k=40, slots=3)
    request = backend._complete(ask(user="alice", seed=5))
    assert (request.user, request.top_k, request.seed, request.confidence_tokens) == ("alice", 40, 5, 0)
    assert decode_options(backend.engine_key()).slots == 3
    assert decode_options(backend.engine_key("other")).model == "other"
    assert decode_options(TransformersBackend(model="gpt2").engine_key()).slots == 16


def test_check_finds_missing_packages(monkeypatch):
    monkeypatch.setattr("backends.transformers.checks.find_spec", lambda name: None)
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
