"""What it costs to store a little more of many answers at once: appended rows against rewritten ones.

``python -m bench.drafts`` measures on SQLite, in a temporary folder; with ``DATABASE_URL`` on that database, in which
it leaves a user "bench-drafts" and no more. Each line tells the milliseconds for 10 characters more of 200 answers,
wall clock and in parentheses this process's CPU, by the length that the answers have already.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

TEXT = "ein Stück "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1_000, 50_000, 200_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-drafts-") as folder:
        os.environ |= {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "bench.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for length in options.lengths:
            pks = _make_answers(options.answers, length)
            for name, write in _ways(pks).items():
                wall, cpu = _measure(write, options.rounds)
                print(f"{length:>8} characters  {name:<34} {wall:7.1f} ({cpu:.1f})", flush=True)
        _tidy_up()


def _make_answers(count: int, length: int) -> list[int]:
    from django.utils import timezone

    from chat.models import Conversation, Generation, Message, Status, User

    user, _ = User.objects.get_or_create(username="bench-drafts")
    conversation = Conversation.objects.create(owner=user, title="bench")
    content = TEXT * (length // len(TEXT))
    answers = [
        Message.objects.create(conversation=conversation, role="assistant", content=content) for _ in range(count)
    ]
    Generation.objects.bulk_create(
        Generation(message=answer, status=Status.IN_PROGRESS, worker="bench", heartbeat_at=timezone.now())
        for answer in answers
    )
    return [answer.pk for answer in answers]


def _ways(pks: list[int]) -> dict[str, Callable[[], None]]:
    from django.db import connection, transaction
    from django.db.models import Case, F, TextField, Value, When
    from django.db.models.functions import Concat

    from chat import pieces
    from chat.models import Generation, Message

    def ours() -> list[int]:
        rows = Generation.objects.running().filter(pk__in=pks).select_for_update(no_key=True)
        return [pk for pk, worker in rows.values_list("pk", "worker") if worker == "bench"]

    def append(pk: int) -> None:
        Message.objects.filter(pk=pk).update(content=Concat(F("content"), Value(TEXT)))

    def a_transaction_each() -> None:
        for pk in pks:
            with transaction.atomic():
                Generation.objects.run_by("bench").filter(pk=pk).update(stage="")
                append(pk)

    @transaction.atomic
    def together() -> None:
        for pk in ours():
            append(pk)

    @transaction.atomic
    def many() -> None:
        with connection.cursor() as cursor:
            appended = [(TEXT, pk) for pk in ours()]
            cursor.executemany("UPDATE chat_message SET content = content || %s WHERE id = %s", appended)

    @transaction.atomic
    def one_statement() -> None:
        found = ours()
        cases: Any = Case(*[When(pk=pk, then=Value(TEXT)) for pk in found], output_field=TextField())
        Message.objects.filter(pk__in=found).update(content=Concat(F("content"), cases))

    @transaction.atomic
    def in_pieces() -> None:
        pieces.append((pk, 0, TEXT) for pk in ours())

    return {
        "a transaction per answer": a_transaction_each,
        "one transaction, an append per row": together,
        "the same with executemany": many,
        "one UPDATE with a CASE per row": one_statement,
        "one transaction, pieces": in_pieces,
    }


def _measure(write: Callable[[], None], rounds: int) -> tuple[float, float]:
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        write()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls) * 1000, statistics.median(cpus) * 1000


def _tidy_up() -> None:
    from chat import pieces
    from chat.models import Conversation

    Conversation.objects.filter(owner__username="bench-drafts").delete()
    pieces.delete_orphans()


if __name__ == "__main__":
    main()
