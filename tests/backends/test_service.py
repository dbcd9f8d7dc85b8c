"""The engine service and the web process's side of it, with engines that have no model (``fake_engine``)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing

import pytest

from backends.base import Finish, Stage, TextDelta, Usage
from backends.exceptions import (
    AuthenticationFailed,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ModelNotFound,
    StreamInterrupted,
)
from backends.transformers import launch
from backends.transformers.address import ALREADY_RUNNING, parse_address
from backends.transformers.children import environment
from backends.transformers.client import EngineClient
from backends.transformers.events import Confidence
from backends.transformers.launch import NoService
from backends.transformers.place import ServicePlace
from backends.transformers.service import lines, restarts, server
from backends.transformers.service.listening import AlreadyRunning, listening_socket
from tests.backends import fake_service
from tests.backends.fake_service import (
    ROOT,
    answer,
    collect,
    connected,
    engine_status,
    is_running,
    key,
    prompt,
    running,
    until,
    until_state,
)

LOADING = Stage("loading")


@pytest.fixture
def address(tmp_path):
    return f"unix:{tmp_path}/engine.sock"


@pytest.fixture
async def served(address):
    """A service and a client of it."""
    async with running(address), connected(address) as client:
        yield client


@pytest.fixture
def starts_fakes(monkeypatch):
    """Let clients start services whose engines are fakes."""
    monkeypatch.setattr(launch, "service_command", fake_service.service_command)


async def begin(stack: AsyncExitStack, client, engine, text="hang"):
    """Return a stream that has said its first text."""
    stream = await stack.enter_async_context(aclosing(client.stream(engine, prompt(text))))
    async for event in stream:
        if isinstance(event, TextDelta):
            return stream
    raise AssertionError("it said nothing")


async def rest_of(stream):
    return [event async for event in stream]


async def test_it_works(served):
    reading = [Stage("queued", 1), Stage("reading")]
    said = [TextDelta("hello "), TextDelta("there "), Finish("stop", Usage(3, 2))]
    assert await collect(served, key(), "hello there") == [LOADING, *reading, *said]
    assert await collect(served, key(), "hello there") == [*reading, *said]
    status = await served.status()
    assert (status["pid"], status["connections"], status["max_models"]) == (os.getpid(), 1, 3)
    (engine,) = status["engines"]
    assert (engine["model"], engine["state"], engine["received"], engine["restarts"]) == ("fake", "ready", 2, 0)
    assert is_running(engine["pid"])


async def test_clients_share_an_engine(address):
    async with running(address), connected(address) as one, connected(address) as other:
        said = await asyncio.gather(answer(one, key(), "to one"), answer(other, key(), "to the other"))
        assert said == ["to one ", "to the other "]
        (engine,) = (await one.status())["engines"]
        assert engine["received"] == 2


async def test_long_prompts_and_many_streams_arrive(served):
    words = f"{'long' * 100_000} {'word' * 100_000} "
    assert await answer(served, key(), words) == words
    said = await asyncio.gather(*(answer(served, key(), f"number {number}") for number in range(50)))
    assert said == [f"number {number} " for number in range(50)]


async def test_confidence_is_for_those_who_asked(served):
    assert Confidence(0.75) in await collect(served, key(), "hello", confidence_tokens=4)
    assert not any(isinstance(event, Confidence) for event in await collect(served, key(), "sure"))


async def test_closing_a_stream_cancels_it(served):
    async with AsyncExitStack() as stack:
        await begin(stack, served, key())
        assert (await engine_status(served, key()))["active"] == 1
    assert (await engine_status(served, key()))["active"] == 0  # asked right behind the cancel


async def test_a_connection_that_ends_is_forgotten(address):
    async with running(address), connected(address) as stays, connected(address) as leaves, AsyncExitStack() as stack:
        stream = await begin(stack, leaves, key())
        await begin(stack, stays, key())
        assert (await engine_status(stays, key()))["active"] == 2
        await asyncio.to_thread(leaves.close)
        with pytest.raises(StreamInterrupted):
            await rest_of(stream)
        await until_active(stays, 1)
        assert await answer(leaves, key(), "back") == "back "  # closed is not unusable


async def until_active(client, count):
    async with asyncio.timeout(5):
        while (await engine_status(client, key()))["active"] != count:
            await asyncio.sleep(0.01)


async def test_several_event_loops_share_one_connection(served):
    async def in_a_thread(number):
        return await asyncio.to_thread(lambda: asyncio.run(answer(served, key(), f"number {number}")))

    assert await asyncio.gather(*map(in_a_thread, range(3))) == [f"number {number} " for number in range(3)]
    assert (await served.status())["connections"] == 1


async def test_a_loop_that_is_gone_takes_nothing_with_it(served):
    """Somebody's event loop was closed in the middle of a stream: the engine stops that answer at its next word."""
    streams = []

    def leave():
        loop = asyncio.new_event_loop()
        stream = served.stream(key(), prompt("hang"))
        while not isinstance(loop.run_until_complete(anext(stream)), TextDelta):
            pass
        loop.close()
        streams.append(stream)

    await asyncio.to_thread(leave)
    assert (await engine_status(served, key()))["active"] == 1
    await answer(served, key(), "release")  # which lets the engine say something to the loop that is gone
    await until_active(served, 0)
    with pytest.raises(StopIteration):  # closing needs no loop, so nothing has to be awaited
        streams[0].aclose().send(None)


