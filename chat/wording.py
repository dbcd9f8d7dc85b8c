"""What people read while an answer has not come yet, and where it did not come or not to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.models import Generation, Status
from chat.operation.backend_health import Health


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence below an answer."""

    kind: Literal["info", "bad"]
    text: str | Promise
    hint: str | Promise = ""
    can_retry: bool = True
    can_ask_another: bool = False
    """Whether another assistant may well answer where this one did not."""


STAGES: dict[str, str | Promise] = {
    "waiting": _("Waiting…"),
    "waiting_next": _("Next in line"),
    # A place and not an ordinal (3rd, 22nd), which each language counts in its own way.
    "waiting_at": _("Waiting, place %(number)s in the queue"),
    "loading": _("Loading the model…"),
    "loading_at": _("Loading the model… %(number)s\u00a0%%"),
    "reading": _("Reading…"),
    "writing": _("Writing…"),
}
"""Why there is no text yet. The page's scripts say these too: showStage in chat/static/chat/answer.js."""

REMEDIES: dict[str, str | Promise] = {
    "while_waiting": _("You can leave this page; the answer is kept."),
    "while_loading": _("This takes a while the first time. You can leave this page; the answer is kept."),
    "while_reading": _("A long conversation takes longer to read."),
    "too_long": _("This takes longer than usual. Wait, cancel it, or cancel it and ask another assistant."),
}
"""What somebody can do who waits. The page's scripts say these too: chat/static/chat/waiting.js."""

COMPOSING: dict[str, str | Promise] = {
    "not_sent": _("Not sent: the site cannot be reached. Your text is kept here."),
    "offline": _("You are offline. What you type is kept on this device."),
    "offline_not_sent": _("Not sent: you are offline. Your text is kept here."),
    "send_again": _("Send again"),
    "signed_out_kept": _("Not sent: you are signed out. Your text is kept here. Sign in, then send it again."),
    "somebody_else": _("Not sent: somebody else is signed in here now. Reload the page."),
    "gone_kept": _("Not sent: this conversation was deleted. Your text is kept here."),
    "start_with_it": _("Start a new chat with it"),
    "message_too_long": _("Too long: %(number)s characters are the most. Shorten it, or send it in parts."),
    "own_value": _("default"),
    "changed": _("%(number)s changed"),
}
"""What the message field and the panel beside it say: chat/static/chat/composer.js and parameters.js."""

LEVELS: dict[str, str | Promise] = {
    "unknown": _("Not used lately"),
    "works": _("Works"),
    "shaky": _("Slow or failing now"),
    "down": _("Down"),
}
"""How a backend fares, by ``Health.level``."""

_LATER = _("Try again in a moment.")
_KEPT = _("What came so far is kept.")
_FAILURES: dict[str, tuple[str | Promise, str | Promise]] = {
    "backend_unavailable": (_("The model cannot be reached."), _LATER),
    "backend_timeout": (_("The model did not answer in time."), _LATER),
    "answer_timeout": (_("The model took too long to finish this answer."), _KEPT),
    "stream_interrupted": (_("The connection to the model broke off."), _KEPT),
    "backend_full": (_("Too many are waiting for this model."), _("Try again in a few minutes.")),
    "rate_limited": (_("The model has too many requests."), _("Wait a little and try again.")),
    "backend_misconfigured": (_("This assistant is not set up rightly."), _("Tell your administrator.")),
    "authentication_failed": (_("The model's server refused our key."), _("Tell your administrator.")),
    "model_not_found": (
        _("The model of this assistant is not there."),
        _("Choose another assistant, or tell your administrator."),
    ),
    "context_length_exceeded": (
        _("Your message is too long for this model."),
        _("Shorten it, or choose another assistant."),
    ),
    "request_rejected": (
        _("The model does not answer this request."),
        _("Put it in other words, or choose another assistant."),
    ),
    "backend_missing": (
        _("The model of this assistant is no longer there."),
        _("Choose another assistant."),
    ),
}
_WITHOUT_RETRY = {
    "backend_misconfigured",
    "authentication_failed",
    "model_not_found",
    "context_length_exceeded",
    "request_rejected",
    "backend_missing",
}
"""Failures that the same question meets again until somebody changes something."""
_OTHER_FAILURE = (_("Something went wrong on our side."), _("It has been noted. Try again."))

