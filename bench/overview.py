"""How quick the administrator's pages are with a million answers: ``python -m bench.overview``.

A database is filled with usage records, generations and messages, then the first page of the admin, the page of usage,
the live board and the longest lists are asked for as a browser does: queries and milliseconds, the median of some
requests. ``--records`` for fewer, ``--postgresql`` for a server of its own beside SQLite.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import Any

PEOPLE, ASSISTANTS, DAYS = 500, 8, 180
ROUNDS = 15
PAGES = (
    "/admin/?range=24h",
    "/admin/?range=14d",
    "/admin/?range=90d",
    "/admin/usage/",
    "/admin/usage/?start={start}&end={end}",
    "/admin/usage/?start={start}&end={end}&assistant=3",
    "/admin/usage/?start={start}&end={end}&person=person-7",
    "/admin/live/",
    "/admin/chat/generation/",
    "/admin/chat/generation/?q=person-7",
    "/admin/chat/generation/?status__exact=failed",
    "/admin/chat/usagerecord/",
    "/admin/chat/conversation/",
    "/admin/chat/user/",
    "/admin/chat/auditentry/",
)
RUNNING = 200
"""Answers that are being written meanwhile."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.records, options.rounds)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    arguments = ["--here", "--records", str(options.records), "--rounds", str(options.rounds)]
    for database in ("SQLite", "PostgreSQL") if options.postgresql else ("SQLite",):
        print(f"\n{database}, {options.records:,} records", flush=True)
        run(database, arguments)


def run(database: str, arguments: Sequence[str]) -> None:
    """Measure in a process of its own, with a new database."""
    from tests.servers import postgresql

    with tempfile.TemporaryDirectory(prefix="bench-overview-") as folder:
        environment = os.environ | {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "bench.settings"}
        environment.pop("DATABASE_URL", None)
        server: Any = postgresql() if database == "PostgreSQL" else nullcontext((None, ""))
        with server as (_server, url):
            if url:
                environment["DATABASE_URL"] = url
            subprocess.run([sys.executable, "-m", "bench.overview", *arguments], env=environment, check=True)


