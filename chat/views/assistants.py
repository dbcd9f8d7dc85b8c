"""Who may be asked: with what people are told before they choose."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backends import InvalidChatBackend, chat_backends
from chat.models import Assistant
from chat.operation.backend_health import health
from chat.parameters import PARAMETERS
from chat.views.common import assistants_for
from chat.wording import health_words


@require_safe
@never_cache
@login_required
def assistants_health(request: HttpRequest) -> HttpResponse:
    """Return how the assistants of this person fare, for a page that has been open for a while."""
    found = {
        assistant.slug: {"level": assistant.health.level, "words": assistant.health_words}  # type: ignore[attr-defined]
        for assistant in assistants_to_choose(request)
    }
    return JsonResponse({"assistants": found})


def assistants_to_choose(request: HttpRequest) -> list[Assistant]:
    """Return the assistants of this person with their health, where messages go, and what people may change."""
    assistants = list(assistants_for(request))
    known = health({assistant.backend for assistant in assistants})
    for assistant in assistants:
        found = known[assistant.backend]
        assistant.health = found  # type: ignore[attr-defined]
        assistant.health_words = health_words(found)  # type: ignore[attr-defined]
        assistant.sends_data_away = _sends_data_away(assistant)  # type: ignore[attr-defined]
        assistant.panel = _panel(assistant)  # type: ignore[attr-defined]
    return assistants


def _sends_data_away(assistant: Assistant) -> bool:
    try:
        return chat_backends[assistant.backend].sends_data_away
    except InvalidChatBackend:
        return True


def _panel(assistant: Assistant) -> dict[str, dict[str, object]]:
    """Return what the composer's panel has to know of each parameter that people may change."""
    rows: dict[str, dict[str, object]] = {}
    for name in PARAMETERS:
        if name in assistant.adjustable:
            least, most = assistant.bounds(name)
            rows[name] = {"min": least, "max": most, "own": getattr(assistant, name)}
    return rows
