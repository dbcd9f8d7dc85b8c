"""Who used the site: how many people, and who used most. Two queries."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, OuterRef, Subquery, Sum, Window
from django.utils.translation import gettext as _

from chat.models import PersonRollUp, User
from chat.overview.ranges import Range

TOP = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody and what they used."""

    id: int
    name: str
    key: str
    """By which the page of usage finds them: the username, or the number of who was deleted."""
    tokens: int
    cost: Decimal
    share: float
    """Of what the first one used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    active: int
    before: int
    buckets: tuple[int, ...]
    """How many people were active in each hour or day."""
    top: tuple[Person, ...]


def username_of(column: str) -> Subquery:
    """Return an expression: how the person with this id is called today."""
    return Subquery(User.objects.filter(pk=OuterRef(column)).values("username")[:1])


def deleted_name(user_id: int) -> str:
    return _("Deleted (%(number)d)") % {"number": user_id}


def people(shown: Range) -> People:
    """Count who had an answer, and find who used most tokens."""
    rows = PersonRollUp.objects.filter(shown.rows_and_before).values_list(shown.bucket)
    counts = dict(rows.annotate(Count("user_id", distinct=True)).order_by())
    most = (
        PersonRollUp.objects.filter(shown.rows)
        .values("user_id")
        .annotate(tokens=Sum(F("input_tokens") + F("output_tokens")), money=Sum("cost"))
        .annotate(active=Window(Count("user_id")), name=username_of("user_id"))
        .order_by("-tokens", "user_id")
    )
    top = list(most[:TOP])
    longest = top[0]["tokens"] if top else 0
    return People(
        active=top[0]["active"] if top else 0,
        before=counts.get(None, 0),
        buckets=tuple(counts.get(start, 0) for start in shown.starts),
        top=tuple(
            Person(
                id=row["user_id"],
                name=row["name"] or deleted_name(row["user_id"]),
                key=row["name"] or str(row["user_id"]),
                tokens=row["tokens"],
                cost=row["money"],
                share=row["tokens"] / longest if longest else 0,
            )
            for row in top
        ),
    )
