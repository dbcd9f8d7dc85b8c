"""The first account; everything else about accounts is allauth's."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from chat.forms import OwnerForm
from chat.people.accounts import is_owner_token, needs_owner
from chat.views.common import pages_and_forms


@pages_and_forms
@never_cache
@sensitive_post_parameters("password1", "password2")
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator, for the one who has the link from the server's terminal."""
    if not is_owner_token(token):
        return render(request, "chat/setup.html", {"form": None}, status=404)
    form = OwnerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            # Asked again under the lock: a link opened twice makes one owner.
            if not needs_owner():
                return render(request, "chat/setup.html", {"form": None}, status=404)
            owner = form.save()
        login(request, owner, backend=settings.AUTHENTICATION_BACKENDS[0])
        return redirect("chat:home")
    return render(request, "chat/setup.html", {"form": form}, status=200 if request.method != "POST" else 422)
