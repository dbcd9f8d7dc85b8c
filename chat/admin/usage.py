"""What answers took: the records one by one, and added up by filters."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from chat import audit
from chat.admin.common import NeverChangingAdmin
from chat.admin_site import page
from chat.models import UsageRecord, User
from chat.overview.charts import Names, stack
from chat.overview.filtering import FilterForm
from chat.overview.numbers import compact
from chat.overview.records import COLUMNS, names_of, rows_of, usage
from chat.overview.sheets import csv_pieces
from chat.transfer.archive import in_threads


@admin.register(UsageRecord)
class UsageRecordAdmin(NeverChangingAdmin):
    list_display = [
        "at",
        "username",
        "assistant_name",
        "backend",
        "outcome",
        "input_tokens",
        "output_tokens",
        "cost",
        "first_text_ms",
        "duration_ms",
    ]
    list_filter = ["outcome", "backend", "assistant_name", "is_estimated", "at"]
    search_fields = ["username", "assistant_name", "model"]


@page("usage/", permission="chat.view_usagerecord", title=gettext_lazy("Usage"), name="usage", place=2)
@require_safe
def usage_page(request: HttpRequest) -> HttpResponse:
    """Show what was used in some days: over time, by assistant, model and person."""
    form = FilterForm(request.GET)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("Usage"), "form": form}
    if form.is_valid():
        chosen = form.chosen
        found = usage(chosen)
        long_names, short_names = names_of(found, chosen.grain)
        names = Names(bars=long_names, short=short_names, others=_("Others"), number=compact)
        series = [(name, [each.tokens for each in used]) for name, used in found.over_time]
        context |= {
            "usage": found,
            "grain": chosen.grain,
            "chart": stack(series, names),
            "rows": list(zip(long_names, found.totals, strict=True))[::-1],
            "query": form.query,
            "number_of_records": found.total.answers,
            "records": _list_of(form),
        }
    return render(request, "admin/chat/usage.html", context)


@page("usage/records.csv", permission="chat.view_usagerecord", name="usage_csv")
@require_safe
def usage_csv(request: HttpRequest) -> HttpResponseBase:
    """Download the records that the filters let through, as they are read."""
    form = FilterForm(request.GET)
    if not form.is_valid():
        return usage_page(request)
    filters = {name: value for name, value in form.data.items() if value and name in form.fields}
    audit.append("usage.exported", cast("User", request.user), None, part="records", **filters)
    pieces = csv_pieces(COLUMNS, rows_of(form.chosen))
    content = in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    name = f"usage-{timezone.localdate(form.chosen.start)}-{form.last_day}.csv"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    return response


def _list_of(form: FilterForm) -> str:
    """Return the address of the list of these records."""
    chosen = form.chosen
    query = {"at__gte": chosen.start.isoformat(" "), "at__lt": chosen.end.isoformat(" ")}
    kept = {"user_id": chosen.user_id, "assistant_id": chosen.assistant_id or None}
    query |= {name: str(value) for name, value in kept.items() if value is not None}
    query |= {"backend": chosen.backend} if chosen.backend else {}
    query |= {"outcome__exact": chosen.outcome} if chosen.outcome else {}
    return f"{reverse('admin:chat_usagerecord_changelist')}?{urlencode(query)}"
