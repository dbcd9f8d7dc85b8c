"""What the server's errors are in our words.

Nothing that the server said goes into a message, because servers echo keys and prompts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backends.exceptions import (
    AuthenticationFailed,
    BackendRateLimited,
    BackendTimeout,
    BackendUnavailable,
    ChatBackendError,
    ContextLengthExceeded,
    ModelNotFound,
    RequestRejected,
)

# OpenAI's code; llama.cpp's type; and how OpenAI, vLLM, SGLang, llama.cpp and others word it.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context[ _](?:length|size|window)|maximum model length"
    r"|prompt is too long",
    re.IGNORECASE,
)
_EXHAUSTED = re.compile(r"insufficient_quota|insufficient[ _](?:balance|credits?)|billing", re.IGNORECASE)

# The codes and types of errors that come inside a stream, where there is no HTTP status.
_STATUSES = {
    "authentication_error": 401,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}


def from_status(status: int, error: object, retry_after: float | None = None) -> ChatBackendError:
    """Return our error for an HTTP status and the ``error`` of its body."""
    said = _said(error)
    if status in {401, 403}:
        return _refused(status)
    if status == 404 or "model_not_found" in said:
        return ModelNotFound(
            f"The backend does not know the model or the address (HTTP {status}).",
            hint="Check the model and base_url options of this backend; base_url often ends in /v1.",
        )
    if status in {402, 429}:
        return _limited(status, error, retry_after)
    if status in {400, 413, 422, 500} and _TOO_LONG.search(said):
        return ContextLengthExceeded(f"The conversation is longer than the model can read (HTTP {status}).")
    if status == 408:
        return BackendTimeout(f"The backend gave up waiting (HTTP {status}).", retry_after=retry_after)
    if 300 <= status < 400:
        return BackendUnavailable(
            f"The backend redirects to another address (HTTP {status}).",
            hint="Set base_url to the final address; redirects are not followed, they would hand the conversation on.",
        )
    if 400 <= status < 500:
        return RequestRejected(
            f"The backend rejected the request (HTTP {status}).",
            hint="If the server is not OpenAI's, try include_usage=False or another max_output_tokens_field.",
        )
    return BackendUnavailable(f"The backend failed (HTTP {status}).", retry_after=retry_after)


def from_stream(error: object) -> ChatBackendError:
    """Return our error for an ``error`` object inside a stream that began well."""
    details: Mapping[Any, Any] = error if isinstance(error, Mapping) else {}
    names = [details.get("code"), details.get("status"), details.get("type")]
    for name in names:
        if str(name).isdecimal() and 400 <= int(str(name)[:4]) < 600:
            return from_status(int(str(name)), error)
    known = [_STATUSES[name] for name in names if isinstance(name, str) and name in _STATUSES]
    if not known and _TOO_LONG.search(_said(error)):
        known = [400]
    return from_status(known[0] if known else 500, error)


def is_exhausted(status: int, error: object) -> bool:
    """Whether the account has run out, so that waiting does not help."""
    return status == 402 or bool(_EXHAUSTED.search(_said(error)))


def too_slow() -> BackendTimeout:
    return BackendTimeout(
        "The backend did not begin to answer in time.",
        hint="If its server has a queue or has to load the model first, raise the timeout option of this backend.",
    )


def _refused(status: int) -> AuthenticationFailed:
    if status == 401:
        return AuthenticationFailed(
            "The backend refused the API key (HTTP 401).", hint="Check the api_key option of this backend."
        )
    return AuthenticationFailed(
        "The backend denied access (HTTP 403).",
        hint="Check that the api_key and organization options of this backend may use this model.",
    )


def _limited(status: int, error: object, retry_after: float | None) -> BackendRateLimited:
    if is_exhausted(status, error):
        hint = "The account of this api_key is exhausted: look at its plan and its bills."
        return BackendRateLimited(f"The backend's account is exhausted (HTTP {status}).", hint=hint)
    return BackendRateLimited(f"The backend has too many requests (HTTP {status}).", retry_after=retry_after)


def _said(error: object) -> str:
    """Return what is worth searching in an error, which may be an object, a string or nothing."""
    parts = [error.get(name) for name in ("code", "type", "message")] if isinstance(error, Mapping) else [error]
    return " ".join(part[:2000] for part in parts if isinstance(part, str))
