"""What the pages need beyond Django's own tags: icons, the import map, the words that scripts say."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from chat.models import Colour, Generation
from chat.parameters import PARAMETERS
from chat.retention import rules as retention
from chat.sidebar import in_words
from chat.wording import COMPOSING, REMEDIES, STAGES, remedy_for

register = template.Library()

EAGER_MODULES = (
    "app",
    "actions",
    "answer",
    "branches",
    "composer",
    "conversation",
    "decorate",
    "drafts",
    "edit",
    "feedback",
    "menu",
    "notice",
    "page",
    "panel",
    "parameters",
    "reader",
    "rows",
    "shortcuts",
    "sidebar",
    "stage",
    "theme",
    "token",
    "turns",
    "waiting",
)
"""Modules of ours that every chat page loads."""
LAZY_MODULES = (
    *("markdown", "grammar", "maths-rules", "items", "half"),  # to write an answer
    *("code", "files", "maths", "diagram"),  # for what is in it
    *("options", "picking", "toast"),  # for the list of conversations
    *("past", "search", "share", "speech", "transfer", "worker"),
)
"""Modules that come when there is something for them to do."""

HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


@register.simple_tag
@lru_cache(maxsize=256)
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
    imports = {f"chat/{name}": staticfiles_storage.url(f"chat/{name}.js") for name in (*EAGER_MODULES, *LAZY_MODULES)}
    imports |= {name: staticfiles_storage.url(path) for name, path in settings.NPM_MODULES.items() if _is_there(path)}
    imports["chat/diagram.html"] = reverse("chat:diagram")  # no module, but an address that one of them asks for
    preloads = [
        format_html('<link rel="modulepreload" href="{}">', imports[f"chat/{name}"])
        for name in preloaded or EAGER_MODULES
    ]
    nonce = getattr(context.get("request"), "csp_nonce", "")
    element = format_html('<script type="importmap" nonce="{}">{}</script>', nonce, as_script({"imports": imports}))
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
        **REMEDIES,
        **COMPOSING,
        "reconnecting": _("Connection lost. Reconnecting… What you type is kept."),
        "signed_out": _("You are signed out."),
        "sign_in_again": _("Sign in again"),
        "not_done": _("That did not work. Check your connection."),
        "server_error": _("The server had a problem. Try again in a moment."),
        "busy": _("An answer is still being written. Wait for it, or cancel it with Esc."),
        "too_many": _("Too many messages. Wait a moment."),
        "forbidden": _("You may not do that. Reload the page and try again."),
        "send": _("Send"),
        "cancel": _("Cancel the answer"),
        "copy": _("Copy"),
        "copied": _("Copied"),
        "feedback_saved": _("Thank you. You can say more below the answer."),
        "feedback_sent": _("Thank you. Your feedback is stored."),
        "feedback_taken_back": _("Your feedback was taken back."),
        "message_deleted": _("The message was deleted."),
        "save_code": _("Save as a file"),
        "wrap_code": _("Wrap long lines"),
        "image_from": _("Opens the image from %(number)s in a new tab"),
        "wrong_maths": _("This formula cannot be drawn"),
        "draw": _("Draw the diagram"),
        "show_source": _("Show the source"),
        "diagram": _("Diagram"),
        "drawing": _("Drawing the diagram…"),
        "drawn": _("The diagram is drawn"),
        "not_drawn": _("The diagram cannot be drawn:"),
        "diagram_not_loaded": _("The diagram cannot be drawn: its program did not load."),
        "today": _("Today"),
        "recent": _("Recent conversations"),
        "searching": _("Searching…"),
        "search_results": _("Results"),
        "search_found": _("%(number)s found"),
        "search_all": _("Show all results"),
        "search_failed": _("The search did not work. Check your connection and try again."),
        "archived": _("Archived"),
        "you": _("You"),
        "answer": _("Answer"),
        "loading_all": _("%(number)s messages so far. Stop"),
        "earlier_loaded": _("Earlier messages are above."),
        "newer_loaded": _("Newer messages are below."),
        "whole_loaded": _("The whole conversation is here: %(number)s messages."),
        "not_loaded": _("These messages could not be loaded."),
        "try_again": _("Try again"),
        "close": _("Close"),
        "reading_file": _("The file is being sent and read. That may take a minute."),
        "deleted_one": _("The conversation was deleted."),
        "deleted_many": _("%(number)s conversations were deleted."),
        "archived_one": _("The conversation is in the archive."),
        "archived_many": _("%(number)s conversations are in the archive."),
        "moved_one": _("The conversation was moved."),
        "moved_many": _("%(number)s conversations were moved."),
        "restored": _("Restored."),
        "undo": _("Undo"),
        "gone": _("It is gone for good, or somebody was quicker. Reload the page."),
        "chosen": _("%(number)s selected"),
        "unread": _("New answer"),
        "site": settings.SITE_NAME,
        "shortcut_new": _("New chat"),
        "shortcut_search": _("Search conversations"),
        "shortcut_sidebar": _("Open or close the sidebar"),
        "shortcut_theme": _("Switch between light and dark"),
        "shortcut_sheet": _("Show this list"),
        "shortcut_previous": _("To the message before"),
        "shortcut_next": _("To the next message"),
        "shortcut_copy": _("Copy the last answer"),
        "shortcut_cancel": _("Cancel the answer"),
        "shortcut_field": _("To the message field"),
        "shortcut_send": _("Send the message"),
        "shortcut_line": _("Begin a new line"),
    }
    return json_script(strings, "strings")


@register.simple_tag(takes_context=True)
def undo_time(context: Context) -> str:
    """Say for how long this person can restore a deleted conversation; empty: as long as they like."""
    seconds = retention.undo_seconds(context["user"])
    return in_words(seconds) if seconds is not None else ""


@register.simple_tag(takes_context=True)
def keeping(context: Context) -> retention.Keeping | None:
    """Return how long this person's conversations are kept; None where nothing deletes them."""
    return retention.keeping_for(context["user"])


