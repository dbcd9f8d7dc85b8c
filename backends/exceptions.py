"""What can go wrong between us and a model.

* ChatBackendError
  + BackendMisconfigured      wrong or missing options; an administrator must act
    - AuthenticationFailed    the key was refused
    - ModelNotFound           the backend does not have this model
    - InvalidChatBackend      settings.CHAT_BACKENDS has no such backend (defined beside the registry)
  + BackendUnavailable        down, unreachable, loading or full; asking again may help
    - BackendFull             as many wait as may wait
    - BackendTimeout          no answer in time
      . AnswerTimeout         the answer began, and then stopped coming or took too long
    - StreamInterrupted       the answer broke off before the model said that it was done
  + BackendRateLimited        too many requests; asking again later helps
  + RequestRejected           the backend will not answer this request as it stands
    - ContextLengthExceeded   the newest message alone does not fit the model

A plugin raises these and nothing else, chained to the SDK's own error
(``raise BackendUnavailable(...) from error``).
"""

from __future__ import annotations

from typing import ClassVar


class ChatBackendError(Exception):
    """The backend could not answer.

    ``str(error)`` is one sentence for the log and the administrator: no key, no prompt, no response body.
    Users read words chosen by ``code``.
    """

    code: ClassVar[str] = "backend_error"
    """Stored as ``Generation.error_code``; stable."""

    retryable: ClassVar[bool] = False
    """Whether the same request may succeed later without anybody changing anything."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        """What an administrator can do about it; may be empty."""
        self.retry_after = retry_after
        """Seconds that the backend asked us to wait, if it said so."""


class BackendMisconfigured(ChatBackendError):
    """An option of the backend is wrong or missing."""

    code = "backend_misconfigured"


class AuthenticationFailed(BackendMisconfigured):
    """The backend refused our credentials."""

    code = "authentication_failed"


class ModelNotFound(BackendMisconfigured):
    """The backend does not have the model that was asked for."""

    code = "model_not_found"


class BackendUnavailable(ChatBackendError):
    """The backend is down, cannot be reached, or has no room."""

    code = "backend_unavailable"
    retryable = True


class BackendFull(BackendUnavailable):
    """As many requests wait for the backend as may wait."""

    code = "backend_full"


class BackendTimeout(BackendUnavailable):
    """The backend did not answer in time."""

    code = "backend_timeout"


class AnswerTimeout(BackendTimeout):
    """The answer began, but the rest of it did not come in time."""

    code = "answer_timeout"


class StreamInterrupted(BackendUnavailable):
    """The stream ended before the backend vouched for a finish reason."""

    code = "stream_interrupted"


class BackendRateLimited(ChatBackendError):
    """The backend has had too many requests from us, or our account is exhausted."""

    code = "rate_limited"
    retryable = True


class RequestRejected(ChatBackendError):
    """The backend understood the request and will not answer it."""

    code = "request_rejected"


class ContextLengthExceeded(RequestRejected):
    """The newest message is longer than the model can read."""

    code = "context_length_exceeded"