async def test_progress_is_told_in_steps(served, tmp_path):
    engine = key(f"gate:{tmp_path}/gate")
    async with aclosing(served.stream(engine, prompt("hello"))) as stream:
        # 0.26 is no news.
        assert [await anext(stream) for _ in range(3)] == [
            LOADING,
            Stage("loading", progress=0.25),
            Stage("loading", progress=0.5),
        ]
        assert await engine_status(served, engine) | {"state": "loading", "progress": 0.5} == await engine_status(
            served, engine
        )
        (tmp_path / "gate").touch()
        assert isinstance((await rest_of(stream))[-1], Finish)


async def test_who_comes_while_it_loads_hears_how_far_it_is(served, tmp_path):
    engine = key(f"gate:{tmp_path}/gate")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(aclosing(served.stream(engine, prompt("hello"))))
        while await anext(first) != Stage("loading", progress=0.5):
            pass
        second = await stack.enter_async_context(aclosing(served.stream(engine, prompt("hello"))))
        assert await anext(second) == Stage("loading", progress=0.5)
        (tmp_path / "gate").touch()


async def test_loading_has_its_time(served, tmp_path):
    engine = key(f"gate:{tmp_path}/gate", load_timeout=0.1)
    with pytest.raises(BackendTimeout, match=r"not loaded after 0\.1 seconds"):
        await collect(served, engine, "hello")
    assert (await engine_status(served, engine))["state"] == "failed"


async def test_a_model_that_cannot_be_loaded_is_not_tried_in_a_hot_loop(served, monkeypatch):
    with pytest.raises(ModelNotFound) as raised:
        await collect(served, key("broken"), "hello")
    assert (str(raised.value), raised.value.hint) == ("There is no such model.", "Fetch it.")
    with pytest.raises(ModelNotFound) as raised:
        await collect(served, key("broken"), "hello")
    assert 0 < raised.value.retry_after <= restarts.AFTER_FAILED_LOAD
    failed = await engine_status(served, key("broken"))
    assert (failed["state"], failed["error"], failed["restarts"]) == ("failed", "There is no such model.", 0)
    assert await answer(served, key(), "others") == "others "


async def test_a_model_that_came_meanwhile_is_found(served, monkeypatch):
    monkeypatch.setattr(restarts, "AFTER_FAILED_LOAD", 0)
    for _ in range(2):
        with pytest.raises(ModelNotFound):
            await collect(served, key("broken"), "hello")
    assert (await engine_status(served, key("broken")))["restarts"] == 1


async def test_an_engine_that_dies_while_it_loads_is_unavailable(served):
    with pytest.raises(BackendUnavailable, match="exit status 7: out of luck, while it loaded"):
        await collect(served, key("dies"), "hello")


async def test_a_crash_interrupts_all_streams_and_the_engine_comes_back(address):
    async with running(address), connected(address) as one, connected(address) as other, AsyncExitStack() as stack:
        streams = [await begin(stack, client, key()) for client in (one, other, one)]
        with pytest.raises(StreamInterrupted, match="exit status 9: it hurts"):
            await collect(one, key(), "crash")
        for stream in streams:
            with pytest.raises(StreamInterrupted, match="it hurts"):
                await rest_of(stream)
        assert await answer(other, key(), "again") == "again "
        assert (await engine_status(one, key()))["restarts"] == 1


