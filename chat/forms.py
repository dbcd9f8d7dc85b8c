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
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from chat.feedback import Opinion
from chat.generation import Question
from chat.models import REASONS, Assistant, Conversation, Folder, Rating, Reason, User
from chat.organising import MOST_FOLDERS, folder_named
from chat.parameters import PARAMETERS, Values
from chat.storable import storable


class ParametersForm(forms.Form):
    """What people may change of an assistant's parameters; an empty field is the assistant's own value.

    A field that the assistant does not allow, or that was not sent, keeps what the conversation remembers. So nobody
    can change what an administrator has not allowed, and another assistant's values come back with it.
    """

    def __init__(self, data: Any = None, *, assistant: Assistant | None, remembered: Values, **kwargs: Any) -> None:
        allowed = assistant.adjustable if assistant else []
        shown = assistant.parameters(remembered) if assistant else {}
        # As they would be used: a greater length than may be chosen today is not offered to be refused.
        initial = remembered | {name: shown[name] for name in allowed if name in remembered}
        super().__init__(data, initial=initial, auto_id="parameter-%s", label_suffix="", **kwargs)
        for name in PARAMETERS:
            field = _field(name, assistant)
            field.disabled = name not in allowed or (data is not None and name not in data)
            if field.disabled:
                field.validators = []  # remembered from an assistant with other bounds, perhaps
            self.fields[name] = field

    def clean(self) -> Values:
        """Return what differs from the assistant's values."""
        return {name: value for name, value in self.cleaned_data.items() if value is not None}


def _field(name: str, assistant: Assistant | None) -> forms.Field:
    parameter = PARAMETERS[name]
    least, most = assistant.bounds(name) if assistant else (parameter.minimum, parameter.maximum)
    field: forms.Field = _NUMBERS[parameter.kind](
        required=False, min_value=least, max_value=most, label=parameter.label, help_text=parameter.help
    )
    # With the name: people read them beside the message field.
    field.error_messages = {
        "invalid": _("%s: enter a number.") % parameter.label,
        "min_value": _("%(name)s: at least %(least)s.") % {"name": parameter.label, "least": least},
        "max_value": _("%(name)s: at most %(most)s.") % {"name": parameter.label, "most": most},
    }
    field.widget.attrs |= {"step": "0.01" if parameter.kind == "decimal" else "1", "autocomplete": "off"}
    return field