_WITHHELD = Notice("info", _("The rules of this site withheld this answer."))
_CANCELLED = Notice("info", _("You cancelled this answer."))
_ENDINGS: dict[str, Notice] = {
    "interrupted": Notice("bad", _("The answer was interrupted."), _KEPT),
    "length": Notice("info", _("The answer reached its greatest length and stops here.")),
    "content_filter": Notice("info", _("The model's server withheld the rest of this answer.")),
    "deactivated": Notice("info", _("The answer ended here because your account was deactivated.")),
}


def stage_for(generation: Generation) -> str | Promise:
    """Return why an unfinished answer without text has none yet."""
    if generation.stage_position == 1:
        return STAGES["waiting_next"]
    if generation.stage_position:
        return str(STAGES["waiting_at"]) % {"number": generation.stage_position}
    return STAGES.get(generation.stage, STAGES["waiting"])


def remedy_for(generation: Generation) -> str | Promise:
    """Return what somebody can do who waits for an answer without text."""
    if generation.stage in {"loading", "reading"}:
        return REMEDIES[f"while_{generation.stage}"]
    return REMEDIES["while_waiting"]


def failure_words(code: str) -> str:
    """Return why an answer failed, for its error code."""
    return str(_FAILURES.get(code, _OTHER_FAILURE)[0])


def health_words(health: Health) -> str:
    """Return how a backend fares, such as "Works" or "Down since 12:31"."""
    if health.level != "down" or health.since is None:
        return str(LEVELS[health.level])
    since = timezone.localtime(health.since)
    is_today = since.date() == timezone.localdate()
    return str(_("Down since %(time)s")) % {
        "time": date_format(since, "TIME_FORMAT" if is_today else "SHORT_DATETIME_FORMAT")
    }


def _wait_words(generation: Generation) -> str:
    """Return when to try again, where the backend said so and that is still to come; empty otherwise."""
    return wait_words(round((generation.retry_at - timezone.now()).total_seconds()) if generation.retry_at else 0)


def wait_words(seconds: int) -> str:
    """Return for how long to wait; empty for no time."""
    if seconds <= 0:
        return ""
    if seconds < 100:
        return ngettext("Try again in %d second.", "Try again in %d seconds.", seconds) % seconds
    minutes = -(-seconds // 60)
    return ngettext("Try again in %d minute.", "Try again in %d minutes.", minutes) % minutes


def _failure(generation: Generation) -> Notice:
    code, has_text = generation.error_code, generation.first_delta_at is not None
    if has_text and code == "backend_unavailable":
        code = "stream_interrupted"  # it was reached, or there would be no text
    text, hint = _FAILURES.get(code, _OTHER_FAILURE)
    if hint == _KEPT and not has_text:
        hint = _LATER
    hint = _wait_words(generation) or hint
    # Where something broke on our side, asking somebody else is no remedy.
    can_ask_another = code in _FAILURES
    return Notice("bad", text, hint, can_retry=code not in _WITHOUT_RETRY, can_ask_another=can_ask_another)


def notice_for(generation: Generation) -> Notice | None:
    """Return what to say below the answer; None where it speaks for itself."""
    if generation.status == Status.FAILED:
        return _failure(generation)
    if generation.status == Status.CANCELLED:
        return _ENDINGS.get(generation.finish_reason, _CANCELLED)
    if generation.status == Status.INCOMPLETE and generation.error_code == "moderated":
        return _WITHHELD
    if generation.status == Status.INCOMPLETE:
        return _ENDINGS.get(generation.finish_reason)
    return None
