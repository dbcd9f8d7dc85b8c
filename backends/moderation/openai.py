"""OpenAI's moderation endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error

from backends.moderation.base import ALLOW, BaseModerator, ModerationError, ModerationRequest, Verdict

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIModerator(BaseModerator):
    """Asks OpenAI which categories a text falls into; it flags those that the endpoint does, or refuses some.

    ``refuse`` names the categories that are refused (``"*"``: all), such as ``self-harm`` or ``violence/graphic``;
    ``thresholds`` maps a category to the score (0 to 1) from which it counts, where that is not the endpoint's own say.
    """

    def __init__(
        self,
        *,
        api_key: str = "",
        base_url: str = "https://api.openai.com/v1",
        model: str = "omni-moderation-latest",
        refuse: Collection[str] = (),
        thresholds: Mapping[str, float] | None = None,
        transport: Any = None,
    ) -> None:
        if any(not 0 <= score <= 1 for score in (thresholds or {}).values()):
            raise ValueError("thresholds are scores from 0 to 1")
        self.api_key, self.base_url, self.model = api_key, base_url, model
        self.refuse, self.thresholds = frozenset(refuse), dict(thresholds or {})
        self.transport = transport
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def check(self, request: ModerationRequest) -> Verdict:
        # Half a second that a site which does not ask OpenAI need not spend.
        import openai

        try:
            answer = await self._get_client().moderations.create(model=self.model, input=request.text)
        except openai.OpenAIError as error:
            # Not its message: a server may quote the text.
            raise ModerationError(f"OpenAI's moderation failed: {type(error).__name__}") from error
        if not answer.results:
            raise ModerationError("OpenAI's moderation said nothing.")
        result = answer.results[0]
        found = self._found(result.categories.to_dict(), result.category_scores.to_dict())
        return self._verdict(found)

    def _found(self, categories: Mapping[str, object], scores: Mapping[str, object]) -> list[str]:
        """Return the categories that the text falls into, the most certain first."""

        def score(name: str) -> float:
            value = scores.get(name)
            return float(value) if isinstance(value, int | float) else 0.0

        own = {name for name, least in self.thresholds.items() if score(name) >= least}
        told = {name for name, is_found in categories.items() if is_found and name not in self.thresholds}
        return sorted(own | told, key=lambda name: (-score(name), name))

    def _verdict(self, found: list[str]) -> Verdict:
        if not found:
            return ALLOW
        refused = [name for name in found if name in self.refuse or "*" in self.refuse]
        return Verdict(action="refuse" if refused else "flag", rule=", ".join(refused or found)[:200])

    def _get_client(self) -> AsyncOpenAI:
        """Return the client of the running event loop; connections of another one cannot be used in it."""
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            http = {"http_client": self.transport()} if self.transport else {}
            # The site's own time limit ends it.
            self._client = AsyncOpenAI(
                api_key=self.api_key or "none", base_url=self.base_url, max_retries=1, timeout=60, **http
            )
            self._loop = loop
        return self._client

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def system_check(self) -> list[CheckMessage]:
        if self.api_key:
            return []
        hint = 'Give it in OPTIONS, such as {"api_key": OPENAI_API_KEY}.'
        return [Error("OpenAI's moderation has no key.", hint=hint, id="backends.E024")]
