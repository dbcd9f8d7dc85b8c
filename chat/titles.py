"""Titles of conversations: the first words at once, and a better one by a backend when the first answer is there."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error, close_old_connections, transaction

from backends import ChatMessage, ChatRequest, TextDelta, chat_backends
from backends.exceptions import ChatBackendError
from chat import search
from chat.conversations import publish_conversation
from chat.models import Conversation, Generation, Message, Status, TitleFrom
from chat.storable import storable

logger = logging.getLogger(__name__)

LENGTH = 60
"""Characters of a title that nobody typed."""
SECONDS = 30.0
"""How long a backend may take for one."""
TOKENS = 40
"""How long it may be, in the model's own pieces."""
ENOUGH = 400
"""Characters after which a backend is not listened to any more: that is no title."""
QUESTION, ANSWER = 2_000, 1_000
"""How much of each a backend is shown, in characters."""

PROMPT = """\
Give the conversation below a title of two to six words, in the language of the conversation. Say what it is about.
Write the title alone, on one line: no quotation marks, no full stop, no explanation.

Question:
{question}

Answer:
{answer}
"""


def first_words(content: str) -> str:
    """Return the first words of a message, at most 60 characters."""
    line = " ".join(content.split())
    if len(line) <= LENGTH:
        return line
    shortened = line[:LENGTH].rsplit(" ", 1)[0] if " " in line[20:LENGTH] else line[: LENGTH - 1]
    return f"{shortened}…"


def cleaned(text: str) -> str:
    """Return the title in what a model wrote, without what models put around one; empty if there is none."""
    text = re.sub(r"<think>.*?(</think>|\Z)", "", storable(text), flags=re.DOTALL)
    line = next((line for line in map(str.strip, text.splitlines()) if line.strip("`*_#-\"' ")), "")
    line = re.sub(r"^[#>*_`\s-]+", "", line)
    line = re.sub(r"^(title|제목)\s*[*_]*\s*[::]\s*", "", line, flags=re.IGNORECASE)
    line = line.strip("*_`\"'“”„‘’«»「」『』 \t")
    return first_words(re.sub(r"(?<!\.)\.$", "", line))


async def improve_title(pk: int) -> None:
    """Let the backend of the settings name the conversation in which this answer was written, if it is the first one.

    A title that the person chose stays, and so does the old one when the backend fails, which is logged. Never raises.
    """
    try:
        request = await sync_to_async(_request)(pk)
        if request is None:
            return
        async with asyncio.timeout(SECONDS):
            title = cleaned(await _said(settings.CHAT_TITLE_BACKEND, request))
        if title:
            await sync_to_async(_store)(pk, title)
        else:
            logger.warning("The backend %s gave answer %s no title", settings.CHAT_TITLE_BACKEND, pk)
    except (ChatBackendError, TimeoutError, Error) as error:
        reason = str(error) or "it took too long"
        logger.warning("No title for answer %s: backend %s: %s", pk, settings.CHAT_TITLE_BACKEND, reason)


def _request(pk: int) -> ChatRequest | None:
    """Return what the backend is asked; None where the title is not its to give."""
    close_old_connections()
    alias = settings.CHAT_TITLE_BACKEND
    answers = Message.objects.filter(pk=pk, parent__parent=None, conversation__title_from=TitleFrom.WORDS)
    answer = answers.filter(conversation__deleted_at=None).select_related("parent", "generation").first()
    if not alias or answer is None or answer.parent is None or not _is_worth_a_title(answer.generation):
        return None
    # What was asked of a model on this machine is not sent away for the sake of a title.
    if chat_backends[alias].sends_data_away and not chat_backends[answer.generation.backend].sends_data_away:
        return None
    prompt = PROMPT.format(question=answer.parent.content[:QUESTION], answer=answer.content[:ANSWER])
    return ChatRequest(messages=(ChatMessage("user", prompt),), max_output_tokens=TOKENS, temperature=0.0)


def _is_worth_a_title(generation: Generation) -> bool:
    return generation.status == Status.COMPLETED or generation.finish_reason == "length"


async def _said(alias: str, request: ChatRequest) -> str:
    said: list[str] = []
    length = 0
    async with aclosing(chat_backends.stream(alias, request)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                said.append(event.text)
                length += len(event.text)
                if length > ENOUGH:
                    break
    return "".join(said)


def _store(pk: int, title: str) -> None:
    close_old_connections()
    # Unless the person chose one in the meantime, or deleted it.
    named = Conversation.objects.kept().filter(messages=pk, title_from=TitleFrom.WORDS)
    for conversation in named:
        still = Conversation.objects.kept().filter(pk=conversation.pk, title_from=TitleFrom.WORDS)
        with transaction.atomic():
            if not still.update(title=title, title_from=TitleFrom.BACKEND):
                continue
            old, conversation.title = conversation.title, title
            search.replace_title(conversation, old)
        publish_conversation(conversation)
