"""What the list of people shows beside their names, and how it is filtered."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from chat.models import Conversation, UsageRecord, User

LATELY = timedelta(days=30)


def with_activity(people: QuerySet[User]) -> QuerySet[User]:
    """Return the people with when they were seen last, how much they have and used: no query for each of them."""
    owned = Conversation.objects.kept().filter(owner=OuterRef("pk")).order_by()
    used = UsageRecord.objects.filter(user_id=OuterRef("pk"))
    lately = used.filter(at__gte=timezone.now() - LATELY).order_by().values("user_id")
    money = DecimalField(max_digits=20, decimal_places=6)
    answered_at = Subquery(used.order_by("-at").values("at")[:1])
    return people.prefetch_related("groups").annotate(
        answered_at=answered_at,
        # The greater of two of which one is missing is missing on SQLite.
        seen_at=Greatest(Coalesce("last_login", answered_at), Coalesce(answered_at, "last_login")),
        conversation_count=Coalesce(Subquery(owned.values("owner").annotate(n=Count("pk")).values("n")), 0),
        answers_lately=Coalesce(Subquery(lately.annotate(n=Count("pk")).values("n")), 0),
        tokens_lately=Coalesce(Subquery(lately.annotate(n=Sum(F("input_tokens") + F("output_tokens"))).values("n")), 0),
        cost_lately=Coalesce(
            Subquery(lately.annotate(n=Sum("cost")).values("n"), output_field=money),
            Value(Decimal(0), output_field=money),
        ),
    )


def money(amount: Decimal) -> str:
    """Return the amount with its currency; a dash for nothing."""
    return f"{number_format(amount, 2, force_grouping=True)} {settings.CHAT_CURRENCY}" if amount else "–"


class StateFilter(admin.SimpleListFilter):
    """Whether somebody can sign in."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("active", _("active")),
            ("deactivated", _("deactivated")),
            ("unverified", _("e-mail not verified")),
            ("administrator", _("administrators")),
            ("staff", _("other staff")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        unverified = Q(must_verify_email=True) & ~Q(emailaddress__verified=True)
        match self.value():
            case "active":
                return queryset.filter(is_active=True)
            case "deactivated":
                return queryset.filter(is_active=False)
            case "unverified":
                return queryset.filter(unverified)
            case "administrator":
                return queryset.filter(is_superuser=True)
            case "staff":
                return queryset.filter(is_staff=True, is_superuser=False)
        return queryset


class LastSeenFilter(admin.SimpleListFilter):
    """How long somebody has not been here."""

    title = _("last seen")
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("week", _("in the last 7 days")),
            ("month", _("in the last 30 days")),
            ("earlier", _("earlier")),
            ("never", _("never")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "week":
                return queryset.filter(seen_at__gte=now - timedelta(days=7))
            case "month":
                return queryset.filter(seen_at__gte=now - LATELY)
            case "earlier":
                return queryset.filter(seen_at__lt=now - LATELY)
            case "never":
                return queryset.filter(seen_at=None)
        return queryset
