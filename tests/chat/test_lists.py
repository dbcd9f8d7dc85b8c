"""Every list of the admin: as many queries for many rows as for few, and none that counts or reads a whole table."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import audit
from chat.admin import lists
from chat.admin.lists import BoundedPaginator, is_ordered
from chat.models import (
    Assistant,
    AuditEntry,
    Banner,
    Conversation,
    Feedback,
    Generation,
    LegalHold,
    Message,
    ModerationFlag,
    ModerationRule,
    Quota,
    RetentionRule,
    Share,
    UsageRecord,
    User,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_runner")]

OURS = [model for model in admin.site._registry if model._meta.app_label in {"chat", "auth"}]
LONG = [model for model in OURS if getattr(admin.site._registry[model], "is_long", False)]
WHOLE = re.compile(r"\b(COUNT|MIN|MAX)\(|SELECT DISTINCT", re.IGNORECASE)


def fill(many: int, owner: User, assistant: Assistant) -> None:
    """Store so many more of everything."""
    for number in range(many):
        name = f"{Generation.objects.count()}-{number}"
        user = User.objects.create(username=f"user{name}")
        group = Group.objects.create(name=f"group{name}")
        other = Assistant.objects.create(name=f"a{name}", slug=f"a{name}", backend="echo", input_price=number)
        conversation = Conversation.objects.create(owner=user, title=f"talk {name}", assistant=assistant)
        question = Message.objects.create(conversation=conversation, role="user", content="Hello")
        answer = Message.objects.create(conversation=conversation, role="assistant", parent=question, content="Hi")
        Generation.objects.create(message=answer, assistant=other, assistant_name=f"a{name}", status="completed")
        Feedback.objects.create(message=answer, person=user, value=1)
        Share.objects.create(conversation=conversation, title="x")
        flagged = {
            "person": user,
            "conversation": conversation,
            "message": question,
            "moderator": "words",
            "rule": name,
        }
        ModerationFlag.objects.create(kind="question", action="flag", **flagged)
        ModerationRule.objects.create(name=name, pattern=name)
        Quota.objects.create(user=user, limit=1, assistant=other)
        RetentionRule.objects.create(kind="conversations", group=group, days=1)
        LegalHold.objects.create(conversation=conversation, reason="x")
        Banner.objects.create(text=name, audience="groups").groups.add(group)
        audit.append("login", user)
        used = {"user_id": user.pk, "username": user.username, "assistant_name": f"a{name}", "outcome": "completed"}
        UsageRecord.objects.create(generation_id=answer.pk, conversation_id=uuid.uuid4(), backend=name, **used)


def queries(client, model, **query) -> list[str]:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address, query)
    assert response.status_code == 200, response
    return [query["sql"] for query in captured]


@pytest.fixture
def filled(client, staff, alice, echo):
    client.force_login(staff)
    fill(3, alice, echo)
    return client


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_as_many_queries_for_many_rows(filled, model, alice, echo):
    queries(filled, model)  # Django looks up content types once
    few = queries(filled, model)
    fill(25, alice, echo)
    queries(filled, model)  # what is announced is read anew
    many = queries(filled, model)
    assert len(many) == len(few), many


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("query", [{}, {"q": "user"}, {"p": "1"}], ids=["", "search", "page"])
def test_no_query_reads_a_whole_table(filled, model, query):
    table = model._meta.db_table
    whole = [sql for sql in queries(filled, model, **query) if WHOLE.search(sql) and f'"{table}"' in sql]
    # What is ordered is the page itself, of fewer rows than would be cut off.
    unbounded = [sql for sql in whole if "LIMIT" not in sql and "ORDER BY" not in sql]
    assert [sql for sql in unbounded if not (model is Feedback and "GROUP BY" in sql)] == []  # its figures


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_it_can_be_searched_and_filtered(model):
    found = admin.site._registry[model]
    short = {"assistant", "drain", "price"}
    assert found.search_fields or model._meta.model_name in short
    assert issubclass(found.paginator, BoundedPaginator)
    assert not found.show_full_result_count
    assert model not in LONG or not found.date_hierarchy, "its years are read from every row"


@pytest.mark.parametrize("model", LONG, ids=lambda model: model.__name__)
def test_long_lists_are_sorted_by_indexes(rf, staff, model):
    found = admin.site._registry[model]
    request = rf.get("/")
    request.user = staff
    sortable = found.get_sortable_by(request)
    assert all(is_ordered(model, found._column(name)) for name in sortable)
    assert all(is_ordered(model, name.lstrip("-")) for name in model._meta.ordering[:1])


@pytest.mark.parametrize("model", LONG, ids=lambda model: model.__name__)
def test_long_lists_come_in_the_order_of_an_index(filled, rf, staff, model):
    """Whole, with the key that Django adds: where it has to be sorted, all rows are joined for each page."""
    request = rf.get("/")
    request.user = staff
    page = admin.site._registry[model].get_changelist_instance(request).queryset[:50]
    assert "B-TREE" not in page.explain()


class TestPaginator:
    def test_it_works(self, filled, monkeypatch):
        assert BoundedPaginator(AuditEntry.objects.all(), 2).count == AuditEntry.objects.count()
        monkeypatch.setattr(lists, "MOST_COUNTED", 2)
        pages = BoundedPaginator(AuditEntry.objects.order_by("number"), 2)
        with CaptureQueriesContext(connection) as captured:
            assert (pages.count, pages.is_bounded) == (3, True)
        assert "LIMIT 3" in captured[0]["sql"]
        page = filled.get(reverse("admin:chat_auditentry_changelist")).content.decode()
        told = "about" if connection.vendor == "postgresql" else "more than 10,000 audit log"
        assert told in page or "more than 10,000" in page

    def test_a_list(self):
        assert BoundedPaginator([1, 2, 3], 2).count == 3


class TestValues:
    def test_it_works(self, filled, staff):
        for action in ("login", "logout"):
            audit.append(action, staff)
        address = reverse("admin:chat_auditentry_changelist")
        page = filled.get(address).content.decode()
        assert "?action=logout" in page
        found = filled.get(address, {"action": "logout"})
        assert [entry.action for entry in found.context["cl"].result_list] == ["logout"]

    def test_what_is_no_longer_there_is_not_an_error(self, filled):
        page = filled.get(reverse("admin:chat_auditentry_changelist"), {"action": "gone"})
        assert page.status_code == 200
        assert not page.context["cl"].result_list

    def test_dates_are_filtered_without_reading(self, filled):
        since = (timezone.now() - timedelta(days=7)).isoformat()
        assert filled.get(reverse("admin:chat_auditentry_changelist"), {"at__gte": since}).status_code == 200
