"""All that touches the SDK. Import it inside the methods that need it: ``import openai`` costs 0.5-1 s."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, cast

import aiohttp
import httpx2
import openai

from backends.exceptions import (
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ChatBackendError,
    StreamInterrupted,
)
from backends.openai.failures import from_status, is_exhausted, too_slow

MAX_BODY_BYTES = 4 << 20
"""For bodies that are read whole: errors and the list of models."""

MAX_PAUSE = 4.0
"""Seconds that we wait before a retry, about. Who asks for more is not asked again: the user shall hear it at once."""


class Connection:
    """One event loop's connections to the server."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        organization: str,
        connect_timeout: float,
        max_retries: int,
        headers: Mapping[str, str],
    ) -> None:
        self.max_retries = max_retries
        http_client = openai.DefaultAioHttpClient(
            follow_redirects=False,  # a 307 would post the whole conversation again, wherever it points
            trust_env=False,  # settings own backends: no proxies and no .netrc from the environment
            verify=_tls(),
            timeout=httpx2.Timeout(None, connect=connect_timeout),  # the rest is held to deadlines and limits
            limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30),
            event_hooks={"response": [_bound_body]},
        )
        try:
            url = httpx2.URL(base_url)
        except httpx2.InvalidURL as error:
            raise BackendMisconfigured("The base_url of an OpenAI backend is not an address.") from error
        self._client = _Client(
            base_url=url,
            api_key=api_key or "none",  # the SDK insists on one; servers that ask for none ignore it
            admin_api_key="",  # here and below: left out, they would come from the environment
            webhook_secret="",
            max_retries=0,  # see _retry: the SDK's own wait for as long as two minutes if the server says so
            default_headers={**headers, "Accept-Encoding": "identity"},
            http_client=http_client,
        )
        self._client.organization = organization or None
        self._client.project = None

    async def open_stream(self, path: str, body: Mapping[str, Any], deadline: float) -> httpx2.Response:
        """Post the request and return its answer, an event stream of which nothing is read yet.

        Raises:
            ChatBackendError: the server refused, could not be reached, or answered with something else.
        """
        # The bare response, for Answer to read: CPU seconds per 1,000 tokens 0.045, with the SDK's stream of plain
        # objects 0.058, of typed chunks 0.15. The SDK's types do not know that cast_to decides what comes back.
        post = partial(self._client.post, stream=True, stream_cls=openai.AsyncStream[object], cast_to=httpx2.Response)
        response = await self._retry(lambda: cast("Awaitable[httpx2.Response]", post(path, body=body)), deadline)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if kind == "text/event-stream" and encoding == "identity":
            return response
        await response.aclose()
        raise BackendUnavailable(
            "The backend answered with something else than a plain event stream.",
            hint="Check base_url: a sign-in page, a proxy or a server without streaming may answer there.",
        )

    async def get_json(self, path: str, deadline: float) -> object:
        """Return the body of a GET request.

        Raises:
            ChatBackendError: the server refused, could not be reached, or answered with something else.
        """
        response = await self._retry(lambda: self._client.get(path, cast_to=httpx2.Response), deadline)
        try:
            return response.json()
        except (ValueError, RecursionError):
            # Not chained: a JSONDecodeError carries the body.
            raise BackendUnavailable("The backend answered with something else than JSON.") from None

    async def read(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Return the next bytes of a body as they come; ``b""`` at its end.

        Raises:
            StreamInterrupted: the connection was lost.
        """
        try:
            return await anext(chunks, b"")
        except (httpx2.RequestError, aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError is what aiohttp and httpx2 raise where aclose() took the connection away.
            message = "The connection to the backend was lost in the middle of its answer."
            raise StreamInterrupted(message) from _chainable(error)

    async def aclose(self) -> None:
        """Close the connections, those in use too."""
        await self._client.close()

    async def _retry(self, ask: Callable[[], Awaitable[httpx2.Response]], deadline: float) -> httpx2.Response:
        """Ask until there is an answer, or no point in asking again."""
        attempt = 0
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        return await ask()
                    except (openai.OpenAIError, aiohttp.ClientError, RuntimeError) as error:
                        failure = _translate(error)
                        pause = _pause(error, failure, attempt) if attempt < self.max_retries else None
                        if pause is None or asyncio.get_running_loop().time() + pause >= deadline:
                            raise failure from _chainable(error)
                    attempt += 1
                    await asyncio.sleep(pause)
        except TimeoutError as error:
            raise too_slow() from error


@cache
def _tls() -> ssl.SSLContext:
    """Return the trusted certificates, which take 20 ms to load."""
    return httpx2.create_ssl_context(trust_env=False)


class _Client(openai.AsyncOpenAI):
    def _make_status_error(self, err_msg: str, *, body: object, response: httpx2.Response) -> openai.APIStatusError:
        # Tracebacks print the cause too, and upstreams echo keys and prompts in what they send with a 401.
        return super()._make_status_error(f"HTTP {response.status_code}", body=body, response=response)


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BODY_BYTES
        async for chunk in self._stream:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound_body(response: httpx2.Response) -> None:
    """Keep the SDK, which reads errors whole, from reading more than it should, and from unpacking it."""
    if not response.is_success or response.request.method == "GET":
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedBody(response.stream)
        response.headers.pop("content-encoding", None)


def _translate(error: Exception) -> ChatBackendError:
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.body, _retry_after(error.response.headers))
    if _is_distrusted(error):
        return BackendUnavailable(
            "The backend's certificate is not trusted.",
            hint="Check the host in base_url; whoever answers there may not be the one that was meant.",
        )
    if isinstance(error, openai.APITimeoutError) and any(isinstance(each, TimeoutError) for each in _causes(error)):
        return BackendTimeout(
            "The backend could not be reached in time.",
            hint="Check the base_url of this backend and the network; a far server may need a longer connect_timeout.",
        )
    # The SDK's aiohttp transport makes a timeout of every lost or refused connection; its cause tells the truth.
    return BackendUnavailable(
        "The backend could not be reached, or it dropped the connection.",
        hint="Check the base_url of this backend, and that its server is running.",
    )


def _pause(error: Exception, failure: ChatBackendError, attempt: int) -> float | None:
    """Return the seconds to wait before asking again; None if that would not help, or not soon enough."""
    if isinstance(error, openai.APIStatusError) and (
        error.status_code < 400
        or error.response.headers.get("x-should-retry") == "false"
        or is_exhausted(error.status_code, error.body)
    ):
        return None
    asked = failure.retry_after
    if not failure.retryable or _is_distrusted(error) or (asked or 0) > MAX_PAUSE:
        return None
    # Some of it by chance, so that what failed together does not come back together.
    if asked is not None:
        return asked * random.uniform(1, 1.25)  # noqa: S311
    return min(0.5 * 2.0**attempt, MAX_PAUSE) * random.uniform(0.5, 1)  # noqa: S311


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asks us to wait: a number, or a date."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _is_distrusted(error: Exception) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _chainable(error: Exception) -> Exception | None:
    """Return the error, but not one about bytes that are no HTTP: it quotes them, and our own headers."""
    unsafe = (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError)
    return None if any(isinstance(each, unsafe) for each in _causes(error)) else error
