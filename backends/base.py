"""The contract between the site and whatever generates an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.core.checks import CheckMessage

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter"]
StageName = Literal["queued", "loading", "reading", "writing"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation, as a model reads it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """All that a backend needs to write one answer.

    ``messages`` runs from the oldest to the newest; a leading ``system`` message is optional. The last one is the
    user's, or the beginning of the answer: then the backend writes what follows it, and does not repeat it. ``None``
    and empty values leave the choice to the backend.
    """

    messages: tuple[ChatMessage, ...]
    model: str = ""
    """Overrides the backend's own ``model`` option."""
    temperature: float | None = None
    """0 is greedy; at most 2."""
    top_p: float | None = None
    """0 < top_p <= 1."""
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these strings, which is not part of it."""
    seed: int | None = None
    user: str = ""
    """Who asks, as an opaque name that says nothing about the person: a backend with a queue serves users in turn."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something that a backend says while it works. Readers skip the kinds that they do not know."""


@dataclass(frozen=True, slots=True)
class TextDelta(StreamEvent):
    """A piece of the answer, whole characters only."""

    text: str


@dataclass(frozen=True, slots=True)
class Stage(StreamEvent):
    """Why there is no text yet. Optional: a backend that never waits never says it."""

    name: StageName
    position: int | None = None
    """Place in the backend's queue, 1 = next; only with ``queued``."""
    progress: float | None = None
    """How much of it is done, 0 to 1; only with ``loading``, where the backend can tell."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the answer took, in tokens of the model that wrote it."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Finish(StreamEvent):
    """The answer is over, and the model said why."""

    reason: FinishReason
    usage: Usage | None = None
    """None where the backend does not count."""


class BaseChatBackend(ABC):
    """Base class of all chat backends.

    ``OPTIONS`` in ``settings.CHAT_BACKENDS`` become keyword arguments of the constructor. Constructing only remembers
    them: it opens nothing, imports no SDK and never fails for a reason outside the process, because system checks,
    migrations and the admin construct backends too.
    """

    alias: str = ""
    """The key in ``settings.CHAT_BACKENDS``; set by the registry."""

    label: str = ""
    """The human name, ``LABEL`` in the settings or else the alias; set by the registry."""

    sends_data_away: bool = True
    """Whether conversations leave this machine; shown to users."""

    list_models_tells: bool = False
    """Whether ``list_models()`` asks what writes the answers, so that its success says that there will be some.

    The site probes each backend by it, every minute or so. Only where this is true does a failure count as an outage,
    and a success end one.
    """

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        """Yield any number of ``TextDelta`` and ``Stage`` events, then exactly one ``Finish``.

        Closing the generator, at any time, ends the work within a second and frees what it held; several streams may
        run at once on one event loop.

        Raises:
            ChatBackendError: the answer could not be had, or not to its end.
        """

    async def list_models(self) -> Sequence[str]:
        """Return the names that ``ChatRequest.model`` may take; empty where the backend cannot tell.

        Raises:
            ChatBackendError: the backend could not be asked.
        """
        return ()

    async def status(self) -> Mapping[str, Any]:
        """Return figures for administrators, each a text or a number; empty where there is nothing to say.

        Pages know ``state``, ``model``, ``device``, ``dtype``, ``memory_bytes``, ``device_bytes``, ``active``,
        ``slots``, ``waiting``, ``tokens_per_second`` and ``error``. It must be cheap, and start nothing.

        Raises:
            ChatBackendError: the backend could not be asked.
        """
        return {}

    async def aclose(self) -> None:
        """Free what streams share (connections, processes). The backend can be used again afterwards."""

    def check(self) -> list[CheckMessage]:
        """Return what is wrong with the options, without asking anybody outside the process."""
        return []
