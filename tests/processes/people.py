"""``python -m tests.processes.people 3`` makes an assistant and three people who are signed in; prints them as JSON."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

from chat.models import Assistant, User  # noqa: E402

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"

Assistant.objects.create(name="Steady", slug="steady", backend="steady", order=0)
people = []
for number in range(int(sys.argv[1])):
    user = User(username=f"person{number}")
    user.set_unusable_password()
    user.save()
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    people.append({"pk": user.pk, "session": session.session_key})
print(json.dumps(people))
