"""A site with one person who has many messages, and several who have some."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import connection

from bench.search.texts import Writer
from chat import search
from chat.models import Conversation, Message, Role, User

LENGTH = 20
"""Messages of a conversation."""
OTHERS = 5
"""People who have a fiftieth of that each."""


class Site:
    """Fills the database, and searches it."""

    def __init__(self, count: int) -> None:
        self._writer = Writer()
        people = User.objects.bulk_create(User(username=f"person-{number}") for number in range(1 + OTHERS))
        self.owner = people[0]
        self.messages = self.text_bytes = 0
        for at in range(count // LENGTH):
            self._fill(self.owner)
            if at % 10 == 0:  # between the others', as they come
                self._fill(people[1 + at // 10 % OTHERS])

    def _fill(self, owner: User) -> None:
        conversation = Conversation.objects.create(owner=owner, title=self._writer.title())
        rows = [
            Message(
                conversation=conversation,
                role=Role.ASSISTANT if number % 2 else Role.USER,
                content=self._writer.message(),
            )
            for number in range(LENGTH)
        ]
        self.messages += LENGTH
        self.text_bytes += sum(len(row.content.encode()) for row in rows)
        Message.objects.bulk_create(rows)

    def size(self) -> int:
        """Return the bytes of the database."""
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_database_size(current_database())")
                return cursor.fetchone()[0]
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            return cursor.fetchone()[0]

    def enter_alone(self, count: int) -> list[float]:
        """Store messages one by one; return the seconds that entering each in the index took."""
        conversation = Conversation.objects.create(owner=self.owner, title="One by one")
        seconds = []
        for _ in range(count):
            message = Message.objects.create(conversation=conversation, role=Role.USER, content=self._writer.message())
            began = time.perf_counter()
            search.add_messages([message])
            seconds.append(time.perf_counter() - began)
        return seconds

    def searches(self, text: str) -> Callable[[], int]:
        query = search.Query(text)
        return lambda: sum(len(group.hits) for group in search.find(self.owner, query).groups)

    def plain_search(self, text: str) -> Callable[[], int]:
        """Return what one would write first."""
        own = Message.objects.owned_by(self.owner).filter(content__icontains=text).order_by("-pk")
        return lambda: len(own.values_list("pk", flat=True)[:30])
