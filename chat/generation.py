"""The life of an answer: started, run, cancelled, ended.

Each verb says what holds afterwards. Every change of status is a conditional update, and every text is committed
before it is published: what a reader saw is stored, whatever dies next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from typing import Any, get_args
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.crypto import salted_hmac

from backends import ChatMessage, ChatRequest, Finish, Stage, StageName, TextDelta, chat_backends
from backends.exceptions import ChatBackendError, StreamInterrupted
from chat import events, history
from chat.models import Assistant, Conversation, Generation, Message, Role, Status, User
from chat.storable import storable

logger = logging.getLogger(__name__)

TITLE_LENGTH = 60
STAGE_INTERVAL = 1.0
"""Seconds between two places in a queue that are stored and told for one answer; each stage itself is told at once."""
PROGRESS_INTERVAL = 0.25
"""Seconds between two reports of how far loading is, which are told but not stored."""


class ConversationBusyError(Exception):
    """An answer is being written at this place of the conversation."""


class KeyReusedError(Exception):
    """The key of a message was used before, for another text."""


class TooManyUnfinishedError(Exception):
    """This person has as many unfinished answers as anybody may have."""


class LostGenerationError(Exception):
    """The row is no longer ours: cancelled, reaped or deleted meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a user sends: a text for an assistant, with the key that makes sending it twice harmless."""

    content: str
    assistant: Assistant
    key: UUID


def start_conversation(owner: User, question: Question) -> Generation:
    """Make a conversation of which this is the first message; the answer is queued.

    Sending the same question again, by a double click or a retry, returns the generation that it has.

    Raises:
        KeyReusedError: the key belongs to another text.
        TooManyUnfinishedError: so many of the owner's answers are unfinished that there may be no more.
    """

    def store() -> Generation:
        title = _title(question.content)
        conversation = Conversation.objects.create(owner=owner, title=title, assistant=question.assistant)
        return _store_question(conversation, question)

    return _once(owner, question, store)


def start_generation(conversation: Conversation, question: Question) -> Generation:
    """Store the message after the newest one of the shown branch and queue the answer to it.

    Sending the same question again returns the generation that it has.

    Raises:
        ConversationBusyError: the newest answer is not over yet.
        KeyReusedError: the key belongs to another text.
        TooManyUnfinishedError: so many of the owner's answers are unfinished that there may be no more.
    """
    return _once(conversation.owner, question, lambda: _store_question(conversation, question))


def regenerate(message: Message, assistant: Assistant) -> Generation:
    """Queue another answer to the same question, as a new branch that is shown from now on; the old one is kept.

    Raises:
        ConversationBusyError: the answer is still being written.
        TooManyUnfinishedError: so many of the owner's answers are unfinished that there may be no more.
    """
    conversation = message.conversation
    if message.generation.is_running:
        raise ConversationBusyError
    with transaction.atomic():
        answer = Message.objects.create(conversation=conversation, parent=message.parent, role=Role.ASSISTANT)
        generation = _queue(answer, assistant)
        _show(conversation, answer, assistant)
    return generation


def cancel_generation(generation: Generation) -> bool:
    """End the answer with what is stored of it; False if it was over already.

    Whoever runs it sees at the next write that the row is no longer theirs, and closes the backend's stream.
    """
    return end_generation(generation, Status.CANCELLED)


def delete_conversation(conversation: Conversation) -> None:
    """Delete the conversation and all that belongs to it, and tell the owner's open pages."""
    pk = conversation.pk
    conversation.delete()
    events.publish(events.user_channel(conversation.owner_id), "conversation.deleted", {"conversation": str(pk)})


async def run_generation(generation: Generation) -> None:
    """Let the backend write the claimed answer to its end; it is over afterwards, one way or another."""
    draft = Draft(generation)
    try:
        finish = await _stream_into(draft, generation)
        await draft.close()
        await sync_to_async(_finish)(generation, finish)
    except LostGenerationError:
        logger.info("Generation %s was ended by somebody else", generation.pk)
    except ChatBackendError as error:
        logger.warning("Generation %s: backend %s: %s", generation.pk, generation.backend, error)
        await _fail_with_text(draft, generation, error)
    except asyncio.CancelledError:
        # The process stops, or a user cancelled: then the row has its last status already.
        with suppress(LostGenerationError):
            await draft.close()
        await sync_to_async(end_generation)(generation, Status.INCOMPLETE, finish_reason="interrupted")
        raise
    except Exception as error:
        # A plugin may raise anything; its answer fails, nobody else's.
        logger.exception("Generation %s failed", generation.pk)
        await _fail_with_text(draft, generation, error)


