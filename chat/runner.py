"""Runs the queued answers of the site in this process: one thread with one event loop, apart from the one that serves.

An answer is detached from the request that asked for it, and reading a fast upstream never delays a page. The queue is
the database: a process that dies leaves nothing behind that another one cannot see.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from asyncio import new_event_loop
from contextlib import suppress
from functools import partial

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import Error, close_old_connections, connections

from chat.drafts import Drafts
from chat.operation import presence, probing
from chat.queue import claim
from chat.rounds import Every, Pulse, Rounds
from chat.titles import improve_title
from chat.workshop.working import Rehearsing
from chat.writing import run_generation

with suppress(ImportError):  # there is none for Windows
    from uvloop import new_event_loop

logger = logging.getLogger(__name__)

POLL_INTERVAL = 1.0
"""Seconds between two looks at the queue and at the rows that are ours, when nobody wakes us."""

PROBE_INTERVAL = 2.0
"""Seconds between two looks at which backends are to be probed."""

LAST_WORDS = 3.0
"""Seconds in which the answers that are cut then must be stored; a database that is away would keep them for ever."""


TITLES_AT_ONCE = 8
"""Titles that are made at the same time; where more answers end, their conversations keep the first words."""


class Runner:
    """The worker of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake: asyncio.Event | None = None
        self._stopping = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._titles: set[asyncio.Task[None]] = set()
        self._renewed_at = 0.0
        self._probing = Every(PROBE_INTERVAL)
        self._probes: set[asyncio.Task[None]] = set()
        self._can_write = False
        self._rounds = Rounds()
        self._rehearsing = Rehearsing()
        self.name = ""
        """Host, process id and a nonce; the ``worker`` of the generations that it runs."""

    def wake(self) -> None:
        """Look at the queue now. Starts the thread where it does not run yet."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._start()
        self._call_soon()

    def cancel(self, pk: int) -> None:
        """Stop the backend's work for a generation that was just cancelled, if it is done here."""
        loop, task = self._loop, self._tasks.get(pk)
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(task.cancel)

    def stop(self) -> None:
        """Take no more work, give running answers ``CHAT_SHUTDOWN_GRACE`` seconds, mark the rest as interrupted."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopping = True
        if thread is not None:
            self._call_soon()
            thread.join(timeout=settings.CHAT_SHUTDOWN_GRACE + 10)

    def _start(self) -> None:
        started = threading.Event()
        self._stopping = False
        self._rounds, self._probing = Rounds(), Every(PROBE_INTERVAL)
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._thread = threading.Thread(target=self._run, args=[started], name="runner", daemon=True)
        self._thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        pulse = Pulse(self._rounds, self.name, lambda: list(self._tasks))
        with pulse, asyncio.Runner(loop_factory=new_event_loop) as loop:
            loop.run(self._main(started))

    def _call_soon(self) -> None:
        if self._loop is not None and self._awake is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._awake.set)

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._drafts = Drafts()
        started.set()
        # A thread of its own for the database: in the common one, every request would wait while a write does.
        async with ThreadSensitiveContext():
            while not self._stopping:
                await self._make_round()
                self._awake.clear()
                if not self._stopping:
                    await self._wait()
            await self._drain()
            with suppress(Error):
                if self._can_write:  # else nobody knows how long it would take to say so
                    await sync_to_async(presence.leave)(self.name)
            # That thread's, which nobody else can close.
            await sync_to_async(connections.close_all)()

    async def _make_round(self) -> None:
        try:
            await sync_to_async(close_old_connections)()  # after a failure, the one that failed
            await self._take_work()
            await self._look_after()
            # At most half of the room, so that people's own answers never wait for it.
            await self._rehearsing.look(self.name, settings.CHAT_MAX_RUNNING // 2 - len(self._tasks))
            self._can_write = True
        except Error:
            self._can_write = False
            # Busy or away: the rows are still there at the next look.
            logger.exception("The database cannot be asked")

    async def _wait(self) -> None:
        assert self._awake is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(_interval()):
                await self._awake.wait()

    async def _take_work(self) -> None:
        room = settings.CHAT_MAX_RUNNING - len(self._tasks)
        if room <= 0:
            return
        for generation in await sync_to_async(claim)(self.name, room):
            task = asyncio.create_task(run_generation(generation, self._drafts), name=f"generation-{generation.pk}")
            self._tasks[generation.pk] = task
            task.add_done_callback(partial(self._forget, generation.pk))

    def _forget(self, pk: int, task: asyncio.Task[None]) -> None:
        # Continued while its backend was being closed: then another run of it is there already.
        if self._tasks.get(pk) is task:
            del self._tasks[pk]
        if not task.cancelled():
            if (error := task.exception()) is not None:
                # Its row is reaped, by us or by another process, once its heartbeat is old.
                logger.error("Generation %s could not be ended", pk, exc_info=error)
            else:
                self._improve_title(pk)
        if self._awake is not None:
            self._awake.set()

    def _improve_title(self, pk: int) -> None:
        """Have the conversation named, now that its answer is there and nobody waits any more."""
        if settings.CHAT_TITLE_BACKEND and not self._stopping and len(self._titles) < TITLES_AT_ONCE:
            task = asyncio.create_task(improve_title(pk), name=f"title-{pk}")
            self._titles.add(task)
            task.add_done_callback(self._titles.discard)

    async def _look_after(self) -> None:
        """Renew what is ours, stop what is no longer, reap what died, tell who waits, end the streams of who left."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < _interval():
            return
        self._renewed_at = now
        running = set(self._tasks)
        for pk in await sync_to_async(self._rounds.make)(self.name, running):
            if task := self._tasks.get(pk):
                task.cancel()
        if not self._stopping and self._probing.is_due():
            for alias in await sync_to_async(probing.claim_due)(self.name):
                probe = asyncio.create_task(probing.probe(alias), name=f"probe-{alias}")
                self._probes.add(probe)
                probe.add_done_callback(self._end_probe)

    def _end_probe(self, probe: asyncio.Task[None]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled() and (error := probe.exception()) is not None:
            logger.error("A probe could not be written down", exc_info=error)

    async def _drain(self) -> None:
        tasks = set(self._tasks.values())
        for aside in (*self._titles, *self._probes):
            aside.cancel()
        await self._rehearsing.stop(self.name)
        if not tasks:
            return
        logger.info("Waiting up to %s s for %s answers", settings.CHAT_SHUTDOWN_GRACE, len(tasks))
        _, unfinished = await asyncio.wait(tasks, timeout=settings.CHAT_SHUTDOWN_GRACE)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=LAST_WORDS)


def _interval() -> float:
    """Return the seconds between two rounds when nobody wakes us."""
    return min(POLL_INTERVAL, settings.CHAT_HEARTBEAT_INTERVAL)


runner = Runner()
