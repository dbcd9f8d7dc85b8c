"""What is done to a conversation as a whole: renamed, deleted, downloaded."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from chat import history, pages
from chat.conversations import rename_conversation
from chat.forms import TitleForm
from chat.models import Folder
from chat.refusals import ConversationGoneError
from chat.views.common import get_conversation_for_user, pages_and_forms, user_of, wants_json
from chat.views.organising import delete_and_stop


@pages_and_forms
@login_required
def rename(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Give the conversation another title; the page has its other options, too."""
    conversation = get_conversation_for_user(request, pk)
    form = TitleForm(request.POST or None, instance=conversation)
    if request.method == "POST" and form.is_valid():
        try:
            rename_conversation(conversation, form.cleaned_data["title"])
        except ConversationGoneError as error:
            raise Http404 from error
        if wants_json(request):
            return JsonResponse({"title": conversation.title})
        return redirect(conversation)
    if request.method == "POST" and wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    context = {"conversation": conversation, "form": form, "folders": Folder.objects.owned_by(user_of(request))}
    return render(request, "chat/rename.html", context)


@pages_and_forms
@login_required
def delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Delete the conversation with all its messages, after a question; an answer in progress ends."""
    conversation = get_conversation_for_user(request, pk)
    if request.method != "POST":
        return render(request, "chat/delete.html", {"conversation": conversation})
    delete_and_stop(user_of(request), [conversation.pk])
    if wants_json(request):
        return JsonResponse({"url": reverse("chat:home")})
    return redirect(f"{reverse('chat:conversations')}?view=deleted")


@require_safe
@login_required
def export(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Download the shown branch as Markdown."""
    conversation = get_conversation_for_user(request, pk)
    whole = history.branch(conversation, conversation.leaf_id, limit=100_000)
    response = HttpResponse(pages.as_markdown(conversation, whole), content_type="text/markdown; charset=utf-8")
    name = slugify(conversation.title, allow_unicode=True) or "conversation"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=f"{name}.md")
    return response
