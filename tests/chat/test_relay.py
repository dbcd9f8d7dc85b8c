"""Events between processes, through a real Redis. Two relays in this process play two processes."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from chat.events.delivery import Encoded
from chat.events.relay import EVERYBODY, Relay
from tests import servers
from tests.patience import until

module = sys.modules["chat.events.relay"]  # the package has an object of this name


class Pages:
    """The open pages of one process, as lists."""

    def __init__(self) -> None:
        self.heard: list[Encoded] = []
        self.forgotten: list[str] = []
        self.known: set[str] = set()

    def deliver(self, message: Encoded) -> None:
        self.heard.append(message)

    def forget(self, channels: Collection[str]) -> None:
        self.forgotten += sorted(channels)

    def remember(self, channels: Collection[str]) -> None:
        self.known |= set(channels)

    def remembered(self) -> set[str]:
        return set(self.known)


class Process:
    """A relay and its pages."""

    def __init__(self) -> None:
        self.pages = Pages()
        self.relay = Relay(self.pages)

    def watch(self, *channels: str) -> None:
        self.relay.watch(channels)

    def send(self, channel: str, *texts: str) -> None:
        self.relay.send([Encoded(channel, "message.delta", text) for text in texts])

    @property
    def texts(self) -> list[str]:
        return [message.data for message in self.pages.heard]


class Server:
    """Redis as a test sees it."""

    def __init__(self, server: servers.Server, url: str) -> None:
        self.server, self.url = server, url
        self.start, self.stop, self.restart = server.start, server.stop, server.restart

    @contextmanager
    def client(self) -> Iterator[Redis]:
        with Redis.from_url(self.url, decode_responses=True) as client:
            yield client

    def subscribers(self, channel: str) -> int:
        """Return how many processes Redis tells what happens in the channel, of whatever site."""
        with self.client() as client:
            names = client.pubsub_channels(f"chatsite:*:{channel.replace('*', '[*]')}")
            return sum(count for _, count in client.pubsub_numsub(*names)) if names else 0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers.redis() as (redis, url):
        yield Server(redis, url)


@pytest.fixture
def start(server, settings, monkeypatch) -> Iterator[Callable[[], Process]]:
    settings.REDIS_URL = server.url
    monkeypatch.setattr(module, "PAUSES", (0.05, 0.2))
    started: list[Process] = []

    def begin() -> Process:
        process = Process()
        started.append(process)
        process.relay.start()
        until(lambda: process.relay.is_connected)
        return process

    yield begin
    for process in started:
        process.relay.stop()
    assert "relay" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def away(server) -> Iterator[None]:
    """Redis is killed; it is back after the test."""
    server.stop(signal.SIGKILL)
    yield
    server.start()


def test_it_works(start):
    here, there = start(), start()
    there.watch("conversation-1")
    here.send("conversation-1", "Hel", "lo\nthere \u2028😀")
    until(lambda: len(there.texts) == 2)
    assert there.pages.heard[0] == Encoded("conversation-1", "message.delta", "Hel")
    assert there.texts[1] == "lo\nthere \u2028😀"


def test_what_one_sends_does_not_come_back(start):
    here, there = start(), start()
    here.watch("conversation-1")
    there.watch("conversation-1")
    here.send("conversation-1", "hello")
    until(lambda: there.texts == ["hello"])
    there.send("conversation-1", "an echo")
    until(lambda: here.texts == ["an echo"])
    assert there.texts == ["hello"]


def test_many_events_arrive_in_their_order(start):
    here, there = start(), start()
    there.watch("conversation-1")
    texts = [str(number) for number in range(3_000)]
    for at in range(0, len(texts), 10):
        here.send("conversation-1", *texts[at : at + 10])
    until(lambda: len(there.texts) == len(texts))
    assert there.texts == texts


def test_threads_that_send_at_the_same_time_lose_nothing(start):
    here, there = start(), start()
    there.watch("conversation-1")

    def send(name: int) -> None:
        for number in range(300):
            here.send("conversation-1", f"{name} {number}")

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(there.texts) == 1_200)
    for name in range(4):
        assert [text for text in there.texts if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(300)]
    assert EVERYBODY not in there.pages.forgotten


def test_nobody_hears_what_he_does_not_watch(start, server):
    here, there = start(), start()
    there.watch("conversation-1")
    assert (server.subscribers("conversation-1"), server.subscribers("conversation-2")) == (1, 0)
    with server.client() as client:
        before = client.info("stats")["total_net_output_bytes"]
        here.send("conversation-2", *["x" * 1_000] * 100)
        here.send("conversation-1", "the last one")
        until(lambda: there.texts == ["the last one"])
        # What Redis answers to who publishes counts, too: a few bytes for each.
        assert client.info("stats")["total_net_output_bytes"] - before < 20_000


def test_watching_waits_until_redis_has_us(start, server):
    here, there = start(), start()
    for number in range(20):
        there.watch(f"conversation-{number}")
        here.send(f"conversation-{number}", str(number))
    until(lambda: len(there.texts) == 20)
    assert server.subscribers("conversation-7") == 1


def test_watching_again_costs_nothing(start, server):
    process = start()
    process.watch("conversation-1")
    forgotten = list(process.pages.forgotten)
    with server.client() as client:
        before = client.info("commandstats").get("cmdstat_subscribe", {}).get("calls", 0)
        process.watch("conversation-1")
        process.watch("conversation-2")
        assert client.info("commandstats")["cmdstat_subscribe"]["calls"] - before == 1
    assert process.pages.forgotten == [*forgotten, "conversation-2"]


async def test_watching_on_an_event_loop(start):
    here, there = start(), start()
    await there.relay.awatch(["conversation-1", "user-1"])
    here.send("conversation-1", "hello")
    async with asyncio.timeout(5):
        while there.texts != ["hello"]:
            await asyncio.sleep(0.01)


async def test_who_leaves_while_waiting_disturbs_nobody(start, server):
    process = start()
    server.server.send(signal.SIGSTOP)
    try:
        leaving = [asyncio.create_task(process.relay.awatch(["conversation-1"])) for _ in range(3)]
        staying = asyncio.create_task(process.relay.awatch(["conversation-1"]))
        await asyncio.sleep(0.05)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert not staying.done()
    finally:
        server.server.send(signal.SIGCONT)
    await staying
    await asyncio.to_thread(until, lambda: server.subscribers("conversation-1") == 1)
    assert process.relay.is_connected


def test_what_nobody_remembers_is_unsubscribed(start, server):
    here, there = start(), start()
    there.watch("conversation-1", "conversation-2")
    there.pages.known.discard("conversation-1")
    there.relay.unwatch_forgotten()
    until(lambda: server.subscribers("conversation-1") == 0)
    assert server.subscribers("conversation-2") == 1
    there.watch("conversation-1")
    here.send("conversation-1", "back again")
    until(lambda: there.texts == ["back again"])


def test_who_comes_back_in_the_last_moment_is_subscribed(start, server):
    """Watch and unwatch the same channel in two threads; whoever watches hears in the end."""
    here, there = start(), start()
    for number in range(50):
        there.watch("conversation-1")
        there.pages.known.discard("conversation-1")
        unwatching = threading.Thread(target=there.relay.unwatch_forgotten)
        unwatching.start()
        there.watch("conversation-1")
        unwatching.join()
        here.send("conversation-1", str(number))
        until(lambda number=number: there.texts[-1:] == [str(number)])


def test_sites_with_other_keys_hear_nothing_of_each_other(start, settings):
    here = start()
    settings.SECRET_KEY = "another-site"
    there, beside = start(), start()
    there.watch("user-1")
    here.send("user-1", "a secret")
    here.relay._has_lost = True
    here.send("user-1", "another")
    beside.send("user-1", "hello")
    until(lambda: there.texts == ["hello"])
    assert there.pages.forgotten == ["user-1"]  # when it was subscribed to


class TestWithoutRedis:
    def test_a_site_without_redis_starts_nothing(self, settings):
        settings.REDIS_URL = ""
        process = Process()
        process.relay.start()
        process.watch("user-1")
        process.send("user-1", "hello")
        process.relay.stop()
        assert not process.relay.is_wanted
        assert process.relay._thread is None

    def test_nobody_waits_for_a_redis_that_is_away(self, start, server):
        process = start()
        process.watch("user-1")
        server.stop(signal.SIGKILL)
        try:
            until(lambda: not process.relay.is_connected)
            began = time.monotonic()
            for number in range(100):
                process.watch(f"conversation-{number}")
                process.send("user-1", "x")
            assert time.monotonic() - began < 0.2
        finally:
            server.start()

    def test_what_cannot_be_sent_is_bounded(self, start, server, monkeypatch):
        monkeypatch.setattr(module, "MOST_UNSENT", 10)
        process = start()
        server.stop(signal.SIGKILL)
        try:
            until(lambda: not process.relay.is_connected)
            for number in range(50):
                process.send("user-1", str(number))
            assert [message.data for message in process.relay._unsent] == [str(number) for number in range(40, 50)]
        finally:
            server.start()

    @pytest.mark.usefixtures("away")
    def test_stop_does_not_wait_for_it(self, settings, server):
        settings.REDIS_URL = server.url
        process = Process()
        process.relay.start()
        thread = process.relay._thread
        began = time.monotonic()
        process.relay.stop()
        assert time.monotonic() - began < 0.5
        assert not thread.is_alive()

    @pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "http://127.0.0.1/", "redis://127.0.0.1:6379/?db=x"])
    def test_a_wrong_address_disturbs_nobody(self, settings, monkeypatch, caplog, url):
        monkeypatch.setattr(module, "PAUSES", (0.01, 0.02))
        settings.REDIS_URL = url
        process = Process()
        process.send("user-1", "hello")
        until(lambda: caplog.records)
        process.watch("user-1")
        assert not process.relay.is_connected
        assert process.relay._thread.is_alive()
        process.relay.stop()


class TestARedisThatComesBack:
    def test_it_works(self, start, server):
        here, there = start(), start()
        there.watch("conversation-1")
        there.pages.forgotten.clear()
        server.stop(signal.SIGKILL)
        until(lambda: not here.relay.is_connected)
        until(lambda: not there.relay.is_connected)
        here.send("conversation-1", "kept")
        there.watch("conversation-2")
        server.start()
        until(lambda: here.relay.is_connected)
        until(lambda: there.relay.is_connected)
        # Something may be missing: the pages fetch the snapshot.
        until(lambda: {"conversation-1", "conversation-2"} <= set(there.pages.forgotten))
        here.send("conversation-1", "new")
        here.send("conversation-2", "too")
        until(lambda: {"new", "too"} <= set(there.texts))
        assert (server.subscribers("conversation-1"), server.subscribers("conversation-2")) == (1, 1)

    def test_events_that_were_dropped_are_noticed_by_the_others(self, start, server, monkeypatch):
        """Here the sender alone was away: nothing else would tell the other that it missed something."""
        monkeypatch.setattr(module, "MOST_UNSENT", 3)
        there = start()
        there.watch("conversation-1")
        with server.client() as client:
            others = {row["id"] for row in client.client_list()}
            here = start()
            there.pages.forgotten.clear()
            monkeypatch.setattr(module, "PAUSES", (0.5, 0.5))
            for row in client.client_list():
                if row["id"] not in others:
                    client.client_kill_filter(_id=row["id"])
            until(lambda: not here.relay.is_connected)
            here.send("conversation-1", *"abcdef")
        until(lambda: there.texts == ["d", "e", "f"])
        assert there.pages.forgotten == ["conversation-1"]

    def test_a_subscription_asked_for_while_it_connects_is_not_lost(self, start, server, monkeypatch):
        here, there = start(), start()
        for number in range(10):
            server.restart()
            # Somewhere between connecting and being connected.
            time.sleep(0.01 * number)
            there.watch(f"conversation-{number}")
            until(lambda: here.relay.is_connected and there.relay.is_connected)
            until(lambda number=number: server.subscribers(f"conversation-{number}") == 1)

    def test_one_that_hangs_counts_as_away(self, start, server, monkeypatch):
        monkeypatch.setattr(module, "SILENCE", 0.1)
        monkeypatch.setattr(module, "TIMEOUT", 1)
        process = start()
        time.sleep(1.2)
        assert process.relay.is_connected  # silence alone is no sign
        server.server.send(signal.SIGSTOP)
        try:
            until(lambda: not process.relay.is_connected)
        finally:
            server.server.send(signal.SIGCONT)
        until(lambda: process.relay.is_connected)

    def test_it_says_so_once(self, start, server, caplog):
        caplog.set_level("INFO", "chat")
        process = start()
        server.stop(signal.SIGKILL)
        until(lambda: not process.relay.is_connected)
        time.sleep(0.1)
        server.start()
        until(lambda: process.relay.is_connected)
        said = [record.levelname for record in caplog.records if record.name == "chat.events.relay"]
        assert said == ["WARNING", "INFO"]


def test_stop_sends_what_is_left(start):
    here, there = start(), start()
    there.watch("conversation-1")
    thread = here.relay._thread
    here.send("conversation-1", *map(str, range(2_000)))
    here.relay.stop()
    assert not thread.is_alive()
    until(lambda: len(there.texts) == 2_000)


def test_who_publishes_while_it_stops_disturbs_nothing(start):
    here, there = start(), start()
    there.watch("conversation-1")
    here.send("conversation-1", *map(str, range(2_000)))
    stopping = threading.Thread(target=here.relay.stop)
    stopping.start()
    while stopping.is_alive():
        here.send("conversation-1", "late")
        assert sum(thread.name == "relay" for thread in threading.enumerate()) <= 2
    here.relay.stop()
    until(lambda: len([text for text in there.texts if text != "late"]) == 2_000)


def test_it_starts_with_the_first_word(start, server):
    """As in a command that publishes, and ends at once."""
    there = start()
    there.watch("user-1")
    command = Process()
    command.send("user-1", "renamed")
    command.relay.stop()
    until(lambda: there.texts == ["renamed"])
    assert not command.relay.is_connected
    assert there.pages.forgotten == ["user-1"]  # nobody is disturbed


def test_noise_on_the_channel_disturbs_nobody(start, server):
    process = start()
    process.watch("user-1")
    with server.client() as client:
        for name in client.pubsub_channels("*"):
            for noise in ("", "\n", "no newline", b"\xff\xfe\n\x00"):
                client.publish(name, noise)
    here = start()
    here.send("user-1", "hello")
    until(lambda: process.texts[-1:] == ["hello"])
    assert process.relay.is_connected


def test_events_take_milliseconds(start):
    here, there = start(), start()
    there.watch("user-1")
    times = []
    for number in range(50):
        began = time.perf_counter()
        here.send("user-1", str(number))
        while len(there.texts) <= number:
            time.sleep(0.0002)
        times.append(time.perf_counter() - began)
    print(f"median {sorted(times)[25] * 1000:.1f} ms, p95 {sorted(times)[47] * 1000:.1f} ms")
    assert sorted(times)[25] < 0.1
