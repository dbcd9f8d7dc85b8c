"""Who uses the sites of these tests."""

from __future__ import annotations


def prepare() -> None:
    """Make the tables, Alice and an assistant for each backend; print the key of a session of hers."""
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from chat.models import Assistant, User

    call_command("migrate", verbosity=0)
    for alias in settings.CHAT_BACKENDS:
        Assistant.objects.create(name=alias.title(), slug=alias, backend=alias)
    client = Client()
    client.force_login(User.objects.create_superuser("alice", "alice@example.org", settings.SECRET_KEY[:20]))
    print(client.cookies["sessionid"].value)
