"""Announcements, and how they look."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from chat.admin.common import Audited
from chat.admin_site import page
from chat.banners import announced
from chat.models import Banner, Level

_SAYS = {"text", "level"}
"""Where these change, it is news to those who dismissed it."""


class BannerForm(forms.ModelForm):  # type: ignore[type-arg]
    """A banner, whose dates and times have names of their own: Django's labels are beside no field."""

    class Meta:
        model = Banner
        fields = ["text", "level", "is_dismissible", "audience", "groups", "starts_at", "ends_at"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("starts_at", "ends_at"):
            field = self.fields[name]
            for part, widget in zip((_("date"), _("time")), getattr(field.widget, "widgets", ()), strict=False):
                widget.attrs["aria-label"] = f"{field.label}: {part}"


@admin.register(Banner)
class BannerAdmin(Audited):
    form = BannerForm
    list_display = ["summary", "level", "audience", "state", "starts_at", "ends_at", "is_dismissible"]
    list_filter = ["level", "audience"]
    search_fields = ["text"]
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["text", ("level", "is_dismissible"), "preview"]}),
        (_("For whom"), {"fields": ["audience", "groups"]}),
        (_("When"), {"fields": [("starts_at", "ends_at")]}),
    ]
    readonly_fields = ["preview"]

    class Media:
        css: ClassVar = {"all": ["chat/admin-retention.css"]}

    def save_model(self, request: HttpRequest, obj: Banner, form: Any, change: bool) -> None:
        if change and _SAYS & set(form.changed_data):
            obj.version += 1
        super().save_model(request, obj, form, change)

    @admin.display(description=_("text"), ordering="text")
    def summary(self, banner: Banner) -> str:
        return Truncator(banner.text).chars(60)

    @admin.display(description=_("state"))
    def state(self, banner: Banner) -> str:
        now = timezone.now()
        if banner.ends_at and banner.ends_at <= now:
            return str(_("over"))
        return str(_("not yet")) if banner.starts_at and banner.starts_at > now else str(_("shown now"))

    @admin.display(description=_("preview"))
    def preview(self, banner: Banner) -> SafeString:
        """A button that shows in another tab what is in the form now, without saving it."""
        return format_html(
            '<button type="submit" class="button" formaction="{}" formtarget="_blank" formnovalidate>{}</button>',
            reverse("admin:banner_preview"),
            _("Show how it looks"),
        )


@page("banner-preview/", permission="chat.view_banner")
@require_POST
def banner_preview(request: HttpRequest) -> HttpResponse:
    """Show what was typed as a banner, as wide as on a page and as narrow as on a phone; nothing is stored."""
    level = request.POST.get("level", "")
    banner = Banner(
        text=request.POST.get("text", "")[:1_000],
        level=level if level in Level.values else Level.INFO,
        is_dismissible="is_dismissible" in request.POST,
    )
    context = {**admin.site.each_context(request), "title": _("Preview"), "banner_preview": announced(banner)}
    return render(request, "admin/chat/banner_preview.html", context)
