"""What others did with what is somebody's."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.people import oversight
from chat.views.common import user_of

ROWS = 50


@require_safe
@never_cache
@login_required
def looks(request: HttpRequest) -> HttpResponse:
    """Show who read, exported or cancelled something of this person's, when and why."""
    user = user_of(request)
    page = Paginator(oversight.entries_about(user), ROWS).get_page(request.GET.get("page"))
    context = {"page": page, "looks": oversight.looks(page.object_list, user), "had_new": user.has_new_looks}
    oversight.mark_read(user)
    user.has_new_looks = False
    return render(request, "chat/looks.html", context)
