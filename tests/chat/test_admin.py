"""The administrator's pages."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from chat.models import Assistant, Conversation, Generation, Status, User
from chat.people import reading
from chat.people.reading import name_of
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


@pytest.fixture
def admin_page(client, staff):
    client.force_login(staff)

    def get(name, *args, **query):
        response = client.get(reverse(f"admin:{name}", args=args), query)
        assert response.status_code == 200, response
        return response.content.decode()

    get.client = client
    return get


def answer() -> Generation:
    claimed = claim_one("this-worker")
    asyncio.run(run_generation(claimed))
    return Generation.objects.get(pk=claimed.pk)


def read(conversation) -> None:
    reading.open_transcript(conversation, User.objects.get(username="staff"), reason="Because of a test")


def test_it_works(admin_page, conversation):
    answer()
    assert "Assistants" in admin_page("index")
    assert "alice" in admin_page("chat_conversation_changelist")
    assert "completed" in admin_page("chat_generation_changelist").lower()
    read(conversation)
    assert admin_page("chat_conversation_change", conversation.pk).count("Hello there") >= 3
    assert "alice" in admin_page("chat_user_changelist")


@pytest.mark.parametrize("model", ["conversation", "generation"])
def test_what_the_site_writes_is_read_only(admin_page, conversation, model):
    read(conversation)
    pk = conversation.pk if model == "conversation" else conversation.leaf_id
    page = admin_page(f"chat_{model}_change", pk)
    assert 'name="_save"' not in page
    assert admin_page.client.get(reverse(f"admin:chat_{model}_add")).status_code == 403
    assert admin_page.client.post(reverse(f"admin:chat_{model}_change", args=[pk]), {"title": "x"}).status_code == 403


def test_transcripts_need_a_permission(client, conversation):
    helper = User.objects.create_user("helper", password="x", is_staff=True)
    helper.user_permissions.add(Permission.objects.get(codename="view_conversation"))
    client.force_login(helper)
    page = client.get(reverse("admin:chat_conversation_change", args=[conversation.pk])).content.decode()
    assert "transcript" not in page
    helper.user_permissions.add(Permission.objects.get(codename="view_others_conversations"))
    reading.open_transcript(conversation, User.objects.get(pk=helper.pk), reason="Because of a test")
    page = client.get(reverse("admin:chat_conversation_change", args=[conversation.pk])).content.decode()
    assert "transcript" in page


def test_search_and_filters(admin_page, ask, echo, scripted):
    ask(echo, "Apples and pears")
    ask(scripted, "fail")
    answer(), answer()
    names = [name_of(one.pk) for one in Conversation.objects.order_by("created_at")]
    found = admin_page("chat_conversation_changelist", q="alice")
    assert all(name in found for name in names)
    assert names[0] not in admin_page("chat_conversation_changelist", q="apples")
    failed = admin_page("chat_generation_changelist", status="failed")
    assert names[1] in failed
    assert names[0] not in failed
    assert "backend_unavailable" in failed


@pytest.mark.parametrize("model", ["conversation", "generation", "assistant", "user"])
def test_queries_do_not_grow_with_the_rows(admin_page, ask, echo, model):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin_page(f"chat_{model}_changelist")
        return len(queries)

    ask(echo, "first")
    answer()
    count()  # Django looks up content types once
    few = count()
    for number in range(10):
        ask(echo, f"{number}")
        answer()
        User.objects.create_user(f"user{number}")
        Assistant.objects.create(name=f"a{number}", slug=f"a{number}", backend="echo")
    assert count() == few


def test_transcript_queries_do_not_grow(admin_page, conversation, echo):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.chat.test_generation import question, start_generation

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin_page("chat_conversation_change", conversation.pk)
        return len(queries)

    answer()
    read(conversation)
    count()  # Django looks up content types once
    few = count()
    for number in range(5):
        start_generation(Conversation.objects.get(), question(echo, f"{number}"))
        answer()
    assert count() == few


def assistant_form(**changes):
    return {
        "name": "Helper",
        "slug": "helper",
        "backend": "echo",
        "stop": "END\nSTOP",
        "starters": "One?\n\n Two? \n",
        "order": 0,
        "is_active": "on",
        "input_price": "0",
        "output_price": "0",
        **changes,
    }


def test_an_assistant_is_made_on_one_page(admin_page):
    response = admin_page.client.post(reverse("admin:chat_assistant_add"), assistant_form())
    assert response.status_code == 302, response.context["errors"]
    made = Assistant.objects.get()
    assert made.starters == ["One?", "Two?"]
    assert made.stop == ["END", "STOP"]
    page = admin_page("chat_assistant_change", made.pk)
    assert "One?\nTwo?" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "gone"),
        ("temperature", "3"),
        ("top_p", "0"),
        ("max_output_tokens", "0"),
        ("seed", "-1"),
        ("name", ""),
    ],
)
def test_wrong_assistants_are_refused(admin_page, field, value):
    response = admin_page.client.post(reverse("admin:chat_assistant_add"), assistant_form(**{field: value}))
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert not Assistant.objects.exists()


def test_an_assistant_whose_backend_is_gone_can_be_opened(admin_page, echo, settings):
    settings.CHAT_BACKENDS = {}
    assert "not in the settings" in admin_page("chat_assistant_change", echo.pk)


def test_answers_are_cancelled_by_an_action(admin_page, conversation, no_runner):
    running = Generation.objects.get()
    form = {"action": "cancel_selected", "_selected_action": [running.pk]}
    admin_page.client.post(reverse("admin:chat_generation_changelist"), form)
    assert Generation.objects.get().status == Status.CANCELLED
    assert no_runner == [running.pk]