def measure(records: int, rounds: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from chat.models import FirstTextRollUp, Generation, PersonRollUp, UsageRollUp, User

    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    fill(records)
    print(f"filled in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    call_command("rebuild_rollups")
    print(f"rebuild_rollups took {time.perf_counter() - began:.0f} s")
    for model in (UsageRollUp, PersonRollUp, FirstTextRollUp):
        print(f"{model.__name__}: {model.objects.count():,} rows")
    newest = Generation.objects.order_by("-pk").values_list("pk", flat=True)[:RUNNING]
    Generation.objects.filter(pk__in=list(newest)).update(status="in_progress", finished_at=None)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("admin"))
    measure_pages(client, rounds)
    measure_download(client)
    measure_writing()


def measure_pages(client: Any, rounds: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    today = timezone.localdate()
    days = {"start": today - timedelta(days=89), "end": today}
    print(f"\n{'page':56} {'queries':>7} {'ms':>7} {'ms, 95 %':>8}")
    for page in PAGES:
        address, times = page.format(**days), []
        client.get(address)
        for _round in range(rounds):
            with CaptureQueriesContext(connection) as queries:
                began = time.perf_counter()
                response = client.get(address)
                times.append((time.perf_counter() - began) * 1000)
            assert response.status_code == 200, response
        slowest = sorted(times)[-1 - len(times) // 20]
        print(f"{address:56} {len(queries):7} {statistics.median(times):7.0f} {slowest:8.0f}")


def measure_download(client: Any) -> None:
    """Read the file of all records of a month, and see what memory it takes."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    size = sum(map(len, client.get("/admin/usage/records.csv")))
    took = time.perf_counter() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\nCSV of 30 days: {size / 1e6:.0f} MB in {took:.1f} s, {more:.0f} MB more memory")


def measure_writing() -> None:
    """See what it costs to count an answer when it ends."""
    from django.db import transaction
    from django.utils import timezone

    from chat import rollups

    chance, times = random.Random(5), []
    for record in make_records(500, chance, timezone.now()):
        with transaction.atomic():
            began = time.perf_counter()
            rollups.add([record])
            times.append((time.perf_counter() - began) * 1000)
    print(f"counting one answer: {statistics.median(times):.2f} ms in its transaction")


def fill(records: int) -> None:
    """Store people, assistants, and so many answers with their records: some by the ORM, the rest made of these."""
    from django.utils import timezone

    from chat.models import Assistant, Conversation, Generation, Message, UsageRecord, User

    first = min(records, 20_000)
    User.objects.bulk_create(User(pk=1000 + number, username=f"person-{number}") for number in range(PEOPLE))
    for number in range(ASSISTANTS):
        Assistant.objects.create(pk=number + 1, name=f"Assistant {number}", slug=f"a{number}", backend="instant")
    conversations = [Conversation(owner_id=1000 + number, title=f"Of {number}") for number in range(PEOPLE)]
    Conversation.objects.bulk_create(conversations)
    made = list(make_records(first, random.Random(4), timezone.now()))
    UsageRecord.objects.bulk_create(made, batch_size=2_000)
    Message.objects.bulk_create(
        (
            Message(pk=pk, conversation=conversations[one.user_id - 1000], role="assistant", content="…")
            for pk, one in enumerate(made, 1)
        ),
        batch_size=2_000,
    )
    Generation.objects.bulk_create((_generation(pk, one) for pk, one in enumerate(made, 1)), batch_size=2_000)
    for copy in range(1, records // first):
        person = f"(user_id - 1000 + {37 * copy}) % {PEOPLE}"
        later = {"at": _earlier("at", copy), "user_id": f"1000 + {person}", "username": f"'person-' || ({person})"}
        _copy(UsageRecord, first, {**later, "generation_id": f"generation_id + {copy * first}", "id": ""})
        _copy(Message, first, {"id": f"id + {copy * first}"})
        times = {name: _earlier(name, copy) for name in ("queued_at", "started_at", "finished_at")}
        _copy(Generation, first, {"message_id": f"message_id + {copy * first}", **times})


def _generation(pk: int, record: Any) -> Any:
    from chat.models import Generation

    return Generation(
        message_id=pk,
        status=record.outcome,
        error_code=record.error_code,
        assistant_id=record.assistant_id,
        assistant_name=record.assistant_name,
        backend=record.backend,
        **dict.fromkeys(("queued_at", "started_at", "finished_at"), record.at),
    )


def _copy(model: Any, first: int, changes: dict[str, str]) -> None:
    """Store the first rows once more, with these expressions in their columns; a column without one is left out."""
    from django.db import connection

    quote = connection.ops.quote_name
    columns = [field.column for field in model._meta.concrete_fields if changes.get(field.column, "x")]
    values = [changes.get(column, quote(column)) for column in columns]
    key, table = quote(model._meta.pk.column), quote(model._meta.db_table)
    names = ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} WHERE {key} <= {first}")


def _earlier(column: str, copy: int) -> str:
    """Return a time that is some minutes earlier in each copy."""
    from django.db import connection

    minutes = 13 * copy
    if connection.vendor == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{minutes} minutes')"
    return f"{column} - interval '{minutes} minutes'"


def make_records(number: int, chance: random.Random, now: Any) -> Iterator[Any]:
    from chat.models import UsageRecord

    for place in range(number):
        assistant, person = chance.randrange(ASSISTANTS), min(int(chance.expovariate(0.01)), PEOPLE - 1)
        failed = chance.random() < 0.02
        yield UsageRecord(
            at=now - timedelta(days=DAYS) * (1 - place / number) - timedelta(seconds=1),
            user_id=1000 + person,
            username=f"person-{person}",
            assistant_id=assistant + 1,
            assistant_name=f"Assistant {assistant}",
            backend=("instant", "other", "third")[assistant % 3],
            generation_id=place,
            conversation_id=uuid.UUID(int=place),
            input_tokens=chance.randrange(3000),
            output_tokens=chance.randrange(800),
            cost=Decimal(chance.randrange(10_000)) / 10**6,
            first_text_ms=None if failed else round(chance.lognormvariate(6, 0.6)),
            duration_ms=chance.randrange(20_000),
            outcome="failed" if failed else "completed",
            error_code=chance.choice(("rate_limited", "backend_unavailable")) if failed else "",
        )


if __name__ == "__main__":
    main()
