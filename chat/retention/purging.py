"""Purging: what the rules say is over goes, a bounded number of rows at a time, and what went is written down.

One round is open at a time. It is done in steps, by a process of the site once a day or by ``manage.py purge``; where
one dies, the next goes on: nothing is remembered but what went.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from chat import audit, pieces, rollups
from chat.models import Conversation, Kept, PurgeRun, UsageRecord
from chat.retention import rules as retention
from chat.retention.deleting import delete_untouched, purge_deleted
from chat.retention.rules import Due

AT_ONCE = 300
"""Rows of one step: whoever else writes waits meanwhile."""
EVERY = timedelta(days=1)
LOOK_EVERY = 300.0
"""Seconds between two looks whether it is time."""
DIED = timedelta(minutes=5)
"""Without a sign of life for so long, a round is anybody's."""
CLICK_SECONDS = 5.0
"""For which a click in the admin purges."""
LISTED = 100
"""Conversations that a dry run names."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What would go now by one rule."""

    due: Due
    count: int


class AlreadyPurgingError(Exception):
    """Another process purges; ``str()`` names it."""


def plan() -> list[Planned]:
    """Return how much would go now, by each rule that holds."""
    return [Planned(due, rows.count()) for due, rows in _dues()]


def listed() -> list[Conversation]:
    """Return the conversations that would be deleted or erased first."""
    found: list[Conversation] = []
    for due, rows in _dues():
        if due.kind in {Kept.CONVERSATIONS, Kept.DELETED}:
            order = "updated_at" if due.kind == Kept.CONVERSATIONS else "deleted_at"
            found += rows.select_related("owner").order_by(order)[: LISTED - len(found)]
    return found


def _dues() -> Iterator[tuple[Due, QuerySet[Any]]]:
    now = timezone.now()
    for due in retention.due_rules(Kept.CONVERSATIONS):
        yield due, retention.untouched(due, now)
    yield from retention.deleted_for_good(now)
    found: dict[Kept, Callable[..., QuerySet[Any]]] = {
        Kept.IMPORTS: retention.old_imports,
        Kept.FLAGS: retention.old_flags,
        Kept.USAGE: retention.old_usage,
        Kept.AUDIT: retention.old_entries,
    }
    for kind, rows in found.items():
        for due in retention.due_rules(kind):
            yield due, rows(due, now)
    sessions = retention.due_rules(Kept.SESSIONS)
    seconds = sessions[0].seconds if sessions else settings.SESSION_COOKIE_AGE
    yield Due(kind=Kept.SESSIONS, whom="", seconds=seconds), retention.old_sessions(sessions, now)


def start(by: str) -> PurgeRun:
    """Open a round, or take over one whose process died.

    Raises:
        AlreadyPurgingError: another process is at it.
    """
    now = timezone.now()
    died = PurgeRun.objects.filter(is_open=True, renewed_at__lt=now - DIED)
    if died.update(renewed_at=now, by=by):
        return PurgeRun.objects.get(is_open=True)
    try:
        with transaction.atomic():
            return PurgeRun.objects.create(by=by)
    except IntegrityError as error:
        other = PurgeRun.objects.filter(is_open=True).first()
        raise AlreadyPurgingError(other.by if other else by) from error


def is_time() -> bool:
    """Tell whether no round ended, or is going on, since a day ago."""
    if PurgeRun.objects.filter(is_open=True, renewed_at__gte=timezone.now() - DIED).exists():
        return False
    newest = PurgeRun.objects.filter(is_open=False).values_list("started_at", flat=True).first()
    return newest is None or timezone.now() - newest >= EVERY


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    gone: dict[str, int] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    """Answers that were being written in what was deleted: whoever runs them is to stop."""
    is_over: bool = False
    """Whether there was nothing left to do."""


_NOTHING = Step(is_over=True)


def step(run: PurgeRun) -> Step:
    """Let a bounded number of rows go, and note it in the round."""
    for work in (_delete_untouched, _erase_deleted, _forget_rows, _forget_sums, _forget_entries):
        done = work()
        if not done.is_over:
            run.counts = {
                name: run.counts.get(name, 0) + done.gone.get(name, 0) for name in {**run.counts, **done.gone}
            }
            PurgeRun.objects.filter(pk=run.pk).update(counts=run.counts, renewed_at=timezone.now())
            return done
    return _NOTHING


