"""What a rehearsal is set up with: whose settings are tried, and on which questions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.models import Assistant, Conversation, User
from chat.workshop.choosing import MOST_CONVERSATIONS, Chosen, of_conversations, of_others, of_text, readable

LEAST_REASON = 8
"""Characters."""
MOST_TYPED = 2_000_000
"""Bytes of questions that are typed or uploaded."""


class QuestionsForm(forms.Form):
    """The questions: of saved conversations, or typed."""

    source = forms.ChoiceField(
        label=_("Questions"),
        widget=forms.RadioSelect,
        initial="newest",
        choices=[
            ("newest", _("of the newest conversations")),
            ("disliked", _("of conversations with an answer that somebody disliked")),
            ("typed", _("that I type or upload")),
        ],
    )
    whose = forms.ChoiceField(
        label=_("Whose conversations"),
        choices=[("own", _("mine")), ("all", _("everybody's"))],
    )
    reason = forms.CharField(
        label=_("Why do you have to read other people's?"),
        required=False,
        max_length=500,
        help_text=_("These people can read it, with your name. It is needed for their conversations only."),
    )
    number = forms.IntegerField(
        label=_("How many conversations"), min_value=1, max_value=MOST_CONVERSATIONS, initial=20, required=False
    )
    every = forms.BooleanField(
        label=_("Every question of each, not the last one alone"), required=False, label_suffix=""
    )
    typed = forms.CharField(
        label=_("Questions, one a line"),
        required=False,
        max_length=MOST_TYPED,
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
        help_text=_("Or JSON Lines: objects with “prompt” or “messages”, and “answer” where there is one."),
    )
    file = forms.FileField(label=_("Or a file of such lines"), required=False)

    def __init__(self, *args: Any, person: User, chosen: Sequence[uuid.UUID] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.person = person
        self.chosen = list(chosen)[:MOST_CONVERSATIONS]
        source, whose = self.fields["source"], self.fields["whose"]
        assert isinstance(source, forms.ChoiceField)
        assert isinstance(whose, forms.ChoiceField)
        if self.chosen:
            named = gettext("of the conversations that I selected (%d)") % len(self.chosen)
            source.choices = [("selected", named), *source.choices]  # type: ignore[misc]
            source.initial = "selected"
        if not person.has_perm("chat.view_others_conversations"):
            whose.choices = [("own", _("mine"))]
            del self.fields["reason"]
        self.questions: list[Chosen] = []

    def clean_file(self) -> str:
        """Return the text of the upload; empty where there is none."""
        upload: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if not upload:
            return ""
        if (upload.size or 0) > MOST_TYPED:
            raise ValidationError(_("The file is too large: %s bytes are the most.") % f"{MOST_TYPED:,}")
        try:
            return str(upload.read(), "utf-8-sig")
        except UnicodeDecodeError:
            raise ValidationError(_("The file is no text in UTF-8.")) from None

    def find(self, assistant_id: int | None) -> bool:
        """Look for the questions; False, with an error, where there are none or they cannot be read."""
        source = self.cleaned_data["source"]
        try:
            if source == "typed":
                self.questions = of_text(self.cleaned_data.get("typed") or self.cleaned_data.get("file") or "")
            else:
                conversations = self._conversations(source, assistant_id)
                self.questions = of_conversations(conversations, every=self.cleaned_data["every"])
        except ValidationError as error:
            self.add_error("typed", error)
            return False
        if not self.questions:
            self.add_error("typed" if source == "typed" else "source", gettext("There are no such questions."))
        elif of_others(self.questions, self.person) and len(self.cleaned_data.get("reason", "")) < LEAST_REASON:
            self.add_error("reason", gettext("Say in a few words why: some of these conversations are other people's."))
            return False
        return bool(self.questions)

    def _conversations(self, source: str, assistant_id: int | None) -> list[Conversation]:
        found = readable(self.person).exclude(leaf=None)
        if source == "selected":
            return list(found.filter(pk__in=self.chosen).order_by("-updated_at"))
        if self.cleaned_data["whose"] == "own":
            found = found.filter(owner=self.person)
        if assistant_id:
            found = found.filter(assistant=assistant_id)
        if source == "disliked":
            found = found.filter(messages__feedback__value__lt=0).distinct()
        number = self.cleaned_data.get("number") or 20
        return list(found.order_by("-updated_at")[:number])


class SettingsForm(forms.Form):
    """The assistant that may be changed, and the one whose settings are tried on it."""

    assistant = forms.ModelChoiceField(
        Assistant.objects.all(), label=_("Assistant"), help_text=_("The one that you think of changing.")
    )
    candidate = forms.ModelChoiceField(
        Assistant.objects.all(),
        label=_("Try the settings of"),
        help_text=_(
            "To try other settings, change the form of the assistant, and choose “Rehearse this change” there."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for name in ("assistant", "candidate"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = Assistant.objects.filter(backend__in=list(chat_backends))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("assistant") and cleaned.get("assistant") == cleaned.get("candidate"):
            self.add_error("candidate", _("Choose another one: these settings it has already."))
        return cleaned


def conversation_ids(text: str) -> list[uuid.UUID]:
    """Return the ids in a list with commas; what is none is left out."""
    found = []
    for one in text.split(",")[:MOST_CONVERSATIONS]:
        try:
            found.append(uuid.UUID(one.strip()))
        except ValueError:
            continue
    return found