class Draft:
    """An answer while it is written: pieces come in, and are committed and published at most every 50 ms.

    The first piece goes out at once. A piece is published only after the transaction that stored it. So it is with the
    stages before the first piece, of which only the newest counts.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._pending: list[str] = []
        self._half = ""
        self._length = 0
        self._has_text = False
        self._stage: Stage | None = None
        """The newest one."""
        self._told = Stage("queued")
        """The one that readers and row know of; at first it is the one that needs no telling."""
        self._more = asyncio.Event()
        self._hurry = asyncio.Event()
        """What came last shall not wait for the pause between two writes to be over."""
        self._is_closing = False
        self._writer: asyncio.Task[None] | None = None

    def append(self, text: str) -> None:
        """Take a piece of text.

        Raises:
            LostGenerationError: the answer was ended by somebody else; stop the backend.
        """
        self._see_to_writer()
        text, self._half = _without_half_pair(self._half + text)
        if not text:
            return
        if not self._has_text:
            self._has_text, self._stage = True, None
            self._hurry.set()
        self._pending.append(storable(text))
        self._more.set()

    def show(self, stage: Stage) -> None:
        """Take why there is no text yet; of no interest once there is some.

        Raises:
            LostGenerationError: the answer was ended by somebody else; stop the backend.
        """
        self._see_to_writer()
        if self._has_text:
            return
        self._stage = _sound(stage)
        if self._stage.name != self._told.name:
            self._hurry.set()
        self._more.set()

    async def close(self) -> None:
        """Store and publish what is left. Does nothing more when called again.

        Raises:
            LostGenerationError: the answer was ended by somebody else.
        """
        if self._half:
            self._half = ""
            self.append("\ufffd")
        self._is_closing = True
        self._hurry.set()
        self._more.set()
        if self._writer is not None:
            # Cancelling us must not cancel a write that is under way.
            await asyncio.shield(self._writer)

    def _see_to_writer(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
            self._writer.add_done_callback(_hear)
        elif self._writer.done():
            self._writer.result()

    async def _write_all(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            self._hurry.clear()
            interval: float = settings.CHAT_FLUSH_INTERVAL
            if text := "".join(self._pending):
                self._pending.clear()
                await sync_to_async(_store)(self._generation, self._length, text)
                self._length += len(text)
            elif self._stage and self._stage != self._told:
                interval = await self._tell(self._stage)
            if self._is_closing and not self._pending:
                return
            await self._pause(interval)

    async def _tell(self, stage: Stage) -> float:
        """Store and publish the stage; return for how many seconds the next one like it can wait."""
        before, self._told = self._told, stage
        if (stage.name, stage.position) == (before.name, before.position):
            publish_stage(self._generation, stage)
            return PROGRESS_INTERVAL
        await sync_to_async(_store_stage)(self._generation, stage)
        return PROGRESS_INTERVAL if stage.name == "loading" else STAGE_INTERVAL

    async def _pause(self, interval: float) -> None:
        """Let what comes meanwhile share the next write, unless it is in a hurry."""
        if not self._is_closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._hurry.wait()


def _sound(stage: Stage) -> Stage:
    """Return the stage as the contract has it; a plugin that counts wrongly loses no more than its number."""
    name: StageName = stage.name if stage.name in get_args(StageName) else "queued"
    position = stage.position if name == "queued" and 0 < (stage.position or 0) < 1_000_000 else None
    known = name == "loading" and stage.progress is not None and 0 <= stage.progress <= 1
    return Stage(name, position, round(stage.progress or 0, 2) if known else None)


def _hear(writer: asyncio.Task[None]) -> None:
    """Take note of how the writer ended: who waits for it may be cancelled first, and asyncio would complain."""
    if not writer.cancelled():
        writer.exception()


def _without_half_pair(text: str) -> tuple[str, str]:
    """Join the surrogate pairs of the text; return it without a first half at its end, and that half.

    Backends promise whole characters; one that cuts an emoji in two must not cost more than that emoji.
    """
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    whole = text[: len(text) - len(half)]
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"), half


async def _stream_into(draft: Draft, generation: Generation) -> Finish:
    """Hand every delta to the draft until the backend says why it ended.

    Raises:
        StreamInterrupted: it ended without saying so.
    """
    request = await sync_to_async(build_request)(generation)
    async with aclosing(chat_backends[generation.backend].stream(request)) as stream:
        async for event in stream:
            match event:
                case TextDelta(text):
                    draft.append(text)
                case Stage():
                    draft.show(event)
                case Finish():
                    return event
                case _:
                    pass  # a kind of event that this version does not show
    raise StreamInterrupted("The stream ended without a finish reason.")


def build_request(generation: Generation) -> ChatRequest:
    """Return what the backend is asked: the branch that leads to the answer, and the assistant's parameters.

    Answers without text (failed, cancelled at once) are left out: a model that reads an empty turn writes another.
    """
    message = generation.message
    past = history.path(message.conversation, message.parent_id, settings.CHAT_HISTORY_MESSAGES)
    parameters = dict(generation.parameters)
    system = parameters.pop("system_prompt", "")
    turns = [ChatMessage("system", system)] if system else []
    turns += [
        ChatMessage("user" if turn.role == Role.USER else "assistant", turn.content) for turn in past if turn.content
    ]
    parameters["stop"] = tuple(parameters.get("stop", ()))
    user = _opaque_name(message.conversation.owner_id)
    return ChatRequest(messages=tuple(turns), model=generation.model, user=user, **parameters)


def _opaque_name(owner_id: int) -> str:
    """Return a name that is always the same for a person and leads back to nobody without the site's secret key."""
    return salted_hmac("chat.generation.user", str(owner_id), algorithm="sha256").hexdigest()[:16]


