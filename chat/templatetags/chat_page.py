"""What the pages need beyond Django's own tags: icons, the import map, the words that scripts say."""

from __future__ import annotations

import json
import re
from typing import Any

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.context import Context
from django.utils.functional import Promise
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from chat.wording import STAGES

register = template.Library()

EAGER_MODULES = ("app", "answer", "composer", "conversation", "edit", "menu", "page", "reader", "sidebar", "stage")
"""Modules of ours that every chat page loads."""

LATER_MODULES = ("markdown", "share", "transfer")
"""Modules of ours that come when they are wanted, or on pages of their own."""

HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """Draw a symbol of templates/_icons.html, which base.html puts on every page."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="#i-{}"></use></svg>', f"i {css_class}".rstrip(), name
    )


@register.simple_tag(takes_context=True)
def importmap(context: Context, *preloaded: str) -> SafeString:
    """Print the import map: our modules as ``chat/…`` and the ones from npm, by their hashed URLs.

    Modules name each other by these names only, so their files need no rewriting when they are hashed. A package that
    npm has not brought is left out: the page then shows plain text while an answer is written. ``preloaded`` are the
    modules that the page begins with, where it is not the chat.
    """
    imports = {f"chat/{name}": staticfiles_storage.url(f"chat/{name}.js") for name in (*EAGER_MODULES, *LATER_MODULES)}
    imports |= {name: staticfiles_storage.url(path) for name, path in settings.NPM_MODULES.items() if _is_there(path)}
    preloads = [
        format_html('<link rel="modulepreload" href="{}">', imports[f"chat/{name}"])
        for name in preloaded or EAGER_MODULES
    ]
    nonce = getattr(context.get("request"), "csp_nonce", "")
    text = json.dumps({"imports": imports}).replace("<", "\\u003c")
    element = format_html('<script type="importmap" nonce="{}">{}</script>', nonce, mark_safe(text))  # noqa: S308
    return mark_safe("\n  ".join([element, *preloads]))  # noqa: S308 - made of escaped parts


def _is_there(path: str) -> bool:
    hashed_files: dict[str, str] = getattr(staticfiles_storage, "hashed_files", {})
    return path in hashed_files or finders.find(path) is not None


@register.simple_tag
def script_strings() -> SafeString:
    """Print the words that scripts say, in the language of the page."""
    strings: dict[str, str | Promise] = {
        "answering": _("Answering…"),
        "answer_ready": _("Answer ready"),
        "answer_cancelled": _("Answer cancelled"),
        "answer_failed": _("The answer failed"),
        **STAGES,
        "reconnecting": _("Connection lost. Reconnecting…"),
        "signed_out": _("You are signed out."),
        "sign_in_again": _("Sign in again"),
        "not_sent": _("Not sent. Check your connection."),
        "not_done": _("That did not work. Check your connection."),
        "server_error": _("The server had a problem. Try again in a moment."),
        "busy": _("An answer is still being written. Wait for it or cancel it."),
        "too_many": _("Too many messages. Wait a moment."),
        "forbidden": _("You may not do that. Reload the page and try again."),
        "send": _("Send"),
        "cancel": _("Cancel the answer"),
        "copy": _("Copy"),
        "copied": _("Copied"),
        "today": _("Today"),
        "close": _("Close"),
        "reading_file": _("The file is being sent and read. That may take a minute."),
    }
    return json_script(strings, "strings")


@register.filter
def language_of(text: Any) -> str:
    """Return ``ko`` for a text with Korean letters, so that it is broken into lines and read aloud as Korean."""
    return "ko" if HANGUL.search(str(text)[:2000]) else ""


@register.filter
def initial(name: Any) -> str:
    """Return the letter that stands for a person."""
    return str(name).strip()[:1].upper()
