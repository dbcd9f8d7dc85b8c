"""Links by which people are invited."""

from __future__ import annotations

from allauth.decorators import rate_limit
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.models import Invitation, InvitationState, SignupMode
from chat.people import invitations, signup


# As many as allauth lets one address make accounts in a minute: a token has 256 bits, and guessing is not for free.
@require_safe
@never_cache
@rate_limit(action="signup", limit_get=True)  # type: ignore[untyped-decorator]
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Lead to the form for an account, or say why the link is of no use."""
    found = invitations.find(token)
    if found is None or found.state != InvitationState.OPEN or signup.policy().mode == SignupMode.CLOSED:
        return _gone(request, found)
    if request.user.is_authenticated:
        return render(request, "chat/invitation.html", {"is_signed_in": True})
    invitations.remember(request, found)
    return redirect("account_signup")


@require_safe
@never_cache
def invitation_gone(request: HttpRequest) -> HttpResponse:
    """Say that somebody else was quicker, or that an administrator took the invitation back meanwhile."""
    return _gone(request, None)


def _gone(request: HttpRequest, found: Invitation | None) -> HttpResponse:
    state = found.state if found else None
    return render(request, "chat/invitation.html", {"state": state}, status=404)
