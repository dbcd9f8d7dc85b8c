"""What is done to a conversation as a whole: renamed, deleted."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse

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
