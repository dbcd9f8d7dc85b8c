"""Who may make an account: a page of its own, because it is one thing and the settings may pin parts of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from chat import audit
from chat.admin.common import actor_of
from chat.admin_site import page
from chat.models import SignupMode, SignupPolicy
from chat.people import rights, signup
from chat.people.signup import Policy

FIELDS = ("mode", "domains", "verifies_email", "closed_text")


class DomainsField(forms.CharField):
    """Domains, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else (value or "").splitlines()
        return [line.strip() for line in lines if line.strip()]


class PolicyForm(forms.Form):
    """What holds, with what the settings pin for reading only."""

    mode = forms.ChoiceField(label=_("Who may make an account"), choices=SignupMode.choices, widget=forms.RadioSelect)
    domains = DomainsField(
        label=_("Domains"), required=False, help_text=_("Of e-mail addresses, one a line, such as example.org.")
    )
    verifies_email = forms.BooleanField(
        label=_("E-mail addresses must be verified"),
        required=False,
        help_text=_("New people can sign in once they opened the link in a mail. With domains this is always so."),
    )
    groups = forms.ModelMultipleChoiceField(
        Group.objects.none(),
        label=_("Groups of new people"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Whoever signs up is a member from the start."),
    )
    closed_text = forms.CharField(
        label=_("What is told who may not sign up"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("For instance whom to ask for an account. Empty for the usual words."),
    )

    def __init__(self, data: Any, *, policy: Policy, groups: Any) -> None:
        initial = {name: getattr(policy, name) for name in FIELDS}
        initial |= {"domains": list(policy.domains), "groups": [group.pk for group in policy.groups]}
        super().__init__(data, initial=initial)
        chosen = self.fields["groups"]
        assert isinstance(chosen, forms.ModelMultipleChoiceField)
        chosen.queryset = groups
        for name, variable in policy.pinned.items():
            self.fields[name].disabled = True
            self.fields[name].help_text = _("Set by %(variable)s in the settings.") % {"variable": variable}

    def clean_domains(self) -> list[str]:
        return list(dict.fromkeys(signup.check_domain(domain) for domain in self.cleaned_data["domains"]))

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("mode") == SignupMode.DOMAIN and not self.cleaned_data.get("domains"):
            self.add_error("domains", _("Name at least one domain."))
        return self.cleaned_data


@page("signup/", permission="chat.change_signuppolicy", title=_("Sign-up"), place=4)
def signup_policy(request: HttpRequest) -> HttpResponseBase:
    """Show who may make an account, or change it."""
    policy = signup.policy()
    grantable = rights.grantable_groups(actor_of(request)).order_by("name")
    form = PolicyForm(request.POST if request.method == "POST" else None, policy=policy, groups=grantable)
    if request.method == "POST" and form.is_valid():
        _store(request, form, policy)
        messages.success(request, _("Saved."))
        return redirect("admin:signup_policy")
    context = {
        **admin.site.each_context(request),
        "title": _("Sign-up"),
        "form": form,
        "lacks_mail": policy.verifies_email and not signup.has_mail(),
    }
    return TemplateResponse(request, "admin/chat/signup.html", context, status=422 if form.errors else 200)


def _store(request: HttpRequest, form: PolicyForm, policy: Policy) -> None:
    row: SignupPolicy = signup.stored()
    changed = [name for name in FIELDS if name not in policy.pinned and name in form.changed_data]
    for name in changed:
        setattr(row, name, form.cleaned_data[name])
    with transaction.atomic():
        signup.store(row)
        # Those that this administrator may not give stay as they are.
        kept = row.groups.exclude(pk__in=rights.grantable_groups(actor_of(request)).values("pk"))
        row.groups.set([*kept, *form.cleaned_data["groups"]])
        if form.changed_data:
            audit.append("signup.changed", actor_of(request), fields=sorted(form.changed_data))
