"""Moderation: questions are looked at before they are sent on, answers piece by piece while they are written.

Moderators run on an event loop of their own, in a thread of their own: one that hangs or calculates costs neither the
pages nor the other answers more than its time limit. What they find is written down without the text.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from backends import Usage
from backends.moderation import ALLOW, Entry, ModerationError, ModerationRequest, Verdict, moderators
from chat import audit
from chat.audit import Target
from chat.models import Conversation, Generation, Message, ModeratedKind, ModerationFlag, User
from chat.refusals import ModeratedError

logger = logging.getLogger(__name__)

PIECE = 1_000
"""Characters of an answer that are looked at together."""
BEFORE = 300
"""Characters before a piece that it is looked at with: what was found must not hide at the cut."""
GRACE = 1.0
"""Seconds beyond a moderator's time limit, after which nobody waits for the loop itself any more."""
FAILED = "failed"
"""The rule of what could not be looked at and was refused therefore."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one moderator says of a text."""

    moderator: str
    verdict: Verdict


class AnswerRefusedError(Exception):
    """The answer is to be replaced; ``str()`` is what people read in its place."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.usage: Usage | None = None


class _Loop:
    """The event loop that moderators run on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, list[Found]]) -> concurrent.futures.Future[list[Found]]:
        with self._lock:
            if self._thread is None or not self._thread.is_alive() or self._loop is None:
                self._loop = asyncio.new_event_loop()
                run = self._loop.run_forever
                self._thread = threading.Thread(target=run, name="moderation", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


_loop = _Loop()


def check_question(owner: User, text: str, conversation: Conversation | None) -> list[Found]:
    """Return what was flagged in a question that may be sent on.

    Raises:
        ModeratedError: it may not; that is written down. ``str()`` is what its writer reads.
    """
    entries = moderators.looking_at("question")
    if not entries:
        return []
    request = ModerationRequest(text=text, kind="question", user=_opaque_name(owner.pk))
    unreadable = _refresh(entries)
    awake = _awake(entries)
    if not (awake or unreadable):
        return []
    try:
        asked = _loop.submit(_ask_all(awake, request))
        found = asked.result(max(entry.timeout for entry in entries) + GRACE)
    except TimeoutError:
        asked.cancel()
        found = [_failed(entry, "no answer in time") for entry in entries]
    found = [one for one in (*unreadable, *found) if one.verdict.action != "allow"]
    if refused := _refusal(found):
        for one in found:
            _write_down(owner, conversation, None, ModeratedKind.QUESTION, one)
        raise ModeratedError(refused.words or _("This message cannot be sent. Put it in other words."))
    return found


def flag_question(question: Message, owner: User, found: list[Found]) -> None:
    """Write down what was flagged in a question, now that it is stored; once, however often it was sent."""
    for one in found:
        known = ModerationFlag.objects.filter(message=question, moderator=one.moderator, rule=one.verdict.rule)
        if not known.exists():
            _write_down(owner, question.conversation, question, ModeratedKind.QUESTION, one)


class AnswerWatch:
    """Looks at one answer while it is written. What came is looked at behind the writer's back, who never waits."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._entries: list[Entry] = []
        self._before = ""
        """The end of what was looked at."""
        self._pieces: list[str] = []
        """What came since then."""
        self._length = 0
        """Of these."""
        self._asking: asyncio.Future[list[Found]] | None = None

    def refresh(self) -> None:
        """Find out who looks at answers; in a thread that may read files and the database."""
        self._entries = moderators.looking_at("answer")
        self._failed = _refresh(self._entries)

    def append(self, text: str) -> bool:
        """Take a piece of text; return whether a verdict is there that ``look`` is to be called for."""
        if not self._entries:
            return False
        self._pieces.append(text)
        self._length += len(text)
        if self._asking is None and self._length >= PIECE:
            self._ask()
        return self._asking is not None and self._asking.done()

    async def look(self) -> list[Found]:
        """Return what was found in the piece that was asked about last, once that is known."""
        if self._asking is None:
            return []
        asking, self._asking = self._asking, None
        try:
            found = await asyncio.wait_for(asking, max(entry.timeout for entry in self._entries) + GRACE)
        except TimeoutError:
            found = [_failed(entry, "no answer in time") for entry in self._entries]
        return [one for one in found if one.verdict.action != "allow"]

    async def look_at_the_rest(self) -> list[Found]:
        """Return what was found in all that was not looked at yet."""
        found = [*self._failed_to_read(), *await self.look()] if self._entries else []
        if self._entries and self._length:
            self._ask()
            found += await self.look()
        return found

    def _failed_to_read(self) -> list[Found]:
        failed, self._failed = self._failed, []
        return [one for one in failed if one.verdict.action != "allow"]

    def _ask(self) -> None:
        piece = self._before + "".join(self._pieces)
        self._before, self._pieces, self._length = piece[-BEFORE:], [], 0
        awake = _awake(self._entries)
        if not awake:
            return
        user = _opaque_name(self._generation.message.conversation.owner_id)
        request = ModerationRequest(text=piece, kind="answer", user=user)
        self._asking = asyncio.wrap_future(_loop.submit(_ask_all(awake, request)))


def take_note(generation: Generation, found: list[Found]) -> None:
    """Write down what was found in an answer, each rule once.

    Raises:
        AnswerRefusedError: the answer is to be replaced.
    """
    message = Message.objects.select_related("conversation__owner").filter(pk=generation.pk).first()
    if message is None:
        return  # deleted meanwhile
    refused = _refusal(found)
    known = set(ModerationFlag.objects.filter(message=message).values_list("moderator", "rule", "action"))
    for one in found:
        if (key := (one.moderator, one.verdict.rule, one.verdict.action)) not in known:
            known.add(key)
            _write_down(message.conversation.owner, message.conversation, message, ModeratedKind.ANSWER, one)
    if refused:
        raise AnswerRefusedError(refused.words or _("This answer does not keep the rules of this site."))


def _refresh(entries: list[Entry]) -> list[Found]:
    """Let each moderator look whether it has changed; return the verdicts of those that cannot."""
    failed = []
    for entry in entries:
        try:
            entry.moderator.refresh()
        except ModerationError as error:
            failed.append(_failed(entry, str(error)))
    return failed


def _awake(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.moderator.is_idle]


async def _ask_all(entries: list[Entry], request: ModerationRequest) -> list[Found]:
    return list(await asyncio.gather(*(_ask(entry, request) for entry in entries)))


async def _ask(entry: Entry, request: ModerationRequest) -> Found:
    try:
        async with asyncio.timeout(entry.timeout):
            verdict = await entry.moderator.check(request)
    except TimeoutError:
        return _failed(entry, "no answer in time")
    except ModerationError as error:
        return _failed(entry, str(error))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; a text must not depend on it
        return _failed(entry, type(error).__name__)
    return Found(entry.alias, verdict)


def _failed(entry: Entry, why: str) -> Found:
    logger.warning("Moderator %s failed: %s", entry.alias, why)
    if not entry.refuses_on_failure:
        return Found(entry.alias, ALLOW)
    words = _("This cannot be checked at the moment. Try again soon.")
    return Found(entry.alias, Verdict(action="refuse", rule=FAILED, words=words))


def _refusal(found: list[Found]) -> Verdict | None:
    return next((one.verdict for one in found if one.verdict.action == "refuse"), None)


def _write_down(
    owner: User, conversation: Conversation | None, message: Message | None, kind: ModeratedKind, one: Found
) -> None:
    rule = one.verdict.rule[:200]
    flag = ModerationFlag.objects.create(
        person=owner,
        conversation=conversation,
        message=message,
        kind=kind,
        action=one.verdict.action,
        moderator=one.moderator,
        rule=rule,
    )
    target = Target(kind="moderationflag", id=str(flag.pk), owner_id=owner.pk)
    act = "moderation.refused" if one.verdict.action == "refuse" else "moderation.flagged"
    audit.append(act, None, target, of=kind.value, moderator=one.moderator, rule=rule)


def _opaque_name(owner_id: int) -> str:
    return salted_hmac("chat.moderation.user", str(owner_id), algorithm="sha256").hexdigest()[:16]
