"""Lists of any length: pages are walked to without counting rows that nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import EmptyFieldListFilter, FieldListFilter, ShowFacets
from django.contrib.admin.options import ModelAdmin
from django.core.paginator import Paginator
from django.db import connections
from django.db.models import CharField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise, cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from chat.models import User

MOST_COUNTED = 10_000
"""Rows that are counted; how many more there are, only PostgreSQL tells, about."""
MOST_PEOPLE = 200
"""Whose conversations a search looks into, who signed in last first."""
LOOKED_AT = 2_000
"""The newest rows, by which a filter knows what values there are."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no more rows than people page through.

    Where a list is longer, the number of all rows of its table is told as PostgreSQL estimates it, if nothing is
    filtered; otherwise the pages end at ``MOST_COUNTED`` rows, and filters or the search lead to the others.
    """

    @cached_property
    def count(self) -> int:
        """How many rows there are to page through."""
        rows: Any = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        # Without the columns that are calculated: they would be for each row.
        return rows.order_by().values("pk")[: MOST_COUNTED + 1].count()

    @property
    def is_bounded(self) -> bool:
        """Whether there are more rows than were counted."""
        return self.count > MOST_COUNTED

    @property
    def estimate(self) -> int | None:
        """About how many rows the table has; None where the database does not know without counting."""
        rows: Any = self.object_list
        if not self.is_bounded or not isinstance(rows, QuerySet) or rows.query.where:
            return None
        connection = connections[rows.db]
        if connection.vendor != "postgresql":
            return None
        with connection.cursor() as cursor:
            told = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass"
            cursor.execute(told, [rows.model._meta.db_table])
            found = cursor.fetchone()
        return int(found[0]) if found and found[0] > MOST_COUNTED else None


class RecentValuesFilter(FieldListFilter):
    """The values of a column in the newest rows; to find all that there are, every row would have to be read."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.lookup_kwarg = field_path
        super().__init__(field, request, params, model, model_admin, field_path)
        chosen = self.used_parameters.get(self.lookup_kwarg)
        self.chosen = chosen[0] if isinstance(chosen, list) and chosen else None
        newest = model._default_manager.order_by("-pk").values_list(field_path, flat=True)[:LOOKED_AT]
        self.values = sorted({*map(str, newest), *([str(self.chosen)] if self.chosen is not None else [])})

    def expected_parameters(self) -> list[str | None]:
        return [self.lookup_kwarg]

    def has_output(self) -> bool:
        return len(self.values) > 1

    def choices(self, changelist: Any) -> Iterator[Any]:
        everything = changelist.get_query_string(remove=[self.lookup_kwarg])
        yield {"selected": self.chosen is None, "query_string": everything, "display": _("All")}
        for value in self.values:
            yield {
                "selected": self.chosen == value,
                "query_string": changelist.get_query_string({self.lookup_kwarg: value}),
                # A link must have a name.
                "display": value or _("None"),
            }


class DoneFilter(EmptyFieldListFilter):
    """Whether something was done already, by the column that says when; in words of a subclass."""

    left: str | Promise = ""
    done: str | Promise = ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        words = {"1": self.left, "0": self.done}
        for choice, value in zip(super().choices(changelist), (None, "1", "0"), strict=True):
            yield choice if value is None else {**choice, "display": words[value]}


# Django's own reads the whole table for the values of such a column.
FieldListFilter.register(
    lambda field: isinstance(field, CharField) and not field.choices, RecentValuesFilter, take_priority=True
)


def is_ordered(model: type[Model], name: str) -> bool:
    """Tell whether an index has the rows in the order of this column, so that a page of them is not sorted first."""
    field: Any = next((one for one in model._meta.concrete_fields if name in (one.name, one.attname)), None)
    if field is None:
        return False
    if field.primary_key or field.unique or field.db_index:
        return True
    # One with a condition, too: what lists show is what it is about, such as all that was not deleted.
    return any(index.fields and index.fields[0].lstrip("-") == field.name for index in model._meta.indexes)


class Listed(ModelAdmin):  # type: ignore[type-arg]
    """A list that stays quick, however many rows there are."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # a count for each value of each filter
    list_per_page = 50
    list_max_show_all = 200
    is_long = False
    """Whether there may be millions of rows: then it is sorted only by columns that have an index."""

    finds_owners = False
    """Whether a search is for the owners of the conversations that the rows are messages of."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list under the name of what is in it."""
        name = capfirst(str(self.model._meta.verbose_name_plural))
        return super().changelist_view(request, {"title": name, **(extra_context or {})})

    def get_sortable_by(self, request: HttpRequest) -> Any:
        shown = [name for name in super().get_sortable_by(request) if isinstance(name, str)]
        return [name for name in shown if not self.is_long or is_ordered(self.model, self._column(name))]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search; with ``finds_owners``, the people first, and then what is in the conversations of those found.

        Joined to millions of rows, the search of the names would be made for each of them.
        """
        if not (self.finds_owners and search_term.strip()):
            return super().get_search_results(request, queryset, search_term)
        found = User.objects.order_by("-last_login", "pk")
        for word in search_term.split():
            found = found.filter(Q(username__icontains=word) | Q(email__icontains=word))
        pks = list(found.values_list("pk", flat=True)[:MOST_PEOPLE])
        return queryset.filter(message__conversation__owner__in=pks), False

    def _column(self, name: str) -> str:
        """Return the column that a column of the list is sorted by."""
        shown = getattr(self, name, None)
        order = getattr(shown, "admin_order_field", None) or name
        return str(order).lstrip("-")