async def test_crashes_in_a_row_wait(served):
    for _ in range(2):
        with pytest.raises(StreamInterrupted) as raised:
            await collect(served, key(), "crash")
        assert raised.value.retry_after is None
    with pytest.raises(StreamInterrupted) as raised:
        await collect(served, key(), "hello")
    assert 0 < raised.value.retry_after <= 1
    await served.unload(key())  # which forgives
    assert await answer(served, key(), "hello") == "hello "


async def test_a_signal_is_told(served):
    async with AsyncExitStack() as stack:
        stream = await begin(stack, served, key())
        os.kill((await engine_status(served, key()))["pid"], signal.SIGKILL)
        with pytest.raises(StreamInterrupted, match="signal 9"):
            await rest_of(stream)


async def test_what_is_asked_after_a_crash_does_not_share_it(served, address):
    """An id above ``upto`` belongs to the next engine."""
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    assert "welcome" in json.loads(await reader.readline())
    request = {"op": "generate", "engine": key(), "request": _fields("crash")}
    writer.write(json.dumps({**request, "id": 4}).encode() + b"\n")
    while "down" not in (message := json.loads(await reader.readline())):
        pass
    assert (message["engine"], message["upto"]) == (key(), 4)
    writer.close()
    await writer.wait_closed()


def _fields(text):
    return {"messages": [{"role": "user", "content": text}], "confidence_tokens": 0}


async def test_an_idle_engine_goes(served):
    engine = key(idle_unload=0.05)
    assert await answer(served, engine, "hello") == "hello "
    pid = (await engine_status(served, engine))["pid"]
    await until_state(served, engine, "absent")
    await until(lambda: not is_running(pid))


async def test_a_busy_engine_stays(served):
    engine = key(idle_unload=0.05)
    async with AsyncExitStack() as stack:
        await begin(stack, served, engine)
        await asyncio.sleep(0.1)
        assert (await engine_status(served, engine))["state"] == "ready"
    await until_state(served, engine, "absent")


async def test_load_waits_until_ready(served, tmp_path):
    engine = key(f"gate:{tmp_path}/gate")
    loading = asyncio.create_task(served.load(engine))
    await until_state(served, engine, "loading")
    assert not loading.done()
    (tmp_path / "gate").touch()
    await loading
    assert (await engine_status(served, engine))["state"] == "ready"
    await served.load(engine)
    with pytest.raises(ModelNotFound):
        await served.load(key("broken"))


async def test_unload_ends_whatever_it_does(served):
    async with AsyncExitStack() as stack:
        stream = await begin(stack, served, key())
        pid = (await engine_status(served, key()))["pid"]
        await served.unload(key())
        assert not is_running(pid)
        with pytest.raises(StreamInterrupted, match="was unloaded"):
            await rest_of(stream)
    assert (await engine_status(served, key()))["state"] == "absent"
    await served.unload(key("never asked for"))


async def test_models_are_loaded_at_the_start(address):
    async with running(address, preload=(key("one"), key("other"))), connected(address) as client:
        for model in ("one", "other"):
            await until_state(client, key(model), "ready")


async def test_one_model_more_makes_the_least_recently_used_idle_one_go(address):
    async with running(address, max_models=2), connected(address) as client:
        for model in ("a", "b", "a", "c"):
            assert await answer(client, key(model), f"by {model}") == f"by {model} "
            await until_idle(client, model)
        assert await states(client) == {"a": "ready", "b": "absent", "c": "ready"}
        async with AsyncExitStack() as stack:
            await begin(stack, client, key("a"))  # the least recently used one, but busy
            await answer(client, key("b"), "hello")
            assert await states(client) == {"a": "ready", "b": "ready", "c": "absent"}


async def until_idle(client, model):
    async with asyncio.timeout(5):
        while not (await engine_status(client, key(model)))["idle"]:
            await asyncio.sleep(0.01)


async def states(client):
    return {engine["model"]: engine["state"] for engine in (await client.status())["engines"]}


