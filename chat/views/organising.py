"""The list of conversations: its pages, what is done to several at once, and the folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat.forms import ChangeForm, FolderForm
from chat.models import Folder, User
from chat.organising import archive_conversations, delete_folder, move_conversations, pin_conversations, publish_folders
from chat.refusals import FolderGoneError
from chat.retention.deleting import delete_conversations, restore_conversations
from chat.runner import runner
from chat.sidebar import Listing, listing
from chat.views.common import pages_and_forms, user_of, wants_json


def shown_listing(request: HttpRequest) -> Listing:
    """Return the first page of what this browser listed last."""
    chosen = request.COOKIES.get("list", "")
    zone = request.COOKIES.get("zone", "")
    # The folder may be gone.
    shown = listing(user_of(request), chosen, zone=zone) or listing(user_of(request), zone=zone)
    assert shown is not None
    return shown


@require_safe
@never_cache
@login_required
def conversations(request: HttpRequest) -> HttpResponse:
    """Show a page of the list, ``?view=`` says of what; as JSON, for a sidebar that wants more rows."""
    after, zone = request.GET.get("after", ""), request.COOKIES.get("zone", "")
    shown = listing(user_of(request), request.GET.get("view", ""), after=after, zone=zone)
    if shown is None:
        raise Http404
    context = {"listing": shown, "is_continued": bool(after)}
    if not wants_json(request):
        return render(request, "chat/list.html", context)
    html = {name: render_to_string(f"chat/_sidebar_{name}.html", context, request) for name in ("list", "views")}
    return JsonResponse(html)


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Pin, archive, move, delete or restore any number of conversations, all of them or, if refused, none."""
    user = user_of(request)
    form = ChangeForm(request.POST, owner=user)
    changed: list[UUID] = []
    if form.is_valid():
        try:
            changed = _apply(user, form)
        except FolderGoneError:
            form.add_error("folder", form.fields["folder"].error_messages["invalid_choice"])
    if form.errors:
        if wants_json(request):
            return JsonResponse({"errors": form.errors}, status=422)
        return render(request, "chat/refused.html", {"reason": _first_error(form)}, status=422)
    if not changed:
        raise Http404
    if wants_json(request):
        return JsonResponse({"changed": [str(pk) for pk in changed]})
    action = form.cleaned_data["action"]
    return redirect(f"{reverse('chat:conversations')}{'?view=deleted' if action == 'delete' else ''}")


def _apply(user: User, form: ChangeForm) -> list[UUID]:
    """Call the verb that was chosen; return the conversations that it was done to."""
    verbs: dict[str, Callable[[User, list[UUID]], list[UUID]]] = {
        "pin": partial(pin_conversations, is_pinned=True),
        "unpin": partial(pin_conversations, is_pinned=False),
        "archive": partial(archive_conversations, is_archived=True),
        "unarchive": partial(archive_conversations, is_archived=False),
        "move": lambda owner, pks: move_conversations(owner, pks, form.chosen_folder()),
        "delete": delete_and_stop,
        "restore": restore_conversations,
    }
    return verbs[form.cleaned_data["action"]](user, form.cleaned_data["conversation"])


def delete_and_stop(user: User, pks: list[UUID]) -> list[UUID]:
    """Delete conversations, and stop the backends that write in them."""
    deleted = delete_conversations(user, pks)
    for answer in deleted.answers:
        runner.cancel(answer)
    return deleted.conversations


def _first_error(form: ChangeForm) -> str:
    return next(str(error) for errors in form.errors.values() for error in errors)


@pages_and_forms
@login_required
def folders(request: HttpRequest) -> HttpResponse:
    """Show the folders, or make one."""
    user = user_of(request)
    folder = Folder(owner=user)
    form = FolderForm(request.POST or None, instance=folder)
    if request.method == "POST" and form.is_valid():
        return _save(request, form)
    if request.method == "POST" and wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    return render(request, "chat/folders.html", {"folders": Folder.objects.owned_by(user), "form": form})


@pages_and_forms
@login_required
def folder(request: HttpRequest, folder: int) -> HttpResponse:
    """Give the folder another name or colour."""
    found = _get_folder_for_user(request, folder)
    form = FolderForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        return _save(request, form)
    if request.method == "POST" and wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    return render(request, "chat/folder.html", {"folder": found, "form": form})


def _save(request: HttpRequest, form: FolderForm) -> HttpResponse:
    saved = form.save()
    publish_folders(user_of(request), has_moved=True)
    if wants_json(request):
        return JsonResponse({"id": saved.pk, "name": saved.name, "colour": saved.colour})
    return redirect("chat:folders")


@pages_and_forms
@login_required
def remove_folder(request: HttpRequest, folder: int) -> HttpResponse:
    """Delete the folder, after a question; what is in it stays."""
    found = _get_folder_for_user(request, folder)
    if request.method != "POST":
        return render(
            request, "chat/folder_delete.html", {"folder": found, "count": found.conversations.kept().count()}
        )
    delete_folder(found)
    return JsonResponse({}) if wants_json(request) else redirect("chat:folders")


def _get_folder_for_user(request: HttpRequest, pk: int) -> Folder:
    return get_object_or_404(Folder.objects.owned_by(user_of(request)).select_related("owner"), pk=pk)
