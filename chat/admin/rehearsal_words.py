"""How rehearsals and their answers fare, in words."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat import markdown
from chat.models import Generation, RehearsedAnswer, Status
from chat.wording import notice_for
from chat.workshop import comparing


def state_of(rehearsal: Any) -> SafeString:
    """Return how far it is, for the list."""
    if rehearsal.switched_at:
        kind, words = "completed", _("applied")
    elif not rehearsal.asked:
        kind, words = "cancelled", _("without questions")
    elif rehearsal.to_come:
        kind, words = (
            "queued",
            ngettext("%d answer to come", "%d answers to come", rehearsal.to_come) % rehearsal.to_come,
        )
    else:
        kind, words = "completed", _("done")
    return format_html('<span class="pill pill-{}">{}</span>', kind, words)


def words_for(answer: RehearsedAnswer) -> None:
    """Give the answer what its page shows: its text as HTML, and why it is none."""
    answer.html = markdown.render(answer.content) if answer.content else ""  # type: ignore[attr-defined]
    if answer.error_code == "quota_exceeded":
        answer.notice = _("You had used all that you may use.")  # type: ignore[attr-defined]
        return
    shown = Generation(status=answer.status, finish_reason=answer.finish_reason, error_code=answer.error_code)
    shown.first_delta_at = timezone.now() if answer.content else None
    notice = notice_for(shown)
    if answer.status == Status.CANCELLED:
        answer.notice = _("Cancelled.")  # type: ignore[attr-defined]
    else:
        answer.notice = str(notice.text) if notice else ""  # type: ignore[attr-defined]
        answer.notice_kind = notice.kind if notice else ""  # type: ignore[attr-defined]


def progress_words(totals: comparing.Totals) -> str:
    """Return how far it is."""
    everything = totals.to_come + totals.written
    return _("%(written)s of %(all)s answers") % {"written": totals.written, "all": everything}
