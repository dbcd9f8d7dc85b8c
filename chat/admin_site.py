"""The site's admin: Django's own, with room for pages that are not the list of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from chat.models import User

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the admin that is not the list of a model."""

    name: str
    """The URL's name in ``admin:``."""
    route: str
    permission: str
    """Without it the page answers 403 and is not in the menu; for instance ``chat.view_generation``."""
    title: str | Promise
    """In the menu; empty for what is no page of its own, a fragment or a download."""
    view: View
    place: int
    """In the menu, from above."""


_pages: list[Page] = []


def page(
    route: str, *, permission: str, title: str | Promise = "", name: str = "", place: int = 0
) -> Callable[[View], View]:
    """Register a view as a page of the admin, for those with the permission; its name is the view's.

    What the admin's templates need is ``admin.site.each_context(request)``.
    """

    def register(view: View) -> View:
        own = name or cast("Any", view).__name__
        _pages.append(Page(name=own, route=route, permission=permission, title=title, view=view, place=place))
        return view

    return register


_home: list[Callable[[HttpRequest], dict[str, Any]]] = []


def home(context: Callable[[HttpRequest], dict[str, Any]]) -> Callable[[HttpRequest], dict[str, Any]]:
    """Register what the admin's first page knows beyond the list of models."""
    _home.append(context)
    return context


class ChatAdminSite(admin.AdminSite):
    """Django's admin with the registered pages before its models, in the menu and among its URLs."""

    def get_urls(self) -> list[Any]:
        return [*(self._pattern(page) for page in _pages), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        known: dict[str, Any] = {}
        for context in _home:
            known |= context(request)
        return super().index(request, {**known, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return what the menu shows: the pages that this person may see, then the models."""
        apps = super().get_app_list(request, app_label)
        user = cast("User", request.user)
        shown = [page for page in _pages if page.title and user.has_perm(page.permission)]
        shown.sort(key=lambda page: page.place)
        if app_label is not None or not shown:
            return apps
        own = {
            "name": _("Operation"),
            "app_label": "operation",
            "app_url": reverse("admin:index") + "#operation",
            "has_module_perms": True,
            "models": [_entry(page) for page in shown],
        }
        return [own, *apps]

    def _pattern(self, page: Page) -> URLPattern:
        return path(page.route, self.admin_view(partial(_checked, page)), name=page.name)


def _checked(page: Page, request: HttpRequest, **arguments: Any) -> HttpResponseBase:
    if not cast("User", request.user).has_perm(page.permission):
        raise PermissionDenied
    return page.view(request, **arguments)


def _entry(page: Page) -> dict[str, Any]:
    """Return the page as the admin's templates take a model."""
    return {"name": page.title, "object_name": page.name, "admin_url": reverse(f"admin:{page.name}"), "view_only": True}
