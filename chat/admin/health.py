"""How the site and its backends fare, and what to do where something is wrong."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from backends import chat_backends
from chat.admin_site import page
from chat.diagnosis.vitals import BackendFact, examine
from chat.operation import probing
from chat.wording import health_words


@page("health/", permission="chat.view_health", title=gettext_lazy("Health"), name="health", place=3)
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Show how everything fares."""
    vitals = examine()
    context = {
        **admin.site.each_context(request),
        "title": _("Health"),
        "vitals": vitals,
        "backends": [{"fact": fact, "words": _words(fact)} for fact in vitals.backends],
        "probe_interval": settings.CHAT_PROBE_INTERVAL,
    }
    return render(request, "admin/chat/health.html", context)


def _words(fact: BackendFact) -> str:
    """Return how a backend fares. Answers may come, or nobody ask for any, while its probe or its model fails."""
    is_well = fact.health.level in {"works", "unknown"}
    return _("Needs a look") if is_well and fact.light == "fair" else health_words(fact.health)


@page("health/probe/", permission="chat.view_health", name="health_probe")
@require_POST
def health_probe(request: HttpRequest) -> HttpResponse:
    """Have a backend, or all of them, probed now; the page does not wait for it."""
    alias = request.POST.get("alias", "")
    if alias and alias not in chat_backends:
        raise Http404
    if settings.CHAT_PROBE_INTERVAL <= 0:
        messages.error(request, _("Probes are switched off: CHAT_PROBE_INTERVAL is 0."))
    else:
        probing.probe_soon([alias] if alias else None)
        messages.success(request, _("The probes begin now. Reload this page in some seconds."))
    return HttpResponseRedirect(reverse("admin:health"))
