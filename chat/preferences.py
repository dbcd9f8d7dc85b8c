"""How a person wants the pages: kept in cookies of the browser, so that it works before signing in, too."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

MAX_AGE = 60 * 60 * 24 * 365
"""Seconds for which a browser remembers a choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What was chosen on this browser; the defaults are what a page does when nothing was."""

    theme: str = ""
    """``light`` or ``dark``; empty for the one of the system."""
    enter: str = "send"
    """What the Enter key does in the message field: ``send`` or ``newline``."""
    reads_aloud: bool = False
    """Whether finished sentences of a growing answer are given to a screen reader."""
    single_keys: bool = True
    """Whether keys without Ctrl or Alt are shortcuts; speech input wants them off."""

    @classmethod
    def of(cls, request: HttpRequest) -> Preferences:
        """Return what the cookies say; what makes no sense counts as not chosen."""
        cookies = request.COOKIES
        theme = cookies.get("theme", "")
        return cls(
            theme=theme if theme in {"light", "dark"} else "",
            enter="newline" if cookies.get("enter") == "newline" else "send",
            reads_aloud=cookies.get("read_aloud") == "on",
            single_keys=cookies.get("single_keys") != "off",
        )

    def store(self, response: HttpResponse) -> None:
        """Put them into cookies; a default needs none, and follows if it is ever another."""
        remember(response, "theme", self.theme)
        remember(response, "enter", self.enter if self.enter != "send" else "")
        remember(response, "read_aloud", "on" if self.reads_aloud else "")
        remember(response, "single_keys", "" if self.single_keys else "off")


def store_language(response: HttpResponse, language: str) -> None:
    """Remember a language the way Django's own switch does."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        samesite="Lax",
        secure=settings.LANGUAGE_COOKIE_SECURE,
    )


def remember(response: HttpResponse, name: str, value: str) -> None:
    """Have the browser remember this for a year, or forget it, where it is empty."""
    # Scripts read them, and write the theme: not HttpOnly.
    if value:
        response.set_cookie(name, value, max_age=MAX_AGE, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    else:
        response.delete_cookie(name, samesite="Lax")


class PreferencesForm(forms.Form):
    """All that a person can choose for this browser."""

    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES, widget=forms.RadioSelect)
    theme = forms.ChoiceField(
        label=_("Theme"),
        choices=[("", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))],
        widget=forms.RadioSelect,
        required=False,
    )
    enter = forms.ChoiceField(
        label=_("The Enter key"),
        choices=[("send", _("Sends the message")), ("newline", _("Begins a new line; Ctrl+Enter sends"))],
        widget=forms.RadioSelect,
    )
    reads_aloud = forms.BooleanField(
        label=_("Read answers aloud, sentence by sentence"),
        help_text=_("For screen readers: an answer is spoken while it is written. Code is left out."),
        required=False,
    )
    single_keys = forms.BooleanField(
        label=_("Shortcuts of a single key"),
        help_text=_("Such as ? for the list of shortcuts. Turn them off if you dictate."),
        required=False,
    )

    @classmethod
    def for_request(cls, request: HttpRequest) -> PreferencesForm:
        """Return a form that shows what is chosen now."""
        now = Preferences.of(request)
        initial = {name: getattr(now, name) for name in ("theme", "enter", "reads_aloud", "single_keys")}
        return cls(initial={**initial, "language": get_language()})

    def store(self, response: HttpResponse) -> None:
        """Remember what was chosen; the form is valid."""
        chosen = dict(self.cleaned_data)
        store_language(response, chosen.pop("language"))
        Preferences(**chosen).store(response)
