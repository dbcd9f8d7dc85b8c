"""From a conversation to the token ids that a model continues. Knows tokenizers by a protocol only, and no torch.

docs/dialogue.md describes the plain format and the trimming for people.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from backends.base import ChatMessage, Role
from backends.exceptions import BackendMisconfigured, ContextLengthExceeded

PLAIN_NAMES = {"user": "User", "assistant": "Assistant", "system": "System"}
PLAIN_STOPS = ("\nUser:", "\nAssistant:")
"""Where a model without a chat template goes on to speak for somebody else."""

Messages = Sequence[ChatMessage]


class TemplateRefused(Exception):
    """The model's chat template raised an error over these messages."""


class DialogueTokenizer(Protocol):
    """What is asked of a tokenizer here."""

    has_template: bool

    def render(self, messages: Messages) -> str:
        """Return the messages in the model's chat template, ready for the assistant's turn.

        Raises:
            TemplateRefused: the template does not allow such messages.
        """

    def encode_markup(self, text: str) -> list[int]:
        """Return ids in which the names of special tokens stand for these; none are added."""

    def encode_text(self, text: str) -> list[int]:
        """Return ids without any special token, whatever the text says."""

    def holds_special(self, text: str) -> bool:
        """Whether ``encode_markup`` would find special tokens in this text."""

    def defuse(self, text: str) -> str:
        """Return the text with invisible breaks in the names of special tokens."""

    def start(self) -> list[int]:
        """Return the ids that every plain prompt begins with."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, and what its answer needs."""

    token_ids: list[int]
    stops: tuple[str, ...] = ()
    strip_start: bool = False
    """Whether the answer begins with a space that belongs to the format."""
    begun: tuple[int, ...] = ()
    """The tokens at the end of the prompt that are the answer's own beginning."""


def build_prompt(tokenizer: DialogueTokenizer, messages: Messages, *, context: int, max_output_tokens: int) -> Prompt:
    """Return the longest newest part of the conversation that leaves room for an answer.

    ``context`` is what the model can read and write together, in tokens. Whole oldest messages are left out until the
    rest fits beside min(max_output_tokens, a quarter of the context); the newest message is never cut, and a leading
    system message stays if it fits beside that one. An answer at the end of the messages is the beginning of the one
    that is asked for, and is never cut either.

    Raises:
        ContextLengthExceeded: the newest message alone is too long, or together with the answer's beginning.
        BackendMisconfigured: the model's chat template cannot be used.
    """
    begun: list[int] = []
    if messages[-1].role == "assistant":
        *messages, beginning = messages
        begun = tokenizer.encode_text(beginning.content if tokenizer.has_template else f" {beginning.content}")
    room = context - min(max_output_tokens, context // 4) - len(begun)
    if tokenizer.has_template:
        ids = _fit(lambda part: _encode_with_template(tokenizer, part), messages, room, context)
        return Prompt(ids + begun, begun=tuple(begun))
    ids = _fit(lambda part: _encode_plain(tokenizer, part), messages, room, context)
    return Prompt(ids + begun, PLAIN_STOPS, strip_start=not begun, begun=tuple(begun))


def _fit(encode: Callable[[Messages], list[int]], messages: Messages, room: int, context: int) -> list[int]:
    system, turns = _split_system(messages)
    ids = encode([*system, *turns[-1:]])
    if len(ids) > room and system:
        system = []
        ids = encode(turns[-1:])
    if len(ids) > room:
        raise ContextLengthExceeded(
            f"The newest message takes {len(ids)} tokens of the model's {context}, "
            f"of which {context - room} are kept for the answer.",
            hint="Shorten the message, or choose a model with a larger context window.",
        )
    # A history begins with something that the user said: many templates insist on it. The nearest beginning first.
    starts = [index for index in range(len(turns) - 2, -1, -1) if turns[index].role == "user"]

    def encode_from(earlier: int) -> list[int] | None:
        """Return the ids with this many earlier user messages, or None if they do not fit."""
        ids = encode([*system, *turns[starts[earlier - 1] :]])
        return ids if len(ids) <= room else None

    # Doubling first: a long conversation must not be tokenised whole only to be cut to its last few messages.
    fitting, too_many = 0, 1
    while too_many <= len(starts) and (longer := encode_from(too_many)):
        ids, fitting, too_many = longer, too_many, 2 * too_many
    too_many = min(too_many, len(starts) + 1)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if longer := encode_from(middle):
            ids, fitting = longer, middle
        else:
            too_many = middle
    return ids


def _split_system(messages: Messages) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """Return the leading system message, if any, and the rest without empty messages (but for the newest)."""
    system = [message for message in messages[:1] if message.role == "system" and len(messages) > 1]
    rest = messages[len(system) :]
    # An answer that was interrupted before its first word is stored empty; it would teach the model to say nothing.
    turns = [message for message in rest[:-1] if message.content.strip()]
    return [message for message in system if message.content.strip()], [*turns, rest[-1]]


def _encode_plain(tokenizer: DialogueTokenizer, messages: Messages) -> list[int]:
    parts = []
    for index, message in enumerate(messages):
        content = message.content.strip()
        if index == 0 and message.role == "system":
            parts.append(f"{content}\n\n")
        else:
            parts.append(f"{PLAIN_NAMES[message.role]}: {content}\n")
    return tokenizer.start() + tokenizer.encode_text("".join(parts) + f"{PLAIN_NAMES['assistant']}:")


def _encode_with_template(tokenizer: DialogueTokenizer, messages: Messages) -> list[int]:
    """Return the ids of the rendered template, in which only the template's own special tokens are special.

    Contents without the name of a special token, nearly all, are tokenised together with the template, exactly as the
    model was trained. The others are represented by marks while the template is rendered, and tokenised apart.
    """
    marks = {
        # Letters for private use: no template trims them or changes their case.
        message.content: f"\ue000{secrets.token_hex(8)}\ue001"
        for message in messages
        if tokenizer.holds_special(message.content)
    }
    if not marks:
        return tokenizer.encode_markup(_render(tokenizer, messages))
    text = _render(tokenizer, [replace(m, content=marks.get(m.content, m.content)) for m in messages])
    if any(mark not in text for mark in marks.values()):
        # The template changed a content or left it out: nothing can be told apart, so the names are broken up.
        defused = [replace(m, content=tokenizer.defuse(m.content)) for m in messages]
        return tokenizer.encode_markup(_render(tokenizer, defused))
    contents = {mark: content for content, mark in marks.items()}
    ids: list[int] = []
    for piece in re.split(f"({'|'.join(contents)})", text):
        ids += tokenizer.encode_text(contents[piece]) if piece in contents else tokenizer.encode_markup(piece)
    return ids


def _render(tokenizer: DialogueTokenizer, messages: Messages) -> str:
    try:
        return tokenizer.render(messages)
    except TemplateRefused:
        # Some templates know no system message, some insist on user and assistant taking turns.
        try:
            return tokenizer.render(_in_turns(messages))
        except TemplateRefused as error:
            raise BackendMisconfigured(f"The model's chat template cannot be used: {error}") from error


def _in_turns(messages: Messages) -> list[ChatMessage]:
    """Return the same words as user and assistant messages in turn."""
    turns: list[ChatMessage] = []
    for message in messages:
        role: Role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1].role == role:
            turns[-1] = ChatMessage(role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(ChatMessage(role, message.content))
    return turns