async def test_who_finds_all_busy_waits_for_one_to_become_idle(address):
    async with running(address, max_models=1), connected(address) as client, AsyncExitStack() as stack:
        busy = await begin(stack, client, key("a"))
        stream = await stack.enter_async_context(aclosing(client.stream(key("b"), prompt("hello"))))
        assert await anext(stream) == LOADING
        # The busy one gets nothing more, or it might never be idle; its turn comes again.
        later = asyncio.create_task(collect(client, key("a"), "later"))
        await until_asked(client, "a", 1)
        assert await states(client) == {"a": "ready", "b": "loading"}
        await busy.aclose()
        assert isinstance((await rest_of(stream))[-1], Finish)
        events = await later
        assert events[0] == LOADING
        assert TextDelta("later ") in events
        assert await states(client) == {"a": "ready", "b": "absent"}


async def until_asked(client, model, count):
    async with asyncio.timeout(5):
        while (await engine_status(client, key(model))).get("asked") != count:
            await asyncio.sleep(0.01)


async def test_who_gives_up_waiting_for_room_lets_the_others_go_on(address):
    async with running(address, max_models=1), connected(address) as client, AsyncExitStack() as stack:
        await begin(stack, client, key("a"))
        waits = asyncio.create_task(collect(client, key("b"), "hello"))
        await until_asked(client, "b", 1)
        held = asyncio.create_task(answer(client, key("a"), "held"))
        await until_asked(client, "a", 1)
        waits.cancel()
        assert await held == "held "
        assert await states(client) == {"a": "ready", "b": "absent"}


async def test_room_is_waited_for_no_longer_than_loading(address):
    async with running(address, max_models=1), connected(address) as client, AsyncExitStack() as stack:
        await begin(stack, client, key("a"))
        with pytest.raises(BackendUnavailable, match=r"no room for the model 'b' within 0\.1") as raised:
            await collect(client, key("b", load_timeout=0.1), "hello")
        assert "CHAT_ENGINE_MAX_MODELS" in raised.value.hint
        assert await answer(client, key("a"), "not held any more") == "not held any more "


async def test_a_model_that_fails_makes_room(address):
    async with running(address, max_models=1), connected(address) as client:
        with pytest.raises(ModelNotFound):
            await collect(client, key("broken"), "hello")
        assert await answer(client, key("a"), "hello") == "hello "


async def test_who_does_not_read_is_dropped_and_stalls_nobody(address, monkeypatch):
    monkeypatch.setattr(lines, "MOST_UNREAD", 2**19)
    async with running(address), connected(address) as client:
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"), limit=1024)
        assert "welcome" in json.loads(await reader.readline())
        for id_, text in enumerate(["hang", "flood", "flood"], start=1):
            message = {"op": "generate", "id": id_, "engine": key(), "request": _fields(text)}
            writer.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(5):
            while (await client.status())["connections"] != 1:
                await asyncio.sleep(0.01)
        await until_active(client, 0)
        assert await answer(client, key(), "hello") == "hello "
        writer.transport.abort()


async def test_nonsense_ends_its_connection_only(served, address):
    for nonsense in (b"hello", b"[]", b'{"op": "status"}', b'{"op": "generate", "id": 1}', b'{"op": "x", "id": 1}'):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        await reader.readline()
        writer.write(nonsense + b"\n")
        assert json.loads(await reader.readline())["refused"][0] == "request_rejected"
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert await answer(served, key(), "hello") == "hello "


async def test_options_of_another_version_are_misconfigured(served):
    with pytest.raises(BackendMisconfigured, match="does not understand the options"):
        await collect(served, '{"model": "fake", "colour": "blue"}', "hello")


async def test_secrets_do_not_reach_an_engine(address, monkeypatch):
    for name in ("OPENAI_API_KEY", "SECRET_KEY", "HF_TOKEN", "db_password", "DATABASE_URL", "CHAT_ENGINE_TOKEN"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("HF_HOME", "/models")
    async with running(address), connected(address) as client:
        said = await answer(client, key(), "environment")
    assert "hush-hush" not in said
    assert json.loads(said)["HF_HOME"] == "/models"


async def test_the_socket_is_for_one_user_and_goes_with_the_service(tmp_path):
    path = tmp_path / "new" / "engine.sock"
    async with running(f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.with_name("engine.sock.lock").read_text().strip() == str(os.getpid())
    assert not path.exists()


async def test_a_second_service_is_refused(address, tmp_path):
    async with running(address):
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), listening_socket(parse_address(address)):
            pass
        command = fake_service.service_command(address, ServicePlace(address=address))
        done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=_environment(), capture_output=True)
        assert done.returncode == ALREADY_RUNNING
        assert b"has unix:" in done.stderr
        async with connected(address) as client:
            assert await answer(client, key(), "unharmed") == "unharmed "


