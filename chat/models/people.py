"""The people who may sign in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """Somebody with an account. A class of our own from the first migration, because it cannot be swapped in later."""

    sessions_ended = models.PositiveIntegerField(default=0, editable=False)
    """How often all sessions of this person were ended at once; a session knows the number from its beginning."""
    must_verify_email = models.BooleanField(_("must verify their e-mail address"), default=False, editable=False)
    """They signed up where addresses must be verified: until one of theirs is, they cannot sign in."""
    has_new_looks = models.BooleanField(default=False, editable=False)
    """Somebody else did something with what is theirs since they last read who did; see ``chat.people.oversight``."""

    class Meta(AbstractUser.Meta):
        permissions = [("view_others_conversations", _("Can read conversations of other people in the admin"))]

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        """Return what a session must know to be one of this person's: other than before once all were ended."""
        own: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        if not self.sessions_ended:
            return own
        key, value = "chat.models.people.User", f"{own}:{self.sessions_ended}"
        return salted_hmac(key, value, secret=secret, algorithm="sha256").hexdigest()