@register.simple_tag
def colours() -> list[tuple[str, str]]:
    """Return the colours of folders and their names."""
    return [(colour.value, str(colour.label)) for colour in Colour]


@register.simple_tag
def site_name() -> str:
    """Return what the site is called; a tag, because pages about errors have no context."""
    name: str = settings.SITE_NAME
    return name


@register.simple_tag
def own_name(code: str) -> str:
    """Return what a language calls itself, such as "한국어"."""
    return str(get_language_info(code)["name_local"])


@register.filter
def as_script(value: Any) -> SafeString:
    """Return a value as JSON that may stand in a script of its own, or in one of a page."""
    return mark_safe(json.dumps(value).replace("<", "\\u003c"))  # noqa: S308 - JSON without a tag


@register.filter
def language_of(text: Any) -> str:
    """Return ``ko`` for a text with Korean letters, so that it is broken into lines and read aloud as Korean."""
    return "ko" if HANGUL.search(str(text)[:2000]) else ""


@register.filter
def remedy(generation: Generation) -> str | Promise:
    """Return what somebody can do who waits for this answer."""
    return remedy_for(generation)


@register.filter
def seconds_since(moment: datetime) -> int:
    """Return how many seconds ago this was; 0 where a clock was set meanwhile."""
    return max(0, int((timezone.now() - moment).total_seconds()))


@register.filter
def as_json(value: Any) -> str:
    """Return the value as a script reads it from an attribute."""
    return json.dumps(value, default=str)


@register.filter
def has_slider(name: str) -> bool:
    """Return whether a parameter is chosen by a slider, too."""
    return PARAMETERS[name].has_slider


@register.filter
def initial(name: Any) -> str:
    """Return the letter that stands for a person."""
    return str(name).strip()[:1].upper()
