"""Three months of an office that uses the site, for pictures and tests: ``python -m bench.office``."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.models import Assistant, UsageRecord, User

NAMES = ("ada", "grace", "서연", "barbara", "margaret", "donald", "민준", "ken", "radia", "linus", "alan", "지우")
DAYS = 90
ENDS = (
    *[("completed", "stop", "")] * 60,
    *[("incomplete", "length", "")] * 3,
    *[("cancelled", "", "")] * 3,
    ("failed", "", "rate_limited"),
    ("failed", "", "backend_unavailable"),
    ("failed", "", "context_length_exceeded"),
)
COMMENTS = (
    "The dates are wrong: the release is in March.",
    "It forgot the second file.",
    "너무 길어요. 한 문단이면 충분합니다.",
    "The SQL does not run on SQLite.",
)


def furnish(seed: int = 6) -> None:
    """Store people, what they used for three months, quotas that are nearly used up, and what they think."""
    from chat import rollups
    from chat.models import Assistant, UsageRecord, User

    chance = random.Random(seed)
    people = [User.objects.get_or_create(username=name)[0] for name in NAMES]
    assistants = list(Assistant.objects.filter(is_active=True))
    records = list(make_records(chance, people, assistants))
    UsageRecord.objects.bulk_create(records, batch_size=500)
    rollups.add(records)
    _use_up_quotas(people)
    _rate(people, assistants)


def make_records(
    chance: random.Random, people: Sequence[User], assistants: Sequence[Assistant]
) -> Iterator[UsageRecord]:
    """Yield records of the last months: less at night and on weekends, and more from month to month."""
    from django.utils import timezone

    now = timezone.now()
    for back in range(DAYS * 24):
        at = now - timedelta(hours=back, minutes=chance.randrange(50))
        local = timezone.localtime(at)
        busy = (1 - back / (DAYS * 26)) * (0.25 if local.weekday() > 4 else 1) * (1.6 if 7 < local.hour < 19 else 0.5)
        for _answer in range(round(busy * chance.uniform(0.5, 4.5))):
            yield _record(chance, at, people, assistants)


def _record(
    chance: random.Random, at: datetime, people: Sequence[User], assistants: Sequence[Assistant]
) -> UsageRecord:
    from chat.models import UsageRecord

    place = min(int(chance.expovariate(0.28)), len(people) - 1)
    number = min(int(chance.expovariate(0.9)), len(assistants) - 1)
    assistant, person = assistants[number], people[place]
    outcome, reason, code = chance.choice(ENDS)
    asked, written = (0, 0) if outcome == "failed" else (chance.randrange(100, 4000), chance.randrange(20, 900))
    first = round(chance.lognormvariate(5.9 + number * 0.25, 0.5))
    return UsageRecord(
        at=at,
        user_id=person.pk,
        username=person.username,
        assistant_id=assistant.pk,
        assistant_name=assistant.name,
        backend=assistant.backend,
        model=assistant.model,
        generation_id=chance.randrange(10**9),
        conversation_id=uuid.UUID(int=chance.getrandbits(128), version=4),
        input_tokens=asked,
        output_tokens=written,
        cost=Decimal(asked * 25 + written * 100) / 10_000_000 * (number + 1),
        waited_ms=chance.randrange(4, 30),
        first_text_ms=None if outcome == "failed" else first,
        duration_ms=first + written * 20,
        outcome=outcome,
        finish_reason=reason,
        error_code=code,
    )


def _use_up_quotas(people: Sequence[User]) -> None:
    from django.utils import timezone

    from chat.models import Quota, QuotaCounter

    used_up = (("tokens", 200_000, "day", 0.98), ("tokens", 150_000, "day", 0.91), ("cost", 20, "month", 0.8))
    for person, (metric, limit, period, share) in zip(people[2:], used_up, strict=False):
        rule = Quota.objects.create(user=person, metric=metric, limit=limit, period=period)
        used = round(Decimal(limit * share), 2)
        QuotaCounter.objects.create(quota=rule, person=person.pk, starts_at=rule.bucket(timezone.now()), used=used)


def _rate(people: Sequence[User], assistants: Sequence[Assistant]) -> None:
    """Thirty answers that are good, and a few that are not."""
    from django.utils import timezone

    from chat.models import Conversation, Feedback, Generation, Message

    now = timezone.now()
    for number in range(34):
        person, assistant = people[number % len(people)], assistants[number % len(assistants)]
        at = now - timedelta(hours=7 * number)
        conversation = Conversation.objects.create(owner=person, title=f"Question {number}", assistant=assistant)
        answer = Message.objects.create(conversation=conversation, role="assistant", content="An answer.")
        times = dict.fromkeys(("queued_at", "started_at", "first_delta_at", "finished_at"), at)
        Generation.objects.create(
            message=answer,
            assistant=assistant,
            assistant_name=assistant.name,
            backend=assistant.backend,
            status="completed",
            **times,
        )
        bad = number % 7 == 2
        comment = COMMENTS[number // 7 % len(COMMENTS)] if bad else ""
        Feedback.objects.create(
            message=answer, person=person, value=-1 if bad else 1, comment=comment, created_at=at, updated_at=at
        )


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    furnish()


if __name__ == "__main__":
    main()
