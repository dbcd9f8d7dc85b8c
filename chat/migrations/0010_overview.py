from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import Min
from django.utils import timezone

STATUS = [
    ("queued", "queued"),
    ("in_progress", "in progress"),
    ("completed", "completed"),
    ("incomplete", "incomplete"),
    ("cancelled", "cancelled"),
    ("failed", "failed"),
]
GRAIN = [("hour", "Hour"), ("day", "Day")]
ROLLUP = [
    ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
    ("grain", models.CharField(choices=GRAIN, max_length=4)),
    ("starts_at", models.DateTimeField()),
    ("answers", models.PositiveBigIntegerField(default=0)),
]
USED = [
    *ROLLUP,
    ("assistant_id", models.BigIntegerField()),
    ("assistant_name", models.CharField(max_length=80)),
    ("backend", models.CharField(max_length=80)),
    ("model", models.CharField(max_length=200)),
    ("outcome", models.CharField(choices=STATUS, max_length=12)),
    ("input_tokens", models.PositiveBigIntegerField(default=0)),
    ("output_tokens", models.PositiveBigIntegerField(default=0)),
    ("cost", models.DecimalField(decimal_places=6, default=Decimal(0), max_digits=18)),
]
KIND = ("assistant_id", "backend", "model", "outcome")


def fill_prices(apps, schema_editor):
    """What an assistant costs today is its first price, which holds for all time before, too."""
    Price = apps.get_model("chat", "Price")
    assistants = apps.get_model("chat", "Assistant").objects.all()
    Price.objects.bulk_create(
        Price(assistant=one, input_price=one.input_price, output_price=one.output_price) for one in assistants
    )


def fill_rollups(apps, schema_editor):
    """Add up the records there are, a day at a time; as chat.rollups did when this was written."""
    records = apps.get_model("chat", "UsageRecord")._base_manager.order_by()
    first = records.aggregate(first=Min("at"))["first"]
    day = _day(first) if first else timezone.now()
    while first and day <= timezone.now():
        after = _later(day)
        _fill_day(apps, records.filter(at__gte=day, at__lt=after))
        day = after


def _fill_day(apps, records):
    usage, people, waits = (defaultdict(lambda: [0, 0, 0, Decimal(0), ""]) for _ in range(3))
    for record in records.iterator(chunk_size=5_000):
        kind = (record.assistant_id or 0, record.backend, record.model, record.outcome)
        reason = "" if record.outcome == "completed" else record.error_code or record.finish_reason
        for grain, start in (("day", _day(record.at)), ("hour", _hour(record.at))):
            for sums in (usage[grain, start, *kind, reason], people[grain, start, *kind, record.user_id]):
                values = (1, record.input_tokens, record.output_tokens, record.cost)
                sums[:] = *map(sum, zip(sums, values, strict=False)), record.assistant_name
            if record.first_text_ms is not None:
                bucket = math.floor(math.log2(max(record.first_text_ms, 1)) * 8)
                waits[grain, start, record.backend, bucket][0] += 1
    for name, rows, last in (("UsageRollUp", usage, "reason"), ("PersonRollUp", people, "user_id")):
        names = ("grain", "starts_at", *KIND, last)
        sums = ("answers", "input_tokens", "output_tokens", "cost", "assistant_name")
        _store(apps.get_model("chat", name), names, sums, rows)
    _store(apps.get_model("chat", "FirstTextRollUp"), ("grain", "starts_at", "backend", "bucket"), ("answers",), waits)


def _store(model, names, sums, rows):
    made = (
        model(**dict(zip(names, key, strict=True)), **dict(zip(sums, values, strict=False)))
        for key, values in rows.items()
    )
    model.objects.bulk_create(made, batch_size=500)


def _hour(moment):
    return timezone.localtime(moment).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _day(moment):
    return timezone.localtime(moment).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def _later(day: datetime) -> datetime:
    local = timezone.localtime(day).replace(tzinfo=None) + timedelta(days=1)
    return timezone.make_aware(local.replace(hour=0, minute=0)).astimezone(UTC)


class Migration(migrations.Migration):
    dependencies = [("chat", "0009_administration")]

    operations = [
        migrations.CreateModel(
            name="UsageRollUp",
            fields=[*USED, ("reason", models.CharField(max_length=40))],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("grain", "starts_at", *KIND, "reason"),
                        name="one_usage_rollup",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonRollUp",
            fields=[*USED, ("user_id", models.BigIntegerField())],
            options={
                "indexes": [models.Index(fields=["user_id", "grain", "starts_at"], name="rollup_of_person")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("grain", "starts_at", "user_id", *KIND),
                        name="one_person_rollup",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FirstTextRollUp",
            fields=[
                *ROLLUP,
                ("backend", models.CharField(max_length=80)),
                ("bucket", models.PositiveSmallIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("grain", "starts_at", "backend", "bucket"), name="one_first_text_rollup"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="from")),
                ("input_price", models.DecimalField(decimal_places=4, max_digits=9, verbose_name="input price")),
                ("output_price", models.DecimalField(decimal_places=4, max_digits=9, verbose_name="output price")),
                ("by", models.CharField(blank=True, max_length=150, verbose_name="set by")),
                ("set_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="set")),
                (
                    "assistant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="chat.assistant",
                        verbose_name="assistant",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ["-starts_at", "-pk"],
                "indexes": [models.Index(fields=["assistant", "-starts_at"], name="price_at_a_time")],
            },
        ),
        migrations.RunPython(fill_prices, migrations.RunPython.noop),
        migrations.RunPython(fill_rollups, migrations.RunPython.noop),
    ]
