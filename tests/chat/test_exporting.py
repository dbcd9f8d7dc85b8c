"""What people take along: one conversation or all of them, as Markdown, HTML and JSON."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from pathlib import Path

import jsonschema
import pytest
from django.test import AsyncClient
from django.urls import reverse

import chat.transfer
from chat.models import Conversation, Generation, Message, Role, Status
from chat.transfer import archive as archives
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

SCHEMA = json.loads((Path(chat.transfer.__file__).parent / "schema.json").read_text())


@pytest.fixture
def answered(conversation) -> Conversation:
    asyncio.run(run_generation(claim_one("this-worker")))
    conversation.refresh_from_db()
    return conversation


def export(client, conversation, kind):
    return client.get(reverse("chat:export", args=[conversation.pk]), {"format": kind})


def text(response) -> str:
    return response.content.decode()


def unzip(response) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))


class TestOne:
    def test_markdown(self, alice_client, answered):
        response = alice_client.get(reverse("chat:export", args=[answered.pk]))
        assert response["Content-Type"] == "text/markdown; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="hello-there.md"'
        assert re.fullmatch(
            r"# Hello there\n\n## User, \d{4}-\d\d-\d\d \d\d:\d\d UTC\n\nHello there\n\n"
            r"## Echo, \d{4}-\d\d-\d\d \d\d:\d\d UTC\n\nHello there\n",
            text(response),
        )

    def test_html_asks_for_nothing_and_runs_nothing(self, alice_client, answered):
        answer = (
            '**bold** ![a "cat"](/media/cat.png) ![far](https://example.org/x.png) <script>alert(1)</script>\n\n'
            "```python\nprint(1)\n```\n\n$$x^2$$"
        )
        answered.messages.filter(role=Role.ASSISTANT).update(content=answer)
        response = export(alice_client, answered, "html")
        page = text(response)
        assert response["Content-Disposition"] == 'attachment; filename="hello-there.html"'
        assert "<strong>bold</strong>" in page
        assert "<em>a &quot;cat&quot;</em>" in page
        assert "print(1)" in page
        assert '<div class="math display">x^2</div>' in page
        assert "default-src 'none'" in page
        assert "prefers-color-scheme: dark" in page
        assert not re.search(r"<(script|img|link|iframe|object|video|audio|base)\b|\bsrc=|url\(|@import", page)

    def test_json_has_all_branches_and_keeps_the_schema(self, alice_client, answered):
        first = answered.messages.first()
        second = Message.objects.create(conversation=answered, parent=first, role=Role.ASSISTANT, content="Another")
        Generation.objects.create(
            message=second,
            status=Status.CANCELLED,
            assistant_name="Echo",
            backend="echo",
            parameters={"system_prompt": "Secret prompt", "temperature": 0.5},
            error_detail="secret detail",
        )
        document = json.loads(text(export(alice_client, answered, "json")))
        jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())
        (conversation,) = document["conversations"]
        assert conversation["leaf"] == str(answered.leaf_id)
        assert [message["parent"] for message in conversation["messages"]] == [None, str(first.pk), str(first.pk)]
        assert conversation["messages"][2]["generation"]["parameters"] == {"temperature": 0.5}
        assert "secret" not in text(export(alice_client, answered, "json")).lower()

    def test_an_answer_that_is_being_written_is_carried_as_far_as_it_is(self, alice_client, ask, scripted):
        from chat import pieces

        generation = ask(scripted, "forever")
        Generation.objects.filter(pk=generation.pk).update(status=Status.IN_PROGRESS)
        pieces.append([(generation.pk, 0, "So far")])
        document = json.loads(text(export(alice_client, generation.message.conversation, "json")))
        answer = document["conversations"][0]["messages"][1]
        assert answer["content"] == "So far"
        assert answer["generation"]["status"] == "incomplete"
        jsonschema.validate(document, SCHEMA)

    @pytest.mark.parametrize("title", ["../../etc/passwd", "???", "한국어 제목", "a" * 200, 'x"; filename=y\r\n'])
    def test_names_of_files_are_harmless(self, alice_client, answered, title):
        Conversation.objects.update(title=title)
        name = export(alice_client, answered, "json")["Content-Disposition"]
        assert "/" not in name
        assert ".." not in name
        assert "\n" not in name
        assert len(name) < 600

    @pytest.mark.parametrize("kind", ["markdown", "html", "json"])
    def test_queries_are_constant(self, alice_client, answered, kind, django_assert_max_num_queries):
        with django_assert_max_num_queries(6):
            export(alice_client, answered, kind)
        parent = answered.leaf
        for number in range(30):
            parent = Message.objects.create(
                conversation=answered, parent=parent, role=Role.ASSISTANT, content=str(number)
            )
            Generation.objects.create(message=parent, assistant_name="Echo", backend="echo", status=Status.COMPLETED)
        Conversation.objects.update(leaf=parent)
        with django_assert_max_num_queries(6):
            assert "29" in text(export(alice_client, answered, kind))

    def test_it_checks_ownership(self, charlie_client, answered):
        for kind in ("markdown", "html", "json"):
            assert export(charlie_client, answered, kind).status_code == 404


class TestAll:
    def test_it_works(self, alice_client, answered, ask, echo):
        ask(echo, "Hello there")  # with the same title
        response = alice_client.get(reverse("chat:export_all"), {"format": ["json", "markdown", "html", "exe"]})
        assert response["Content-Type"] == "application/zip"
        with unzip(response) as file:
            assert file.testzip() is None
            assert sorted(file.namelist()) == [
                "conversations.json",
                "html/00001-hello-there.html",
                "html/00002-hello-there.html",
                "markdown/00001-hello-there.md",
                "markdown/00002-hello-there.md",
            ]
            document = json.loads(file.read("conversations.json"))
            assert file.read("html/00002-hello-there.html").startswith(b"<!doctype html>")
        jsonschema.validate(document, SCHEMA)
        assert len(document["conversations"]) == 2

    def test_it_is_json_where_nothing_is_chosen(self, alice_client, answered):
        with unzip(alice_client.get(reverse("chat:export_all"))) as file:
            assert file.namelist() == ["conversations.json"]

    def test_it_has_nothing_of_others(self, charlie_client, answered):
        with unzip(charlie_client.get(reverse("chat:export_all"), {"format": ["json", "markdown"]})) as file:
            assert json.loads(file.read("conversations.json"))["conversations"] == []

    def test_it_streams(self, alice, ask, echo):
        """What is held does not grow with what is sent: the parts come while the rows are read."""
        for number in range(45):
            ask(echo, f"Question {number} " + "x" * 2000)
            Generation.objects.update(status=Status.COMPLETED)
        sizes = [len(part) for part in archives.archive(alice, ["json", "markdown"])]
        assert len(sizes) > 90
        assert max(sizes) < 70_000

    def test_queries_do_not_grow_with_every_row(self, alice, ask, echo, django_assert_num_queries):
        for number in range(18):
            ask(echo, f"Question {number}")
        with django_assert_num_queries(5):
            list(archives.archive(alice, ["json"]))

    async def test_it_streams_under_asgi(self, alice, answered):
        client = AsyncClient()
        await client.aforce_login(alice)
        response = await client.get(reverse("chat:export_all"), {"format": ["json", "html"]})
        data = b"".join([part async for part in response.streaming_content])
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            assert file.testzip() is None
            assert len(file.namelist()) == 2
