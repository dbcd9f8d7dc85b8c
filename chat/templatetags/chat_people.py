"""What pages about accounts ask for."""

from __future__ import annotations

from django import template

from chat.models import SignupMode
from chat.people import signup
from chat.people.signup import Policy

register = template.Library()


@register.simple_tag
def signup_policy() -> Policy:
    """Return who may make an account."""
    return signup.policy()


@register.simple_tag
def is_signup_open() -> bool:
    """Tell whether who has no invitation may make an account."""
    return signup.policy().mode in {SignupMode.OPEN, SignupMode.DOMAIN}
