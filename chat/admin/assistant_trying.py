"""To ask an assistant that is not saved yet, in its form."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from backends import ChatMessage, Stage, TextDelta
from chat.models import Assistant, Generation, Purpose, Trial, User
from chat.refusals import RefusedError
from chat.storable import storable
from chat.views.common import with_retry_after, words_of
from chat.wording import notice_for, stage_for
from chat.workshop import trials
from chat.workshop.settings import DECIDING
from chat.workshop.trials import Ask, Run


class ClosingResponse(StreamingHttpResponse):
    """Closes what it streams as soon as nobody reads on, where Django leaves that to the garbage collector."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(cast("AsyncGenerator[str]", self._iterator)) as parts:  # type: ignore[attr-defined]
            async for part in parts:
                yield self.make_bytes(part)


def draft_of(form: Any, obj: Assistant | None) -> tuple[Assistant | None, dict[str, list[str]]]:
    """Return the assistant that the form describes, stored nowhere, or what is wrong with it.

    Only what decides how it answers has to be right: it may have no name yet.
    """
    form.is_valid()
    errors = {name: [str(one) for one in found] for name, found in form.errors.items() if name in DECIDING}
    if errors:
        return None, errors
    values = {name: form.cleaned_data[name] for name in DECIDING if name in form.cleaned_data}
    assistant = Assistant(name=form.cleaned_data.get("name") or (obj.name if obj else _("Unnamed")), **values)
    assistant.pk = obj.pk if obj else None
    return assistant, {}


def try_it(request: HttpRequest, form: Any, obj: Assistant | None) -> HttpResponseBase:
    """Stream the answer to ``try_prompt`` as lines of JSON, each with ``text``, ``stage`` or, at the end, ``end``."""
    assistant, errors = draft_of(form, obj)
    prompt = storable(request.POST.get("try_prompt", "")).strip()
    if not prompt:
        errors["try_prompt"] = [_("Write a question first.")]
    elif len(prompt) > settings.CHAT_MAX_MESSAGE_LENGTH:
        errors["try_prompt"] = [_("At most %s characters.") % f"{settings.CHAT_MAX_MESSAGE_LENGTH:,}"]
    if assistant is None or errors:
        return JsonResponse({"errors": errors}, status=422)
    ask = Ask(
        person=cast("User", request.user),
        assistant=assistant,
        said=(ChatMessage("user", prompt),),
        purpose=Purpose.TRIAL,
        tokens=min(assistant.max_output_tokens or settings.CHAT_TRIAL_TOKENS, settings.CHAT_TRIAL_TOKENS),
        seconds=settings.CHAT_TRIAL_SECONDS,
    )
    try:
        trial = trials.begin(ask)
    except RefusedError as error:
        status, reason = words_of(error)
        return with_retry_after(JsonResponse({"errors": {"__all__": [reason]}}, status=status), error)
    response = ClosingResponse(answer(ask, trial), content_type="application/x-ndjson")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def answer(ask: Ask, trial: Trial) -> AsyncGenerator[str]:
    """Yield the answer; it is counted however this ends, also when nobody listens any more."""
    run = Run()
    try:
        async with aclosing(trials.stream(ask, run)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield _line(text=event.text)
                elif isinstance(event, Stage):
                    shown = Generation(stage=event.name, stage_position=event.position)
                    yield _line(stage=str(stage_for(shown)))
        yield _line(end=_ending(ask, run))
    finally:
        await trials.end_whatever_happens(trial, ask, run)


def _ending(ask: Ask, run: Run) -> dict[str, Any]:
    """Return how it ended, in words and figures."""
    shown = Generation(status=run.status, finish_reason=run.finish_reason, error_code=run.error_code)
    shown.first_delta_at = timezone.now() if run.pieces else None
    notice = notice_for(shown)
    words = " ".join(str(part) for part in (notice.text, notice.hint) if part) if notice else ""
    seconds = (run.duration_ms or 0) / 1000
    return {
        "status": run.status,
        "words": words,
        "detail": run.error_detail,
        "first_text": "" if run.first_text_ms is None else f"{run.first_text_ms / 1000:.2f} s",
        "duration": f"{seconds:.2f} s",
        "input_tokens": f"{run.used.input_tokens:,}" if run.used else "–",
        "output_tokens": f"{run.used.output_tokens:,}" if run.used else "–",
        "is_estimated": run.is_estimated,
        "cost": f"{trials.cost_of(ask, run):.6f} {settings.CHAT_CURRENCY}",
    }


def _line(**what: Any) -> str:
    return json.dumps(what) + "\n"
