"""What an administrator says of whom to invite."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.models import Invitation, User
from chat.people.invitations import Offer

MOST = 200
"""Addresses at once: the mails are sent while the administrator waits."""
_NAMED = re.compile(r"<([^<>]*)>")


class InviteForm(forms.Form):
    """Addresses, or none for a link that anybody may use."""

    addresses = forms.CharField(
        label=_("E-mail addresses"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("One or many, with commas or on lines of their own. Empty for a link that anybody can use."),
    )
    mails = forms.BooleanField(label=_("Send the links by mail"), required=False)
    uses = forms.IntegerField(
        label=_("How often the link can be used"),
        min_value=1,
        max_value=10_000,
        initial=1,
        help_text=_("Of a link without an address. One for an address works once."),
    )
    days = forms.TypedChoiceField(
        label=_("Works for"),
        choices=[(1, _("1 day")), (7, _("7 days")), (30, _("30 days")), (90, _("90 days"))],
        coerce=int,
        initial=7,
    )
    groups = forms.ModelMultipleChoiceField(
        Group.objects.none(), label=_("Groups"), required=False, widget=forms.CheckboxSelectMultiple
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=200, help_text=_("For administrators."))

    def __init__(self, *args: Any, groups: QuerySet[Group], can_mail: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skipped: list[tuple[str, str | Promise]] = []
        """Addresses that get no invitation, and why."""
        chosen, mails = self.fields["groups"], self.fields["mails"]
        assert isinstance(chosen, forms.ModelMultipleChoiceField)
        chosen.queryset = groups
        mails.initial, mails.disabled = can_mail, not can_mail
        if not can_mail:
            mails.help_text = _("No mail is set up (EMAIL_URL). You are shown the links and can hand them out.")

    def clean_addresses(self) -> list[str]:
        """Return the addresses to invite, each once; those that need no invitation are left out."""
        given = addresses_in(self.cleaned_data["addresses"])
        wrong = [address for address in given if not _is_address(address)]
        if wrong:
            raise forms.ValidationError(
                _("These are no e-mail addresses: %(wrong)s"), params={"wrong": ", ".join(wrong[:10])}
            )
        if len(given) > MOST:
            raise forms.ValidationError(_("At most %(most)s addresses at once."), params={"most": MOST})
        known = _lower_case_emails(User.objects.all(), given)
        invited = _lower_case_emails(Invitation.objects.open(), given) - known
        self.skipped = [(address, _("has an account")) for address in given if address in known]
        self.skipped += [
            (address, _("has an open invitation; send that again")) for address in given if address in invited
        ]
        left = [address for address in given if address not in known | invited]
        if given and not left:
            raise forms.ValidationError(_("All of them have an account or an open invitation."))
        return left

    def offers(self) -> list[Offer]:
        """Return what to make; the form is valid."""
        data = self.cleaned_data
        common = {"groups": list(data["groups"]), "lasts": timedelta(days=data["days"]), "note": data["note"]}
        if not data["addresses"]:
            return [Offer(uses=data["uses"], **common)]
        return [Offer(email=address, **common) for address in data["addresses"]]


def addresses_in(text: str) -> list[str]:
    """Return the addresses of a pasted text in lower case, each once; of “Ann <ann@example.org>” what is in the <>."""
    found: list[str] = []
    for entry in re.split(r"[,;\n\r]+", text):
        found += _NAMED.findall(entry) or entry.split()
    return list(dict.fromkeys(address.strip().lower() for address in found if address.strip()))


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def _lower_case_emails(rows: QuerySet[Any], addresses: list[str]) -> set[str]:
    found = rows.annotate(lower_email=Lower("email")).filter(lower_email__in=addresses)
    return set(found.values_list("lower_email", flat=True))