def for_seconds(seconds: float, by: str) -> tuple[PurgeRun, bool]:
    """Purge for about so many seconds; return the round, and whether nothing is left.

    Raises:
        AlreadyPurgingError: another process is at it.
    """
    run, until = start(by), time.monotonic() + seconds
    is_over = False
    while not is_over and time.monotonic() < until:
        is_over = step(run).is_over
    finish(run)
    return run, is_over


def finish(run: PurgeRun) -> None:
    """Close the round; the audit log is told how much went, if anything did."""
    pieces.delete_orphans()
    with transaction.atomic():
        now = timezone.now()
        ended = PurgeRun.objects.filter(pk=run.pk, is_open=True).update(is_open=False, finished_at=now)
        if ended and run.counts:
            audit.append("purged", None, audit.Target(kind="purge", id=str(run.pk)), by=run.by, **run.counts)


class Daily:
    """The round that a process of the site makes once a day, a step at a time, if no other one does."""

    def __init__(self) -> None:
        self._run: PurgeRun | None = None
        self._looked_at = time.monotonic()

    def work(self, worker: str) -> list[int]:
        """Do a step if there is one to do; return the answers that were being written in what went."""
        if self._run is None and not self._begin(worker):
            return []
        assert self._run is not None
        done = step(self._run)
        if done.is_over:
            finish(self._run)
            self._run = None
        return done.answers

    def _begin(self, worker: str) -> bool:
        now = time.monotonic()
        if not settings.CHAT_PURGE_DAILY or now - self._looked_at < LOOK_EVERY:
            return False
        self._looked_at = now
        if is_time():
            with suppress(AlreadyPurgingError):  # another process was quicker
                self._run = start(worker)
        return self._run is not None


def _delete_untouched() -> Step:
    for due in retention.due_rules(Kept.CONVERSATIONS):
        deleted = delete_untouched(retention.untouched(due, timezone.now()), AT_ONCE)
        if deleted.conversations:
            return Step({_name(due): len(deleted.conversations)}, deleted.answers)
    return _NOTHING


def _erase_deleted() -> Step:
    rows, conversations = purge_deleted(AT_ONCE)
    # A long conversation takes several steps, and is counted at its last.
    return Step({Kept.DELETED.value: conversations} if conversations else {}) if rows else _NOTHING


def _forget_rows() -> Step:
    for due, rows in _dues():
        if due.kind in {Kept.IMPORTS, Kept.FLAGS, Kept.USAGE, Kept.SESSIONS} and (gone := _delete_some(rows)):
            return Step({_name(due): gone})
    return _NOTHING


def _forget_sums() -> Step:
    """Forget what each person used when, as the rules for usage say, and the hours that nobody asks for any more."""
    now = timezone.now()
    for due in retention.due_rules(Kept.USAGE):
        if gone := _delete_some(retention.old_sums(due, now)):
            return Step({"usage by person": gone})
    # The days say the same, so nothing is lost that would have to be told.
    return Step() if any(_delete_some(hours) for hours in rollups.old_hours(now)) else _NOTHING


def _delete_some(rows: QuerySet[Any]) -> int:
    """Delete as many of them as one step may; return how many."""
    pks = list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])
    some = rows.model._default_manager.filter(pk__in=pks)
    some.forget() if rows.model is UsageRecord else some.delete()
    return len(pks)


def _forget_entries() -> Step:
    """Forget old entries of the audit log, and with them what the admin logged by itself."""
    now = timezone.now()
    for due in retention.due_rules(Kept.AUDIT):
        last = retention.old_entries(due, now).order_by("-number").first()
        if last and last.number > audit.anchor().number:
            audit.forget_through(last.number)
        limit = due.limit(now)
        if limit and (gone := _delete_some(LogEntry.objects.filter(action_time__lt=limit))):
            return Step({"admin log": gone})
    gone = audit.forget_some(AT_ONCE)
    return Step({Kept.AUDIT.value: gone}) if gone else _NOTHING


def _name(due: Due) -> str:
    return f"{due.kind.value} ({due.whom})" if due.whom else due.kind.value
