"""Conversations that look like a week at work, for pictures: ``python -m bench.demo NAME`` prints their paths."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chat.models import User


class Talk(NamedTuple):
    title: str
    days_ago: int
    assistant: str
    messages: tuple[str, ...]
    """A question, its answer, a question…"""
    is_pinned: bool = False


RETRIES = """Retry only what may be repeated, wait longer each time, and stop at some point:

```python
import asyncio
import random

async def fetch(client, url, attempts=5):
    for attempt in range(attempts):
        try:
            return await client.get(url)
        except TimeoutError:
            if attempt == attempts - 1:
                raise
            await asyncio.sleep(2**attempt + random.random())
```

The random part keeps many clients from coming back at the same moment."""

COMPARISON = """Both work well for a queue. What differs is what you have to run:

| | PostgreSQL | Redis |
| --- | --- | --- |
| Survives a crash | yes | with `appendfsync` |
| Jobs per second | thousands | tens of thousands |
| One more service | no | yes |

**Start with the database that you have.** Move to Redis when a measurement says so, not before."""

MEETING = """다음 주 회의 안건을 정리했습니다.

1. **지난주 결과**: 응답 시간이 420 ms에서 180 ms로 줄었습니다.
2. **남은 일**: 검색 색인을 다시 만들고, 오류 알림을 켭니다.
3. **결정할 것**: 배포를 수요일로 옮길지 정해야 합니다.

회의는 30분이면 충분합니다. 자료는 하루 전에 보내 주세요."""

QUESTIONS = (
    ("Which queue should a small team take, PostgreSQL or Redis?", COMPARISON),
    ("Name three dark greens.", "*Pine*, *moss* and *fern*."),
    ("And how do I retry a request that timed out?", RETRIES),
    ("다음 주 회의 안건을 짧게 정리해 줘.", MEETING),
    ("How do I undo the last commit, but keep my changes?", "`git reset --soft HEAD~1` keeps them, ready to commit."),
)
LONG = "Questions of a year"

TALKS = (
    # First, so that its messages have ids that a picture can name.
    Talk(LONG, 3, "openai", tuple(text for number in range(60) for text in QUESTIONS[number % len(QUESTIONS)])),
    Talk(
        "Retry a request",
        0,
        "openai",
        (
            *QUESTIONS[0],
            *QUESTIONS[2],
        ),
    ),
    Talk("회의 안건 정리", 0, "openai", QUESTIONS[3]),
    Talk(
        "Release checklist",
        2,
        "openai",
        ("Write a release checklist.", "1. Run `make check`.\n2. Tag it."),
        is_pinned=True,
    ),
    Talk("How do I set an OpenAI key?", 1, "guide", ("How do I set an OpenAI key?", "Put it into the file `.env`.")),
    Talk("사용 설명서 번역", 1, "openai", ("이 문장을 번역해 줘.", "네, 문장을 보내 주세요.")),
    Talk("Names for a colour palette", 4, "openai", ("Name a dark green.", "*Pine*, *moss* or *fern*.")),
    Talk("SQL: newest row of each group", 5, "openai", ("How?", "With `row_number() over (partition by …)`.")),
    Talk("Tell me about the sea", 9, "gpt2", ("Tell me about the sea.", "The sea is wide and the wind goes over it.")),
)


def store(owner: User) -> dict[str, str]:
    """Store the conversations as this person's; return their paths by title."""
    from django.utils import timezone

    from chat.models import Assistant, Conversation, Generation, Message

    assistants = {assistant.slug: assistant for assistant in Assistant.objects.all()}
    paths = {}
    for number, talk in enumerate(TALKS):
        when = timezone.now() - timedelta(days=talk.days_ago, minutes=number)
        assistant = assistants[talk.assistant]
        conversation = Conversation.objects.create(
            owner=owner,
            title=talk.title,
            assistant=assistant,
            is_pinned=talk.is_pinned,
            created_at=when,
            updated_at=when,
        )
        for place, text in enumerate(talk.messages):
            conversation.leaf = Message.objects.create(
                conversation=conversation,
                parent=conversation.leaf,
                role=("user", "assistant")[place % 2],
                content=text,
                created_at=when,
            )
            if place % 2:
                Generation.objects.create(
                    message=conversation.leaf,
                    status="completed",
                    finish_reason="stop",
                    assistant=assistant,
                    assistant_name=assistant.name,
                    backend=assistant.backend,
                    model="gpt-4o-mini" if talk.assistant == "openai" else "",
                    input_tokens=40 * (place + 1),
                    output_tokens=len(text) // 4,
                    queued_at=when,
                    started_at=when,
                    first_delta_at=when + timedelta(seconds=0.4),
                    finished_at=when + timedelta(seconds=0.4 + len(text) / 400),
                )
        conversation.save()
        paths[talk.title] = conversation.get_absolute_url()
    return paths


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    from chat.models import User

    print(json.dumps(store(User.objects.get(username=sys.argv[1]))))


if __name__ == "__main__":
    main()
