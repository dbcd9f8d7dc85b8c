"""One answer from the backend's first word to its verdict: what is asked, what is written down, how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone
from django.utils.crypto import salted_hmac

from backends import ChatMessage, ChatRequest, Finish, Stage, TextDelta, Usage, chat_backends
from backends.exceptions import ChatBackendError, StreamInterrupted
from chat import history
from chat.drafts import RETRY_AFTER, Draft, Drafts
from chat.generation import LostGenerationError, end_generation
from chat.models import Generation, Role, Status
from chat.moderation.moderating import AnswerRefusedError, AnswerWatch, Found, take_note

logger = logging.getLogger(__name__)

T = TypeVar("T")

DAY = 24 * 60 * 60


async def run_generation(generation: Generation, drafts: Drafts | None = None) -> None:
    """Let the backend write the claimed answer to its end; it is over afterwards, one way or another.

    With ``drafts``, its text is stored together with that of the worker's other answers.
    """
    draft = (drafts or Drafts()).open(generation)
    watch = AnswerWatch(generation)
    try:
        finish = await _stream_into(draft, generation, watch)
        await draft.close()
        await _patiently(lambda: _finish(generation, finish))
    except AnswerRefusedError as refused:
        await _withhold(draft, generation, refused)
    except LostGenerationError:
        logger.info("Generation %s was ended by somebody else", generation.pk)
    except ChatBackendError as error:
        logger.warning("Generation %s: backend %s: %s", generation.pk, generation.backend, error)
        await _fail_with_text(draft, generation, error, watch)
    except asyncio.CancelledError:
        # The process stops, or a user cancelled: then the row has its last status already.
        with suppress(LostGenerationError):
            await draft.close()
        await _patiently(lambda: end_generation(generation, Status.INCOMPLETE, finish_reason="interrupted"))
        raise
    except Exception as error:
        # A plugin may raise anything; its answer fails, nobody else's.
        logger.exception("Generation %s failed", generation.pk)
        await _fail_with_text(draft, generation, error, watch)


async def _stream_into(draft: Draft, generation: Generation, watch: AnswerWatch) -> Finish:
    """Hand every delta to the draft until the backend says why it ended.

    Raises:
        StreamInterrupted: it ended without saying so.
        AnswerRefusedError: moderation does not let it be shown.
    """
    request = await _patiently(lambda: build_request(generation))
    await _patiently(watch.refresh)
    async with aclosing(chat_backends.stream(generation.backend, request)) as stream:
        async for event in stream:
            match event:
                case TextDelta(text):
                    draft.append(text)
                    if watch.append(text):
                        await _take_note(generation, await watch.look())
                case Stage():
                    draft.show(event)
                case Finish():
                    await _take_note(generation, await watch.look_at_the_rest(), event.usage)
                    return event
                case _:
                    pass  # a kind of event that this version does not show
    raise StreamInterrupted("The stream ended without a finish reason.")


def build_request(generation: Generation) -> ChatRequest:
    """Return what the backend is asked: the branch that leads to the answer, its beginning, and the parameters.

    Answers without text (failed, cancelled at once) are left out: a model that reads an empty turn writes another.

    Raises:
        LostGenerationError: the conversation was deleted meanwhile.
    """
    message = generation.message
    past = history.path(message.conversation, message.parent_id, settings.CHAT_HISTORY_MESSAGES)
    if not past:
        raise LostGenerationError(generation.pk)
    parameters = dict(generation.parameters)
    system = parameters.pop("system_prompt", "")
    turns = [ChatMessage("system", system)] if system else []
    turns += [
        ChatMessage("user" if turn.role == Role.USER else "assistant", turn.content) for turn in past if turn.content
    ]
    if message.content:
        turns.append(ChatMessage("assistant", message.content))
    parameters["stop"] = tuple(parameters.get("stop", ()))
    user = _opaque_name(message.conversation.owner_id)
    return ChatRequest(messages=tuple(turns), model=generation.model, user=user, **parameters)


def _opaque_name(owner_id: int) -> str:
    """Return a name that is always the same for a person and leads back to nobody without the site's secret key."""
    return salted_hmac("chat.generation.user", str(owner_id), algorithm="sha256").hexdigest()[:16]


async def _take_note(generation: Generation, found: list[Found], used: Usage | None = None) -> None:
    """Write down what moderation found.

    Raises:
        AnswerRefusedError: the answer is to be replaced.
    """
    if found:
        try:
            await _patiently(lambda: take_note(generation, found))
        except AnswerRefusedError as refused:
            refused.usage = used
            raise


async def _withhold(draft: Draft, generation: Generation, refused: AnswerRefusedError) -> None:
    """Put the words of moderation in the place of the answer; what it took counts as for any other."""
    values: dict[str, Any] = {"finish_reason": "content_filter", "error_code": "moderated"}
    with suppress(LostGenerationError):
        await draft.close()
        status, words, used = Status.INCOMPLETE, str(refused), refused.usage
        await _patiently(lambda: end_generation(generation, status, used=used, replaced_by=words, **values))


async def _fail_with_text(draft: Draft, generation: Generation, error: Exception, watch: AnswerWatch) -> None:
    try:
        # What came before it broke off stays on the page: it is looked at like any other.
        await _take_note(generation, await watch.look_at_the_rest())
    except AnswerRefusedError as refused:
        await _withhold(draft, generation, refused)
        return
    with suppress(LostGenerationError):
        await draft.close()
        await _patiently(lambda: _fail(generation, error))


async def _patiently(ask: Callable[[], T]) -> T:
    """Ask the database, however long it is away: nobody else would begin or end an answer of ours, while we live."""

    def ask_anew() -> T:
        close_old_connections()
        return ask()

    pauses = chain(RETRY_AFTER, repeat(RETRY_AFTER[-1]))
    while True:
        try:
            return await sync_to_async(ask_anew)()
        except (OperationalError, InterfaceError) as error:
            logger.warning("An answer has to wait for the database: %s", error)
            await asyncio.sleep(next(pauses))


def _finish(generation: Generation, finish: Finish) -> None:
    status = Status.COMPLETED if finish.reason == "stop" else Status.INCOMPLETE
    end_generation(generation, status, used=finish.usage, finish_reason=finish.reason)


def _retry_at(error: ChatBackendError) -> datetime | None:
    """Return when the backend said that it will take another request; None where it did not, or not for a day."""
    wait = error.retry_after
    if wait is None or not 0 < wait < DAY:  # NaN, too, is not between them
        return None
    return timezone.now() + timedelta(seconds=wait)


def _fail(generation: Generation, error: Exception) -> None:
    if isinstance(error, ChatBackendError):
        detail = " ".join(filter(None, [str(error), error.hint]))
        end_generation(generation, Status.FAILED, error_code=error.code, error_detail=detail, retry_at=_retry_at(error))
    else:
        end_generation(generation, Status.FAILED, error_code="internal_error", error_detail=type(error).__name__)
