"""Taking conversations along, and bringing them: exports, and imports that are looked at first and can be undone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import BinaryIO, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat.forms import UploadForm
from chat.models import Conversation, ImportBatch, ImportedConversation
from chat.transfer.archive import FORMATS, archive, in_threads
from chat.transfer.collecting import carried
from chat.transfer.documents import as_html, as_markdown, file_name
from chat.transfer.importing import import_some
from chat.transfer.reports import read_upload
from chat.transfer.shape import CarriedConversation, document
from chat.transfer.undoing import undo_some
from chat.transfer.values import UnreadableError
from chat.views.common import get_conversation_for_user, user_of, wants_json

STEP_SECONDS = 2.0
"""For which one request imports or undoes; the page asks again until it is done."""
ROWS = 100
BATCHES = 20


def _as_json(conversation: CarriedConversation) -> str:
    return document([conversation])


_EXPORTS: dict[str, tuple[str, str, Callable[[CarriedConversation], str]]] = {
    "markdown": ("md", "text/markdown", as_markdown),
    "html": ("html", "text/html", as_html),
    "json": ("json", "application/json", _as_json),
}


@require_safe
@login_required
def export(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Download the shown branch as Markdown or HTML, or all branches as JSON."""
    conversation = carried(get_conversation_for_user(request, pk))
    ending, kind, make = _EXPORTS.get(request.GET.get("format", ""), _EXPORTS["markdown"])
    response = HttpResponse(make(conversation), content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = _attachment(f"{file_name(conversation)}.{ending}")
    return response


@require_safe
@login_required
def export_all(request: HttpRequest) -> HttpResponseBase:
    """Download all conversations as a ZIP file, which is made while it is sent."""
    chosen = [name for name in FORMATS if name in request.GET.getlist("format")] or ["json"]
    parts = archive(user_of(request), chosen)
    is_async = isinstance(request, ASGIRequest)
    response = StreamingHttpResponse(in_threads(parts) if is_async else parts, content_type="application/zip")
    response["Content-Disposition"] = _attachment(f"conversations-{timezone.localdate()}.zip")
    return response


def _attachment(name: str) -> str:
    return str(content_disposition_header(as_attachment=True, filename=name))


@require_safe
@never_cache
@login_required
def data(request: HttpRequest) -> HttpResponse:
    """Show what a person can take along and bring, and their imports so far."""
    return _render_data(request, UploadForm())


def _render_data(request: HttpRequest, form: UploadForm, status: int = 200) -> HttpResponse:
    user = user_of(request)
    context = {
        "form": form,
        "conversations": Conversation.objects.owned_by(user).count(),
        "batches": ImportBatch.objects.filter(owner=user).annotate(total=Count("items"))[:BATCHES],
        "limit": settings.CHAT_IMPORT_MAX_MB,
    }
    return render(request, "chat/data.html", context, status=status)


@require_POST
@login_required
def upload(request: HttpRequest) -> HttpResponse:
    """Read a file and show what an import would do; nothing is imported yet."""
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            return redirect(read_upload(user_of(request), cast("BinaryIO", file.file), file.name))
        except UnreadableError as error:
            form.add_error("file", str(error))
    return _render_data(request, form, status=422)


@require_safe
@never_cache
@login_required
def import_report(request: HttpRequest, batch: int) -> HttpResponse:
    """Show what is in an upload, and what was or would be done with it."""
    found = _get_batch_for_user(request, batch)
    page = Paginator(found.items.select_related("conversation").defer("payload"), ROWS).get_page(
        request.GET.get("page")
    )
    return render(request, "chat/import.html", {"batch": found, "page": page, **_counts(found)})


@require_POST
@login_required
def import_run(request: HttpRequest, batch: int) -> HttpResponse:
    """Import some more of what was read."""
    return _step(request, batch, import_some)


@require_POST
@login_required
def import_undo(request: HttpRequest, batch: int) -> HttpResponse:
    """Undo some more of an import."""
    return _step(request, batch, undo_some)


@require_POST
@login_required
def import_discard(request: HttpRequest, batch: int) -> HttpResponse:
    """Forget an upload that was not imported."""
    unused = ImportBatch.objects.filter(status__in=(ImportBatch.Status.READING, ImportBatch.Status.READY))
    unused.filter(pk=_get_batch_for_user(request, batch).pk).delete()
    return redirect("chat:data")


def _step(request: HttpRequest, pk: int, verb: Callable[[ImportBatch, float], bool]) -> HttpResponse:
    batch = _get_batch_for_user(request, pk)
    is_over = verb(batch, STEP_SECONDS)
    if not wants_json(request):
        return redirect(batch)
    batch.refresh_from_db()
    counts = _counts(batch)
    return JsonResponse({"over": is_over, "done": counts["done"], "todo": counts["todo"]})


def _get_batch_for_user(request: HttpRequest, pk: int) -> ImportBatch:
    own = ImportBatch.objects.filter(owner=user_of(request)).select_related("owner")
    return get_object_or_404(own, pk=pk)


def _counts(batch: ImportBatch) -> dict[str, int]:
    """Return how many conversations there are of each kind; one query."""
    plans, outcomes = ImportedConversation.Plan, ImportedConversation.Outcome
    counts = dict.fromkeys([*plans.values, "imported", "failed", "undone", "kept", "messages", "waiting"], 0)
    rows = batch.items.order_by().values_list("plan", "outcome")
    for plan, outcome, number in rows.annotate(number=Count("pk")):
        counts[plan] += number
        if outcome:
            counts[outcome] += number
        elif plan in {plans.NEW, plans.MORE}:
            counts["waiting"] += number
    is_undo = batch.status in {ImportBatch.Status.UNDOING, ImportBatch.Status.UNDONE}
    done = counts[outcomes.UNDONE] + counts[outcomes.KEPT] if is_undo else counts[outcomes.IMPORTED]
    todo = done + (counts[outcomes.IMPORTED] if is_undo else counts["waiting"])
    return {**counts, "done": done, "todo": todo, "total": sum(counts[plan] for plan in plans.values)}