def _store(generation: Generation, offset: int, text: str) -> None:
    """Append the text to the message and tell the readers.

    Raises:
        LostGenerationError: the generation is no longer run by this worker.
    """
    now = timezone.now()
    with transaction.atomic():
        ours = Generation.objects.run_by(generation.worker).filter(pk=generation.pk)
        if ours.update(heartbeat_at=now, **({"first_delta_at": now} if offset == 0 else {})) != 1:
            raise LostGenerationError(generation.pk)
        Message.objects.filter(pk=generation.pk).update(content=Concat(F("content"), Value(text)))
    channel = events.conversation_channel(generation.message.conversation_id)
    events.publish(channel, "message.delta", {"message": generation.pk, "offset": offset, "text": text})


def _store_stage(generation: Generation, stage: Stage) -> None:
    """Store why there is no text yet, for a page that is loaded now, and tell the readers.

    Raises:
        LostGenerationError: the generation is no longer run by this worker.
    """
    ours = Generation.objects.run_by(generation.worker).filter(pk=generation.pk)
    if ours.update(stage=stage.name, stage_position=stage.position, heartbeat_at=timezone.now()) != 1:
        raise LostGenerationError(generation.pk)
    publish_stage(generation, stage)


def publish_stage(generation: Generation, stage: Stage) -> None:
    data = {
        "message": generation.pk,
        "stage": stage.name,
        "position": stage.position,
        "progress": stage.progress,
    }
    events.publish(events.conversation_channel(generation.message.conversation_id), "generation.stage", data)


async def _fail_with_text(draft: Draft, generation: Generation, error: Exception) -> None:
    with suppress(LostGenerationError):
        await draft.close()
        await sync_to_async(_fail)(generation, error)


def _finish(generation: Generation, finish: Finish) -> None:
    complete = finish.reason == "stop"
    values: dict[str, Any] = {"finish_reason": finish.reason}
    if finish.usage:
        values |= asdict(finish.usage)
        if generation.assistant:
            values["cost"] = generation.assistant.cost(finish.usage.input_tokens, finish.usage.output_tokens)
    end_generation(generation, Status.COMPLETED if complete else Status.INCOMPLETE, **values)


def _fail(generation: Generation, error: Exception) -> None:
    if isinstance(error, ChatBackendError):
        detail = " ".join(filter(None, [str(error), error.hint]))
        end_generation(generation, Status.FAILED, error_code=error.code, error_detail=detail)
    else:
        end_generation(generation, Status.FAILED, error_code="internal_error", error_detail=type(error).__name__)


def end_generation(generation: Generation, status: Status, *, unless_renewed: bool = False, **values: Any) -> bool:
    """Give the generation its last status and tell the readers; False if it had one already."""
    unfinished = Generation.objects.unfinished().filter(pk=generation.pk)
    if unless_renewed:
        unfinished = unfinished.filter(heartbeat_at=generation.heartbeat_at)
    if unfinished.update(status=status, finished_at=timezone.now(), **values) != 1:
        return False
    message = Message.objects.select_related("conversation", "generation").get(pk=generation.pk)
    _publish_finished(message)
    return True


