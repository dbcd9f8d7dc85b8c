"""Shared links: made, renewed and revoked by their owner, opened by whoever has one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat import sharing
from chat.forms import ShareForm
from chat.markdown import render as render_markdown
from chat.models import Conversation, Role, Share
from chat.refusals import ConversationGoneError
from chat.views.common import get_conversation_for_user, pages_and_forms, user_of, wants_json

MESSAGES = 50
"""On one page of a shared conversation: what a stranger asks for must stay cheap."""
LINKS = 50
_REFUSALS: dict[type[Exception], Promise] = {
    sharing.NothingToShareError: _("There is nothing to share yet. Wait for an answer first."),
    sharing.TooManyLinksError: _("There are many links to this conversation. Revoke one first."),
    sharing.LinkGoneError: _("This link does not open any more. Make a new one."),
}
Result = TypeVar("Result")
_OFF = _("Sharing is switched off on this site.")


@pages_and_forms
@never_cache
@login_required
def share(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the links to a conversation, or make one."""
    conversation = get_conversation_for_user(request, pk)
    if request.method != "POST":
        return _answer(request, conversation, ShareForm())
    form = ShareForm(request.POST)
    made = None
    if form.is_valid():
        made = _try(form, lambda: sharing.share_conversation(conversation, form.cleaned_data["lasts"]))
    if form.errors:
        return _answer(request, conversation, form, status=422)
    if wants_json(request):
        return _answer(request, conversation, ShareForm(), made=made, status=201)
    return redirect("chat:share", pk)


@require_POST
@login_required
def renew(request: HttpRequest, pk: uuid.UUID, share: int) -> HttpResponse:
    """Let a link show the conversation as it is now."""
    link = _get_link_for_user(request, pk, share)
    form = ShareForm({})
    if form.is_valid():
        _try(form, lambda: sharing.renew_snapshot(link))
    if form.errors:
        return _answer(request, link.conversation, form, status=422)
    return _done(request, link)


@require_POST
@login_required
def revoke(request: HttpRequest, pk: uuid.UUID, share: int) -> HttpResponse:
    """End a link at once. Harmless when it has ended."""
    link = _get_link_for_user(request, pk, share)
    sharing.revoke(link)
    return _done(request, link)


@require_safe
@never_cache
@login_required
def shared_links(request: HttpRequest) -> HttpResponse:
    """List the links of a person to all conversations."""
    links = Share.objects.of(Conversation.objects.owned_by(user_of(request))).live().select_related("conversation")
    page = Paginator(links, LINKS).get_page(request.GET.get("page"))
    return render(request, "chat/shared_links.html", {"page": page, "is_sharing": sharing.is_sharing()})


@require_safe
@never_cache
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show the snapshot of a conversation to whoever has the link."""
    if sharing.is_sharing() and sharing.needs_account() and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    try:
        link = sharing.open_link(token) if sharing.is_sharing() else None
    except sharing.LinkGoneError:
        response = render(request, "chat/shared_gone.html", {"was_there": True}, status=410)
    else:
        if link:
            response = render(request, "chat/shared.html", _shared_context(request, link))
        else:
            response = render(request, "chat/shared_gone.html", status=404)
    # Who has the link has all: no search engine and no other site shall learn it.
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _shared_context(request: HttpRequest, link: Share) -> dict[str, object]:
    page = Paginator(link.messages.all(), MESSAGES).get_page(request.GET.get("page"))
    turns = [(message, render_markdown(message.content) if message.role == Role.ASSISTANT else "") for message in page]
    return {"share": link, "page": page, "turns": turns}


def _get_link_for_user(request: HttpRequest, pk: uuid.UUID, share: int) -> Share:
    own = Share.objects.of(Conversation.objects.owned_by(user_of(request))).select_related("conversation__owner")
    return get_object_or_404(own, conversation=pk, pk=share)


def _try(form: ShareForm, verb: Callable[[], Result]) -> Result | None:
    """Do it, or put into the form why it is not done."""
    if not sharing.is_sharing():
        form.add_error(None, str(_OFF))
        return None
    try:
        return verb()
    except tuple(_REFUSALS) as error:
        form.add_error(None, str(_REFUSALS[type(error)]))
        return None
    except ConversationGoneError as error:
        raise Http404 from error


def _done(request: HttpRequest, link: Share) -> HttpResponse:
    if wants_json(request):
        return _answer(request, link.conversation, ShareForm())
    if request.POST.get("from") == "list":
        return redirect("chat:shared_links")
    return redirect("chat:share", link.conversation_id)


def _answer(
    request: HttpRequest, conversation: Conversation, form: ShareForm, *, made: Share | None = None, status: int = 200
) -> HttpResponse:
    """Return the links of a conversation as a page, or for a dialog."""
    context = {
        "conversation": conversation,
        "form": form,
        "made": made,
        "links": Share.objects.live().filter(conversation=conversation),
        "is_sharing": sharing.is_sharing(),
        "needs_account": sharing.needs_account(),
        "origin": f"{request.scheme}://{request.get_host()}",
    }
    if not wants_json(request):
        return render(request, "chat/share.html", context, status=status)
    html = render_to_string("chat/_share.html", context, request)
    return JsonResponse({"html": html, "errors": form.errors}, status=status)