def _environment():
    return {**os.environ, "PYTHONPATH": environment()["PYTHONPATH"]}


async def test_a_dead_services_socket_is_replaced(address):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(address.removeprefix("unix:"))
    async with running(address), connected(address) as client:
        assert await answer(client, key(), "hello") == "hello "


def test_a_path_that_is_too_long_is_clear(tmp_path):
    with pytest.raises(ValueError, match="107 are the most"):
        parse_address(f"unix:{tmp_path}/{'x' * 120}")
    command = fake_service.service_command(f"unix:/{'x' * 120}", ServicePlace(address=""))
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "107 are the most" in done.stderr


@pytest.mark.parametrize("text", ["", "unix:", "tcp:host", "tcp::80", "tcp:host:99999", "tcp:host:x", "/a/path"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="is no address"):
        parse_address(text)


def test_addresses_are_said_as_they_were_given():
    for text in ("unix:/a/b.sock", "tcp:localhost:80", "tcp:[::1]:80"):
        assert str(parse_address(text)) == text


# --- TCP


@pytest.fixture
def tcp():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"tcp:127.0.0.1:{port}"


async def test_tcp_takes_the_token(tcp):
    async with running(tcp, token="hush"), connected(tcp, token="hush") as client:
        assert await answer(client, key(), "hello") == "hello "
        for token in ("", "hus", "hushh"):
            async with connected(tcp, token=token) as stranger:
                with pytest.raises(AuthenticationFailed, match="refused the token"):
                    await collect(stranger, key(), "hello")
        assert (await client.status())["connections"] == 1


async def test_tcp_needs_a_hello(tcp, monkeypatch):
    monkeypatch.setattr(server, "HELLO_SECONDS", 0.05)
    host, port = tcp.split(":")[1:]
    async with running(tcp, token="hush"):
        for line in (b"", b'{"op": "status", "id": 1}\n', b"x" * 5000, b"nonsense\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(line)
            assert json.loads(await reader.readline())["refused"]
            assert await reader.read() == b""
            writer.close()


def test_tcp_without_a_token_does_not_start(tcp):
    command = fake_service.service_command(tcp, ServicePlace(address=tcp))
    environment = {name: value for name, value in _environment().items() if name != "CHAT_ENGINE_TOKEN"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs a token" in done.stderr


async def test_nobody_at_tcp_is_unavailable(tcp):
    async with connected(tcp, token="hush", may_start=True) as client:
        with pytest.raises(NoService) as raised:
            await collect(client, key(), "hello")
    assert raised.value.hint == f"Run: python manage.py runengine --address {tcp}"


# --- Starting and ending


async def test_the_first_request_starts_the_service(address, starts_fakes, tmp_path):
    async with connected(address, may_start=True, max_models=2) as client:
        with pytest.raises(NoService):
            await client.status()  # which starts nothing
        assert await answer(client, key(), "hello") == "hello "
        status = await client.status()
        assert status["pid"] != os.getpid()
        assert status["max_models"] == 2
        assert os.getsid(status["pid"]) == status["pid"]  # a Ctrl-C in our terminal is not for it
        engine = status["engines"][0]["pid"]
    await until(lambda: not is_running(status["pid"]) and not is_running(engine))
    assert not (tmp_path / "engine.sock").exists()
    assert "listens at" in (tmp_path / "engine.sock.log").read_text()


async def test_many_that_start_at_once_get_one_service(address, starts_fakes):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(address, may_start=True)) for _ in range(4)]
        assert await asyncio.gather(*(answer(client, key(), "hello") for client in clients)) == ["hello "] * 4
        pids = {(await client.status())["pid"] for client in clients}
    assert len(pids) == 1
    await until(lambda: not is_running(*pids))


async def test_a_service_that_may_not_be_started(address):
    async with connected(address) as client:
        with pytest.raises(BackendUnavailable, match="No engine service listens") as raised:
            await collect(client, key(), "hello")
    assert raised.value.hint == f"Run: python manage.py runengine --address {address}"


async def test_a_service_that_cannot_start_says_why(address, monkeypatch):
    command = [sys.executable, "-c", "raise SystemExit('no luck')"]
    monkeypatch.setattr(launch, "service_command", lambda address, place: command)
    async with connected(address, may_start=True) as client:
        with pytest.raises(NoService, match="no luck"):
            await collect(client, key(), "hello")


async def test_what_is_no_service_is_clear(address):
    async def talk(reader, writer):
        writer.write(b"220 mail.example.org ESMTP\n")
        writer.close()

    server = await asyncio.start_unix_server(talk, address.removeprefix("unix:"))
    async with connected(address) as client:
        with pytest.raises(BackendMisconfigured, match="is no engine service"):
            await collect(client, key(), "hello")
    server.close()


async def test_a_service_that_is_killed_interrupts_and_another_is_started(address, starts_fakes):
    async with connected(address, may_start=True) as client, AsyncExitStack() as stack:
        stream = await begin(stack, client, key())
        status = await client.status()
        os.kill(status["pid"], signal.SIGKILL)
        with pytest.raises(StreamInterrupted, match="connection to the engine service"):
            await rest_of(stream)
        await until(lambda: not is_running(status["engines"][0]["pid"]))  # nobody is left to calculate for
        assert await answer(client, key(), "again") == "again "
        second = (await client.status())["pid"]
        assert second != status["pid"]
    await until(lambda: not is_running(second))


async def test_a_service_ends_at_a_signal_with_its_engines(address, starts_fakes):
    command = fake_service.service_command(address, ServicePlace(address=address))
    command.remove("--while-connected")
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(command, cwd=ROOT, env=_environment(), stderr=subprocess.PIPE, text=True) as process:
            try:
                assert "listens" in process.stderr.readline()
                async with connected(address) as client, AsyncExitStack() as stack:
                    await begin(stack, client, key())
                    engine = (await engine_status(client, key()))["pid"]
                    process.send_signal(number)
                    assert await asyncio.to_thread(process.wait, 5) == 0
                    assert not is_running(engine)
            finally:
                process.kill()


WEB_PROCESS = """
import asyncio, sys
from backends.transformers import launch
from tests.backends.fake_service import *
launch.service_command = service_command

async def main():
    client = EngineClient(ServicePlace(address=sys.argv[1], may_start=True))
    async for event in client.stream(key(), prompt("hang")):
        if isinstance(event, TextDelta):
            status = await client.status()
            print(status["pid"], status["engines"][0]["pid"], flush=True)

asyncio.run(main())
"""


async def test_a_web_process_that_is_killed_takes_the_service_with_it(address):
    command = [sys.executable, "-c", WEB_PROCESS, address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as web:
        try:
            pids = list(map(int, (await asyncio.to_thread(web.stdout.readline)).split()))
            assert all(map(is_running, pids))
        finally:
            web.kill()
    await until(lambda: not any(map(is_running, pids)))


async def test_a_service_lingers_for_who_comes_back(address, tmp_path):
    async with running(address, while_connected=True, linger=2) as service:
        for _ in range(3):
            async with connected(address) as client:
                await client.status()
            await asyncio.sleep(0.03)
        assert not service._end.is_set()
        await until(service._end.is_set)


FORKED = """
import asyncio, os, sys
from tests.backends.fake_service import *

async def ask(client, text):
    print(os.getpid(), await answer(client, key(), text), (await client.status())["connections"], flush=True)

client = EngineClient(ServicePlace(address=sys.argv[1]))
asyncio.run(ask(client, "parent"))
if os.fork():
    os.wait()
    asyncio.run(ask(client, "parent"))
else:
    asyncio.run(ask(client, "child"))
"""


async def test_a_forked_process_has_a_connection_of_its_own(address):
    async with running(address):
        command = [sys.executable, "-c", FORKED, address]
        done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert [line.split()[1:] for line in done.stdout.splitlines()] == [["parent", "1"], ["child", "2"], ["parent", "1"]]


def test_neither_side_imports_torch():
    for module in ("service", "client"):
        script = f"import sys, backends.transformers.{module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert not {"torch", "transformers", "huggingface_hub", "numpy"} & set(done.stdout.split())


def test_a_client_that_is_never_used_opens_nothing(address):
    EngineClient(ServicePlace(address=address, may_start=True)).close()
