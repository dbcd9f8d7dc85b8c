"""The people who may sign in."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """Somebody with an account. A class of our own from the first migration, because it cannot be swapped in later."""

    class Meta(AbstractUser.Meta):
        permissions = [("view_others_conversations", _("Can read conversations of other people in the admin"))]
