"""The settings of a person: what they want on this browser, and the ways to their account."""

from __future__ import annotations

from allauth.account.forms import ReauthenticateForm
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from chat import quotas
from chat.preferences import PreferencesForm
from chat.views.common import pages_and_forms, user_of


@pages_and_forms
@never_cache
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Show what is chosen on this browser, or remember what is."""
    if request.method != "POST":
        context = {"form": PreferencesForm.for_request(request), "meters": quotas.meters(user_of(request))}
        return render(request, "chat/preferences.html", context)
    form = PreferencesForm(request.POST)
    if not form.is_valid():
        return render(request, "chat/preferences.html", {"form": form}, status=422)
    response = redirect("chat:preferences")
    form.store(response)
    with translation.override(form.cleaned_data["language"]):
        messages.success(request, _("Saved."))
    return response


@pages_and_forms
@never_cache
@sensitive_post_parameters("password")
@login_required
def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """End all other sessions of the person, who proves by the password that this one is theirs.

    Sessions hold a hash of the stored password, which has a new salt afterwards; the password is the same.
    """
    user = user_of(request)
    form = ReauthenticateForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        user.set_password(form.cleaned_data["password"])
        user.save(update_fields=["password"])
        update_session_auth_hash(request, user)
        messages.success(request, _("You are signed out everywhere else."))
        return redirect("chat:preferences")
    status = 422 if request.method == "POST" else 200
    return render(request, "chat/sign_out_elsewhere.html", {"form": form}, status=status)
