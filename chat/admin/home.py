"""The admin's first page: what was used, and what is happening now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from chat import audit
from chat.admin_site import home, page
from chat.models import Generation, User
from chat.overview.alerts import alerts
from chat.overview.backends import backends
from chat.overview.board import assistants_chart, backend_rows, kpis, number_rows
from chat.overview.figures import figures, waits
from chat.overview.opinions import opinions
from chat.overview.people import people
from chat.overview.ranges import LABELS, Range, range_of
from chat.overview.running import numbers, running
from chat.overview.sheets import csv_pieces


@home
def context(request: HttpRequest) -> dict[str, Any]:
    """Return what this person may see of the site; each part needs the permission to view what it is made of."""
    may = cast("User", request.user).has_perm
    shown = range_of(request.GET.get("range", ""))
    known: dict[str, Any] = {"range": shown, "ranges": LABELS.items(), "now": timezone.now()}
    waiting = numbers() if may("chat.view_generation") else {}
    used, waited = None, None
    if may("chat.view_usagerecord"):
        used, waited, active = figures(shown), waits(shown), people(shown)
        known |= {"figures": used, "people": active, "kpis": kpis(used, waited, active)}
        known |= {"chart": assistants_chart(used), "rows": number_rows(used, waited, active), "dates": _dates(shown)}
    if may("chat.view_generation"):
        known |= {
            "running": running(),
            "in_progress": sum(map(sum, waiting.values())),
            "backends": backend_rows(backends(waiting), waited, used),
            "may_cancel": may("chat.change_generation"),
        }
    if may("chat.view_quota"):
        known["alerts"] = alerts()
    if may("chat.view_feedback"):
        known["opinions"] = opinions(shown.start)
    is_new = used is not None and not used.total.answers and not used.before.answers
    known["is_new"] = is_new and not Generation.objects.exists()
    return {"overview": known, "title": _("Overview")}


def _dates(shown: Range) -> str:
    """Return the query that asks the page of usage for the days of the range."""
    first, last = timezone.localdate(shown.start), timezone.localdate()
    return urlencode({"start": first.isoformat(), "end": last.isoformat()})


Sheet = tuple[Sequence[str], list[Sequence[Any]]]


@page("overview/<slug:part>.csv", permission="chat.view_usagerecord", name="overview_csv")
def overview_csv(request: HttpRequest, part: str) -> HttpResponse:
    """Download the numbers behind a part of the first page."""
    if part not in _SHEETS:
        raise Http404
    shown = range_of(request.GET.get("range", ""))
    header, rows = _SHEETS[part](shown)
    audit.append("usage.exported", cast("User", request.user), None, part=part, range=shown.key)
    response = HttpResponse(b"".join(csv_pieces(header, rows)), content_type="text/csv; charset=utf-8")
    name = f"{part}-{shown.key}-{timezone.localdate()}.csv"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    return response


def _start(moment: Any) -> str:
    return timezone.localtime(moment).isoformat(timespec="minutes")


def _over_time(shown: Range) -> Sheet:
    used, waited, active = figures(shown), waits(shown), people(shown)
    header = ["start", "answers", "input_tokens", "output_tokens", "cost", "first_text_p95_ms", "active_people"]
    columns = zip(shown.starts, used.buckets, waited.buckets, active.buckets, strict=True)
    return header, [
        (_start(start), each.answers, each.input_tokens, each.output_tokens, each.cost, p95 and round(p95), count)
        for start, each, p95, count in columns
    ]


def _by_assistant(shown: Range) -> Sheet:
    used = figures(shown)
    header = ["start", "assistant", "answers", "input_tokens", "output_tokens", "cost"]
    return header, [
        (_start(start), name, each.answers, each.input_tokens, each.output_tokens, each.cost)
        for name, series in used.assistants
        for start, each in zip(shown.starts, series, strict=True)
    ]


def _by_backend(shown: Range) -> Sheet:
    answers, times = figures(shown).answers_of_backends, waits(shown).backends
    header = ["backend", "answers", "failed", "first_text_p50_ms", "first_text_p95_ms"]
    return header, [
        (alias, *counts, *(time and round(time) for time in times.get(alias, (None, None))))
        for alias, counts in sorted(answers.items())
    ]


def _of_failures(shown: Range) -> Sheet:
    header = ["error_code", "answers", "backends"]
    return header, [(each.code, each.answers, " ".join(each.backends)) for each in figures(shown).failures]


_SHEETS: dict[str, Callable[[Range], Sheet]] = {
    "over-time": _over_time,
    "assistants": _by_assistant,
    "backends": _by_backend,
    "failures": _of_failures,
}