def _publish_finished(message: Message) -> None:
    ended = message.generation
    data = {
        "message": message.pk,
        "status": ended.status,
        "finish_reason": ended.finish_reason,
        "error": ended.error_code,
        "length": len(message.content),
        "usage": {"input_tokens": ended.input_tokens, "output_tokens": ended.output_tokens},
    }
    events.publish(events.conversation_channel(message.conversation_id), "message.finished", data)
    publish_conversation(message.conversation)


def publish_conversation(conversation: Conversation, *, running: bool | None = None) -> None:
    """Tell the owner's open pages the title, and whether an answer is being written; None looks it up."""
    if running is None:
        running = Generation.objects.unfinished().filter(message__conversation=conversation).exists()
    data = {"conversation": str(conversation.pk), "title": conversation.title, "running": running}
    events.publish(events.user_channel(conversation.owner_id), "conversation.updated", data)


def _already_sent(owner: User, question: Question) -> Generation | None:
    sent = Message.objects.owned_by(owner).filter(key=question.key).first()
    if sent is None:
        return None
    if sent.content != question.content:
        raise KeyReusedError
    return Generation.objects.select_related("message__conversation").filter(message__parent=sent).earliest("queued_at")


def _once(owner: User, question: Question, store: Callable[[], Generation]) -> Generation:
    """Store the question in one transaction, or return the generation that it has from the first time."""
    if sent := _already_sent(owner, question):
        return sent
    try:
        with transaction.atomic():
            return store()
    except IntegrityError:
        # The same request got there first, in another process or thread.
        if sent := _already_sent(owner, question):
            return sent
        raise


def _store_question(conversation: Conversation, question: Question) -> Generation:
    message = Message.objects.create(
        conversation=conversation,
        parent_id=conversation.leaf_id,
        role=Role.USER,
        content=question.content,
        key=question.key,
    )
    answer = Message.objects.create(conversation=conversation, parent=message, role=Role.ASSISTANT)
    generation = _queue(answer, question.assistant)
    _show(conversation, answer, question.assistant)
    return generation


def _queue(answer: Message, assistant: Assistant) -> Generation:
    unfinished = Generation.objects.unfinished().filter(message__conversation__owner=answer.conversation.owner_id)
    # Two requests at the same moment may both be let in; the bound is against hundreds.
    if unfinished.count() >= settings.CHAT_MAX_UNFINISHED_PER_USER:
        raise TooManyUnfinishedError
    parameters: dict[str, Any] = {"system_prompt": assistant.system_prompt, "stop": assistant.stop}
    for name in ("temperature", "top_p", "max_output_tokens", "seed"):
        parameters[name] = getattr(assistant, name)
    return Generation.objects.create(
        message=answer,
        assistant=assistant,
        assistant_name=assistant.name,
        backend=assistant.backend,
        model=assistant.model,
        parameters={name: value for name, value in parameters.items() if value not in (None, "", [])},
    )


def _show(conversation: Conversation, answer: Message, assistant: Assistant) -> None:
    """Make the new answer the end of the shown branch, if that branch is still the one that the caller saw.

    Raises:
        ConversationBusyError: another request moved on, or an answer is being written at the end of the branch.
    """
    busy = Generation.objects.unfinished().filter(pk=conversation.leaf_id).exists()
    shown = Conversation.objects.filter(pk=conversation.pk, leaf=conversation.leaf_id)
    if busy or shown.update(leaf=answer, assistant=assistant, updated_at=timezone.now()) != 1:
        raise ConversationBusyError
    conversation.leaf = answer
    transaction.on_commit(lambda: _publish_created(conversation, answer))


def _publish_created(conversation: Conversation, answer: Message) -> None:
    channel = events.conversation_channel(conversation.pk)
    newest = [answer.parent, answer] if answer.parent and answer.parent.key else [answer]
    for message in newest:
        data = {
            "message": message.pk,
            "parent": message.parent_id,
            "role": message.role,
            "generation": Status.QUEUED if message.role == Role.ASSISTANT else None,
        }
        events.publish(channel, "message.created", data)
    publish_conversation(conversation, running=True)


def _title(content: str) -> str:
    """Return the first words of a message, at most 60 characters."""
    line = " ".join(content.split())
    if len(line) <= TITLE_LENGTH:
        return line
    shortened = line[:TITLE_LENGTH].rsplit(" ", 1)[0] if " " in line[20:TITLE_LENGTH] else line[: TITLE_LENGTH - 1]
    return f"{shortened}…"