_NUMBERS: dict[str, Any] = {"decimal": forms.FloatField, "whole": forms.IntegerField}


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
        label=_("Assistant"),
        to_field_name="slug",
        empty_label=None,
        error_messages={"invalid_choice": _("This assistant is not there any more. Choose another one.")},
    )

    def __init__(
        self, *args: Any, assistants: QuerySet[Assistant], conversation: Conversation | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.remembered: Values = conversation.parameters if conversation else {}
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

    def clean(self) -> dict[str, Any]:
        """Add what was changed of the assistant's parameters."""
        if assistant := self.cleaned_data.get("assistant"):
            changed = self.panel(assistant)
            self.errors.update(changed.errors)
            self.cleaned_data["parameters"] = changed.cleaned_data
        return self.cleaned_data

    def panel(self, assistant: Assistant | None) -> ParametersForm:
        """Return the part of this form that has the parameters of this assistant."""
        data = self.data if self.is_bound else None
        return ParametersForm(data, assistant=assistant, remembered=self.remembered)

    def renew_key(self) -> None:
        """Let what was sent be sent again as another message."""
        self.data = {**self.data, "content": self.data["content"], "key": str(uuid.uuid4())}

    def question(self) -> Question:
        """Return what was sent; the form is valid."""
        data = self.cleaned_data
        return Question(
            content=data["content"], assistant=data["assistant"], key=data["key"], parameters=data["parameters"]
        )


class FeedbackForm(forms.Form):
    """What a person thinks of an answer: a thumb alone, or with reasons and a comment."""

    value = forms.TypedChoiceField(choices=Rating.choices, coerce=int, widget=forms.HiddenInput)
    reasons = forms.MultipleChoiceField(
        label=_("Why?"), choices=Reason.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    comment = forms.CharField(
        label=_("Comment"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    shares_exchange = forms.BooleanField(
        label=_("Administrators may read this conversation up to this answer"), required=False
    )

    def __init__(self, *args: Any, value: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reasons = self.fields["reasons"]
        assert isinstance(reasons, forms.MultipleChoiceField)
        reasons.choices = [(reason.value, reason.label) for reason in REASONS[value]]

    def clean_comment(self) -> str:
        return storable(unicodedata.normalize("NFC", self.cleaned_data["comment"]))

    def opinion(self) -> Opinion:
        """Return what was sent; the form is valid. A thumb says nothing of reasons and comment."""
        data = self.cleaned_data
        if "comment" not in self.data:
            return Opinion(value=data["value"])
        return Opinion(**{name: data[name] for name in ("value", "reasons", "comment", "shares_exchange")})


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


class FolderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A folder's name and colour."""

    class Meta:
        model = Folder
        fields = ["name", "colour"]
        widgets = {"colour": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["colour"].required = False

    def clean_name(self) -> str:
        return clean_folder_name(self.cleaned_data["name"])

    def clean_colour(self) -> str:
        return str(self.cleaned_data["colour"] or self.instance.colour)

    def clean(self) -> dict[str, Any]:
        owner, name = self.instance.owner, self.cleaned_data.get("name")
        if Folder.objects.owned_by(owner).filter(name=name).exclude(pk=self.instance.pk).exists():
            self.add_error("name", _("You have a folder of this name already."))
        if self.instance.pk is None:
            check_room_for_folder(owner)
        return self.cleaned_data


def clean_folder_name(name: str) -> str:
    return storable(unicodedata.normalize("NFC", " ".join(name.split())))


def check_room_for_folder(owner: User) -> None:
    """Refuse one folder more than a person may have.

    Raises:
        ValidationError: with the reason in words.
    """
    if Folder.objects.owned_by(owner).count() >= MOST_FOLDERS:
        raise forms.ValidationError(
            _("You have %(limit)s folders; that is the most."), params={"limit": str(MOST_FOLDERS)}
        )


class ChangeForm(forms.Form):
    """What is to be done to which conversations."""

    ACTIONS = ("pin", "unpin", "archive", "unarchive", "move", "delete", "restore")
    MOST = 1000
    """How many conversations one request may change."""

    action = forms.ChoiceField(
        choices=[(action, action) for action in ACTIONS],
        error_messages={"required": _("Choose what to do."), "invalid_choice": _("Choose what to do.")},
    )
    folder = forms.ModelChoiceField(
        Folder.objects.none(),
        required=False,
        error_messages={"invalid_choice": _("This folder is not there any more. Choose another one.")},
    )
    new_folder = forms.CharField(required=False, max_length=50, label=_("New folder"))

    def __init__(self, data: QueryDict, *, owner: User) -> None:
        self.owner = owner
        # One button restores one row of a page whose other buttons are for those that are ticked.
        restored = data.getlist("restore")
        self._ids = restored or [pk for part in data.getlist("conversation") for pk in part.split(",")]
        super().__init__({**data.dict(), "action": "restore"} if restored else data)
        folder = self.fields["folder"]
        assert isinstance(folder, forms.ModelChoiceField)
        folder.queryset = Folder.objects.owned_by(owner)

    def clean_new_folder(self) -> str:
        """Return the name of a folder that there is room for."""
        name = clean_folder_name(self.cleaned_data["new_folder"])
        if name and not Folder.objects.owned_by(self.owner).filter(name=name).exists():
            check_room_for_folder(self.owner)
        return name

    def clean(self) -> dict[str, Any]:
        try:
            chosen = list(dict.fromkeys(uuid.UUID(pk) for pk in self._ids))
        except ValueError:
            chosen = []
        if not chosen:
            raise forms.ValidationError(_("Choose at least one conversation."))
        if len(chosen) > self.MOST:
            raise forms.ValidationError(
                _("Choose at most %(limit)s conversations at once."), params={"limit": str(self.MOST)}
            )
        return {**self.cleaned_data, "conversation": chosen}

    def chosen_folder(self) -> Folder | None:
        """Return the folder to move to, made if it has a new name; None for out of all. The form is valid."""
        if name := self.cleaned_data["new_folder"]:
            return folder_named(self.owner, name)
        folder: Folder | None = self.cleaned_data["folder"]
        return folder


class OwnerForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """The account of the one who runs the site."""

    class Meta:
        model = User
        fields = ["username", "email"]

    def save(self, commit: bool = True) -> User:
        self.instance.is_staff = self.instance.is_superuser = True
        owner: User = super().save(commit)
        return owner
