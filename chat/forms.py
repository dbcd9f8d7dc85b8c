"""What people send us, checked."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import BaseUserCreationForm
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from chat.generation import Question
from chat.models import Assistant, Conversation, User
from chat.storable import storable


class QuestionForm(forms.Form):
    """A message for an assistant."""

    content = forms.CharField(
        label=_("Message"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 1}),
        error_messages={"required": _("Write a message first.")},
    )
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    assistant = forms.ModelChoiceField(
        Assistant.objects.none(),
        to_field_name="slug",
        empty_label=None,
        error_messages={"invalid_choice": _("This assistant is not there any more. Choose another one.")},
    )

    def __init__(self, *args: Any, assistants: QuerySet[Assistant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["assistant"]
        assert isinstance(chosen, forms.ModelChoiceField)
        chosen.queryset = assistants

    def clean_content(self) -> str:
        """Return the text in NFC with plain newlines, so that a search finds it however it was typed."""
        content = unicodedata.normalize("NFC", self.cleaned_data["content"])
        content = storable(content.replace("\r\n", "\n").replace("\r", "\n")).strip()
        if not content:
            raise forms.ValidationError(self.fields["content"].error_messages["required"])
        if len(content) > settings.CHAT_MAX_MESSAGE_LENGTH:
            raise forms.ValidationError(
                _("Your message has %(length)s characters; %(limit)s are the most that one may have."),
                params={"length": f"{len(content):,}", "limit": f"{settings.CHAT_MAX_MESSAGE_LENGTH:,}"},
            )
        return content

    def renew_key(self) -> None:
        """Let what was sent be sent again as another message."""
        self.data = {**self.data, "content": self.data["content"], "key": str(uuid.uuid4())}

    def question(self) -> Question:
        """Return what was sent; the form is valid."""
        data = self.cleaned_data
        return Question(content=data["content"], assistant=data["assistant"], key=data["key"])


class TitleForm(forms.ModelForm):  # type: ignore[type-arg]  # subscripts exist in the stubs only
    """A new title for a conversation."""

    class Meta:
        model = Conversation
        fields = ["title"]

    def clean_title(self) -> str:
        return storable(unicodedata.normalize("NFC", self.cleaned_data["title"]))


class ShareForm(forms.Form):
    """How long a shared link lasts."""

    lasts = forms.TypedChoiceField(
        label=_("The link opens"),
        choices=[
            ("", _("until you revoke it")),
            ("1", _("for 1 day")),
            ("7", _("for 7 days")),
            ("30", _("for 30 days")),
        ],
        coerce=lambda days: timedelta(days=int(days)),
        empty_value=None,
        required=False,
    )


class UploadForm(forms.Form):
    """A file with conversations."""

    file = forms.FileField(
        label=_("File"),
        widget=forms.FileInput(attrs={"accept": ".json,.zip,application/json,application/zip"}),
        error_messages={"required": _("Choose a file first."), "empty": _("The file is empty.")},
    )

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.CHAT_IMPORT_MAX_MB * 1_000_000:
            raise forms.ValidationError(
                _("The file has %(size)s MB; %(limit)s MB are the most that an import may have."),
                params={"size": f"{(file.size or 0) / 1_000_000:,.0f}", "limit": f"{settings.CHAT_IMPORT_MAX_MB:,}"},
            )
        return file


class OwnerForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """The account of the one who runs the site."""

    class Meta:
        model = User
        fields = ["username", "email"]

    def save(self, commit: bool = True) -> User:
        self.instance.is_staff = self.instance.is_superuser = True
        owner: User = super().save(commit)
        return owner
