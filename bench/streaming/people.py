"""Make the people who read: ``python -m bench.streaming.people COUNT`` prints one ``[session, conversation]`` each.

A process of its own, so that the one that measures stays small and has no Django in it.
"""

from __future__ import annotations

import json
import sys
import uuid


def main(count: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import transaction

    from chat.models import Assistant

    call_command("migrate", verbosity=0)
    with transaction.atomic():
        assistants = {
            slug: Assistant.objects.get_or_create(slug=slug, defaults={"name": slug, "backend": slug})[0]
            for slug in ("paced", "upstream")
        }
        people = [_make_person(f"bench-{uuid.uuid4().hex[:12]}", assistants["paced"]) for _ in range(count)]
    print(json.dumps(people))


def _make_person(name: str, assistant: object) -> tuple[str, str]:
    from django.test import Client

    from chat.models import Conversation, User

    user = User.objects.create_user(name)
    conversation = Conversation.objects.create(owner=user, title="Bench", assistant=assistant)
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value, str(conversation.pk)


if __name__ == "__main__":
    main(int(sys.argv[1]))
