"""Put a long conversation into the database: ``python -m bench.page.fill NAME 2000 2000000`` prints its path."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bench.page.content import dialogue

if TYPE_CHECKING:
    from chat.models import Conversation, User


def fill(owner: User, messages: int, size: int) -> Conversation:
    """Store a conversation with so many messages of about so many bytes in all, and return it."""
    from django.db import transaction
    from django.db.models import F

    from chat.models import Assistant, Conversation, Generation, Message

    assistant = Assistant.objects.earliest("order", "pk")
    with transaction.atomic():
        conversation = Conversation.objects.create(owner=owner, title="A long conversation", assistant=assistant)
        stored = Message.objects.bulk_create(
            Message(conversation=conversation, role=("user", "assistant")[number % 2], content=text)
            for number, text in enumerate(dialogue(messages, size))
        )
        # Their ids follow each other: nobody else writes into a database that is made for this.
        conversation.messages.filter(pk__gt=stored[0].pk).update(parent_id=F("pk") - 1)
        Generation.objects.bulk_create(
            Generation(
                message=message,
                status="completed",
                finish_reason="stop",
                assistant=assistant,
                assistant_name=assistant.name,
                backend=assistant.backend,
                output_tokens=len(message.content) // 4,
            )
            for message in stored[1::2]
        )
        conversation.leaf = stored[-1]
        conversation.save()
    return conversation


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.page.settings")
    django.setup()
    from chat.models import User

    name, messages, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(fill(User.objects.get(username=name), messages, size).get_absolute_url())


if __name__ == "__main__":
    main()
