"""The live board: what is going on, and what an administrator does about it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import events, live, pieces
from chat.admin import intervening
from chat.models import AuditEntry, Conversation, Drain, Generation, Message, Role, Status, User
from chat.operation import draining
from chat.refusals import DrainedError
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

TITLE = "A title that tells"


@pytest.fixture
def running(ask, echo):
    """An answer of which 400 characters are stored, for ten seconds."""
    echo.output_price = Decimal(2)
    echo.save()
    ask(echo, TITLE)
    generation = claim_one("host:7:abc")
    pieces.append([(generation.pk, 0, "x" * 300), (generation.pk, 300, "y" * 100)])
    now = timezone.now()
    Generation.objects.filter(pk=generation.pk).update(
        started_at=now - timedelta(seconds=11), first_delta_at=now - timedelta(seconds=10)
    )
    return Generation.objects.get()


@pytest.fixture
def board_page(client, staff):
    client.force_login(staff)

    def get() -> str:
        response = client.get(reverse("admin:live"))
        assert response.status_code == 200
        return response.content.decode()

    get.client = client
    return get


def helper(*codenames: str) -> User:
    user = User.objects.create_user("helper", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


class TestBoard:
    def test_it_works(self, running, ask, echo):
        ask(echo, "Another one")
        now = live.board()
        assert (now.running, now.queued, now.hidden) == (1, 1, 0)
        first, second = now.answers
        assert (first.person, first.assistant, first.backend, first.worker) == ("alice", "Echo", "echo", "host:7")
        assert (first.stage, first.tokens, first.is_queued) == ("writing", 100, False)
        assert first.rate == pytest.approx(10, abs=0.5)
        assert Decimal(first.cost) == Decimal("0.000200")
        assert (second.stage, second.tokens, second.is_queued) == ("queued", 0, True)
        echo_line = next(line for line in now.backends if line.alias == "echo")
        assert (echo_line.label, echo_line.running, echo_line.queued) == ("Echo", 1, 1)

    def test_other_languages_are_counted_by_their_bytes(self, running):
        pieces.append([(running.pk, 400, "안" * 100)])
        (answer,) = live.board().answers
        assert answer.tokens == 500 * 3 // 4  # as if all were written like the newest piece

    def test_what_was_put_in_one_piece_counts(self, running):
        pieces.fold([running.pk])
        (answer,) = live.board().answers
        assert answer.tokens == 100

    def test_the_question_costs_too(self, running, echo):
        echo.input_price = Decimal(4)
        echo.save()
        (answer,) = live.board().answers
        assert Decimal(answer.cost) == Decimal("0.000200") + Decimal(4) * (len(TITLE) // 4) / 1_000_000

    def test_it_costs_what_holds_now(self, running, echo):
        echo.prices.all().delete()
        now = timezone.now()
        for hours, price in ((1, 64), (-1, 16), (-2, 32)):
            echo.prices.create(starts_at=now + timedelta(hours=hours), input_price=0, output_price=price)
        (answer,) = live.board().answers
        assert Decimal(answer.cost) == echo.cost(0, 100) == Decimal("0.0016")

    def test_before_its_first_price_it_costs_that(self, running, echo):
        echo.prices.all().delete()
        for hours, price in ((2, 64), (1, 16)):
            echo.prices.create(starts_at=timezone.now() + timedelta(hours=hours), input_price=0, output_price=price)
        (answer,) = live.board().answers
        assert Decimal(answer.cost) == echo.cost(0, 100) == Decimal("0.0016")

    def test_one_that_goes_on_has_no_speed(self, running):
        Generation.objects.update(first_delta_at=timezone.now() - timedelta(days=1))
        (answer,) = live.board().answers
        assert answer.rate is None

    def test_nothing_of_a_text_is_in_it(self, running):
        told = json.dumps(live.as_data(live.board(), with_titles=True))
        assert "xxx" not in told
        assert TITLE not in told  # it is made of a text
        assert called(running) in told
        assert str(running.message.conversation_id) not in json.dumps(live.as_data(live.board(), with_titles=False))

    def test_what_its_owner_deleted_has_no_name(self, running):
        Conversation.objects.update(deleted_at=timezone.now())
        assert called(running) not in json.dumps(live.as_data(live.board(), with_titles=True))

    def test_queries_do_not_grow_and_rows_are_cut(self, running, ask, echo, alice, monkeypatch):
        live.board()  # the health of the backends is known for some seconds
        pieces.fold([running.pk])

        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                live.board()
            return len(queries)

        few = count()
        conversations = Conversation.objects.bulk_create(
            Conversation(owner=alice, title=f"{n}", assistant=echo) for n in range(300)
        )
        answers = Message.objects.bulk_create(
            Message(conversation=conversation, role=Role.ASSISTANT) for conversation in conversations
        )
        Generation.objects.bulk_create(
            Generation(message=answer, assistant=echo, assistant_name="Echo", backend="echo", status=status)
            for answer, status in zip(answers, [Status.IN_PROGRESS, Status.QUEUED] * 150, strict=True)
        )
        now = live.board()
        assert count() == few
        assert (len(now.answers), now.queued, now.hidden) == (live.SHOWN, 150, 201)

    def test_a_backend_that_the_settings_forgot_is_there_while_it_is_asked(self, running):
        Generation.objects.update(backend="gone")
        assert "gone" in [line.alias for line in live.board().backends]


def called(generation: Generation) -> str:
    return f"Conversation {str(generation.message.conversation_id)[:8]}"


class TestPage:
    def test_it_works(self, board_page, running, ask, scripted):
        ask(scripted, "Waits")
        page = board_page()
        assert called(running) in page
        assert TITLE not in page
        assert "alice" in page
        assert f'data-answer="{running.pk}"' in page
        assert reverse("admin:live_cancel", args=[running.pk]) in page
        assert "xxx" not in page

    def test_titles_need_a_permission(self, client, running):
        client.force_login(helper("view_generation"))
        page = client.get(reverse("admin:live")).content.decode()
        assert "alice" in page
        assert called(running) not in page
        assert "Cancel" not in page.replace("level_", "")
        assert 'value="drain"' not in page
        assert 'value="restore"' not in page

    @pytest.mark.parametrize("name", ["live", "live_backend"])
    def test_it_needs_a_permission(self, client, name):
        client.force_login(helper("view_conversation"))
        assert client.get(reverse(f"admin:{name}")).status_code == 403

    def test_it_is_in_the_menu_of_those_who_may(self, board_page, client):
        assert reverse("admin:live") in client.get(reverse("admin:index")).content.decode()
        client.force_login(helper("view_conversation"))
        assert reverse("admin:live") not in client.get(reverse("admin:index")).content.decode()


class TestActs:
    def test_cancel_one(self, board_page, running, no_runner, staff):
        response = board_page.client.post(reverse("admin:live_cancel", args=[running.pk]))
        assert response.url == reverse("admin:live")
        running.refresh_from_db()
        assert (running.status, running.message.content) == (Status.CANCELLED, "x" * 300 + "y" * 100)
        assert no_runner == [running.pk]
        entry = AuditEntry.objects.get(action="generation.cancelled")
        assert (entry.actor, entry.target_id, entry.concerns_id) == (
            "staff",
            str(running.pk),
            running.message.conversation.owner_id,
        )
        assert "The answer was cancelled." in board_page()

    def test_one_that_is_over(self, board_page, running):
        Generation.objects.update(status=Status.COMPLETED)
        headers = {"accept": "application/json"}
        response = board_page.client.post(reverse("admin:live_cancel", args=[running.pk]), headers=headers)
        assert response.json() == {"said": "The answer was over already."}
        assert not AuditEntry.objects.filter(action="generation.cancelled").exists()

    def test_one_that_never_was(self, board_page):
        assert board_page.client.post(reverse("admin:live_cancel", args=[9999])).status_code == 404

    def test_all_of_a_backend(self, board_page, running, ask, echo, scripted, no_runner):
        for _ in range(3):
            ask(echo, "Waits")
        other = ask(scripted, "Another backend")
        board_page.client.post(reverse("admin:live_backend"), {"act": "cancel", "alias": "echo"})
        assert Generation.objects.filter(status=Status.CANCELLED).count() == 4
        assert Generation.objects.get(pk=other.pk).status == Status.QUEUED
        assert no_runner[-1] == running.pk  # those that wait first
        assert AuditEntry.objects.filter(action="generation.cancelled").count() == 4
        assert "4 answers were cancelled." in board_page()

    def test_thousands_take_several_requests(self, running, ask, echo, staff, monkeypatch):
        for _ in range(3):
            ask(echo, "Waits")
        monkeypatch.setattr(intervening, "BATCH", 1)
        monkeypatch.setattr(intervening, "AT_ONCE", 0.001)
        cancelled, left = intervening.cancel_all(staff, "echo")
        assert cancelled >= 1
        assert cancelled + left == 4

    def test_drain_and_bring_back(self, board_page, ask, echo):
        form = {"alias": "echo", "message": "  Back\0 at\nnoon. "}
        board_page.client.post(reverse("admin:live_backend"), {**form, "act": "drain"})
        drained = Drain.objects.get()
        assert (drained.alias, drained.message, drained.by) == ("echo", "Back at noon.", "staff")
        with pytest.raises(DrainedError, match=r"Back at noon\."):
            ask(echo, "Hello")
        assert "Back at noon." in board_page()
        board_page.client.post(reverse("admin:live_backend"), {"alias": "echo", "act": "restore"})
        ask(echo, "Hello")
        acts = AuditEntry.objects.filter(action__startswith="backend.").order_by("number")
        assert [(entry.action, entry.actor, entry.target) for entry in acts] == [
            ("backend.drained", "staff", "echo"),
            ("backend.restored", "staff", "echo"),
        ]
        assert "noon" not in str([entry.detail for entry in acts])

    def test_all_backends(self, board_page, ask, echo):
        board_page.client.post(reverse("admin:live_backend"), {"alias": Drain.EVERYTHING, "act": "drain"})
        with pytest.raises(DrainedError):
            ask(echo, "Hello")
        assert "All backends are drained" in board_page()
        board_page.client.post(reverse("admin:live_backend"), {"alias": Drain.EVERYTHING, "act": "restore"})
        ask(echo, "Hello")

    @pytest.mark.parametrize(("act", "permission"), [("cancel", "change_generation"), ("drain", "add_drain")])
    def test_each_act_needs_its_permission(self, client, running, act, permission):
        client.force_login(helper("view_generation"))
        form = {"act": act, "alias": "echo"}
        assert client.post(reverse("admin:live_backend"), form).status_code == 403
        User.objects.get(username="helper").user_permissions.add(Permission.objects.get(codename=permission))
        assert client.post(reverse("admin:live_backend"), form).status_code == 302

    def test_restoring_needs_one(self, client, echo):
        draining.drain("echo")
        client.force_login(helper("view_generation", "add_drain"))
        assert client.post(reverse("admin:live_backend"), {"act": "restore", "alias": "echo"}).status_code == 403
        assert Drain.objects.exists()

    def test_cancelling_needs_one(self, client, running):
        client.force_login(helper("view_generation"))
        assert client.post(reverse("admin:live_cancel", args=[running.pk])).status_code == 403
        assert Generation.objects.get().status == Status.IN_PROGRESS

    @pytest.mark.parametrize("form", [{}, {"act": "explode", "alias": "echo"}, {"act": "drain", "alias": "nothing"}])
    def test_nonsense(self, board_page, form):
        assert board_page.client.post(reverse("admin:live_backend"), form).status_code == 404

    def test_looking_changes_nothing(self, board_page, running):
        assert board_page.client.get(reverse("admin:live_cancel", args=[running.pk])).status_code == 405
        assert board_page.client.get(reverse("admin:live_backend")).status_code == 405


class Watcher:
    """Who reads the stream, in a task of its own as a server does."""

    def __init__(self, user):
        self.user, self.heard = user, []

    async def __aenter__(self):
        client = AsyncClient()
        await sync_to_async(client.force_login)(self.user)
        self.response = await client.get(reverse("chat:live_events"))
        self.task = asyncio.create_task(self.read())
        await self.hears("stream-open")
        return self

    async def __aexit__(self, *exc):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def read(self):
        async for chunk in self.response.streaming_content:
            self.heard.append(chunk.decode())

    async def hears(self, text):
        async with asyncio.timeout(5):
            while not any(text in chunk for chunk in self.heard):
                await asyncio.sleep(0.01)
        return next(chunk for chunk in self.heard if text in chunk)


class TestStream:
    async def test_it_works(self, staff, running):
        async with Watcher(staff) as watcher:
            await sync_to_async(live.tell_watchers)()
            frame = await watcher.hears("live.snapshot")
        data = json.loads(frame.split("data: ")[1].split("\n")[0])
        assert data["answers"][0]["person"] == "alice"
        assert data["answers"][0]["title"] == await sync_to_async(called)(running)

    async def test_titles_need_a_permission(self, db, running):
        async with Watcher(await sync_to_async(helper)("view_generation")) as watcher:
            await sync_to_async(live.tell_watchers)()
            frame = await watcher.hears("live.snapshot")
        assert '"alice"' in frame
        assert await sync_to_async(called)(running) not in frame

    @pytest.mark.parametrize("lost", ["view_generation", "staff", "view_conversation"])
    async def test_who_may_no_longer_is_sent_away(self, db, running, lost):
        user = await sync_to_async(helper)("view_generation", "view_conversation")
        async with Watcher(user) as watcher:
            await sync_to_async(events.end_revoked_streams)()
            await sync_to_async(live.tell_watchers)()
            await watcher.hears("live.snapshot")
            if lost == "staff":
                await User.objects.filter(pk=user.pk).aupdate(is_staff=False)
            else:
                await sync_to_async(user.user_permissions.remove)(await Permission.objects.aget(codename=lost))
            await sync_to_async(events.end_revoked_streams)()
            await watcher.hears("stream-error")
            async with asyncio.timeout(5):
                await watcher.task

    async def test_it_is_for_administrators(self, alice, db):
        for user in (alice, await sync_to_async(helper)("view_conversation")):
            assert await self.status(user) == 404
        assert (await AsyncClient().get(reverse("chat:live_events"))).status_code == 404

    async def test_staff_alone_is_not_enough(self, alice):
        """A permission without the admin is none either."""
        await sync_to_async(alice.user_permissions.add)(await Permission.objects.aget(codename="view_generation"))
        assert await self.status(alice) == 404

    async def status(self, user) -> int:
        client = AsyncClient()
        await sync_to_async(client.force_login)(user)
        return (await client.get(reverse("chat:live_events"))).status_code


def test_nobody_watches_and_it_costs_nothing(running, django_assert_num_queries):
    with django_assert_num_queries(0):
        live.tell_watchers()
