"""Those who wait: who is next, what they are told, and how many answers one person may have going."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.urls import reverse

from backends import Stage, chat_backends
from chat import pieces
from chat.drafts import Draft, Drafts
from chat.generation import (
    LostGenerationError,
    Question,
    TooManyUnfinishedError,
    cancel_generation,
    regenerate,
    start_conversation,
)
from chat.models import Assistant, Conversation, Generation, Message, Status, User
from chat.queue import claim, show_queue
from chat.runner import Runner
from chat.writing import build_request, run_generation
from tests.backends.fake_openai import FakeOpenAI
from tests.fakes import ScriptedBackend, claim_one
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ask_as(scripted: Assistant) -> Callable[[User], Generation]:
    """Queue an answer that never ends."""

    def start(user: User) -> Generation:
        return start_conversation(user, Question(content="forever", assistant=scripted, key=uuid.uuid4()))

    return start


def owner(generation: Generation) -> int:
    return generation.message.conversation.owner_id


def stages(published) -> list[tuple[int, str, int | None]]:
    return [
        (data["message"], data["stage"], data["position"])
        for _, event, data in published
        if event == "generation.stage"
    ]


class TestClaim:
    def test_it_works(self, alice, charlie, ask_as):
        """Charlie came last, behind Alice's three tabs, and is served second."""
        first, second, third = (ask_as(alice) for _ in range(3))
        charlies = ask_as(charlie)
        assert claim("worker", 10) == [first, charlies, second, third]

    def test_what_is_in_progress_counts(self, alice, charlie, ask_as):
        ask_as(alice)
        claim("worker", 1)
        ask_as(alice)
        charlies = ask_as(charlie)
        assert claim("another-worker", 1) == [charlies]

    def test_what_is_over_does_not_count(self, alice, charlie, ask_as):
        for _ in range(3):
            cancel_generation(ask_as(alice))
        first, second = ask_as(alice), ask_as(charlie)
        assert claim("worker", 2) == [first, second]

    @pytest.mark.parametrize("seed", range(6))
    def test_nobody_waits_for_the_second_answer_of_somebody_else(self, seed, ask_as, settings):
        """Whatever was asked, claimed and ended before: who is taken has the fewest in progress of all who wait."""
        settings.CHAT_MAX_UNFINISHED_PER_USER = 1000
        chance = random.Random(seed)
        users = [User.objects.create_user(f"user{number}") for number in range(4)]
        for _ in range(12):
            for user in chance.choices(users, weights=[10, 3, 1, 1], k=chance.randint(0, 4)):
                ask_as(user)
            for running in Generation.objects.running():
                if chance.random() < 0.3:
                    cancel_generation(running)
            waiting = [owner(generation) for generation in Generation.objects.queued().order_by("queued_at", "pk")]
            running = Counter(owner(generation) for generation in Generation.objects.running())
            for taken in claim("worker", chance.randint(1, 3)):
                fewest = min(running[user] for user in waiting)
                expected = next(user for user in waiting if running[user] == fewest)
                assert owner(taken) == expected
                waiting.remove(expected)
                running[expected] += 1

    def test_it_takes_one_query(self, alice, ask_as, django_assert_num_queries):
        for _ in range(5):
            ask_as(alice)
        with django_assert_num_queries(1):
            list(Generation.objects.in_turn())


class TestShowQueue:
    def test_it_works(self, alice, charlie, ask_as, published, alice_client):
        """Those who wait are told their places in the order in which they will be taken, also after a reload."""
        first, second, charlies = ask_as(alice), ask_as(alice), ask_as(charlie)
        show_queue()
        assert stages(published) == [
            (first.pk, "queued", 1),
            (charlies.pk, "queued", 2),
            (second.pk, "queued", 3),
        ]
        page = alice_client.get(second.message.conversation.get_absolute_url()).content.decode()
        assert 'data-position="3"><span data-stage-text>Waiting, place 3 in the queue<' in page
        page = alice_client.get(first.message.conversation.get_absolute_url()).content.decode()
        assert 'data-position="1"><span data-stage-text>Next in line<' in page

    def test_it_tells_only_what_changed(self, alice, ask_as, published, django_assert_num_queries):
        _, second = ask_as(alice), ask_as(alice)
        show_queue()
        published.clear()
        with django_assert_num_queries(1):
            show_queue()
        assert stages(published) == []
        claim("worker", 1)
        published.clear()
        show_queue()
        assert stages(published) == [(second.pk, "queued", 1)]

    def test_who_is_taken_has_no_place_any_more(self, alice, ask_as, published, alice_client):
        generation = ask_as(alice)
        show_queue()
        claimed = claim_one("worker")
        assert stages(published)[-1] == (generation.pk, "queued", None)
        assert (claimed.stage, claimed.stage_position) == ("", None)
        page = alice_client.get(generation.message.conversation.get_absolute_url()).content.decode()
        assert 'data-position=""><span data-stage-text>Waiting…<' in page

    def test_who_is_taken_meanwhile_keeps_what_the_worker_wrote(self, alice, ask_as, monkeypatch):
        ask_as(alice)
        bulk_update = type(Generation.objects.queued()).bulk_update

        def claim_first(self, *args, **kwargs):
            claim("another-worker", 1)
            return bulk_update(self, *args, **kwargs)

        monkeypatch.setattr(type(Generation.objects.queued()), "bulk_update", claim_first)
        show_queue()
        taken = Generation.objects.get()
        assert (taken.status, taken.stage, taken.stage_position) == (Status.IN_PROGRESS, "", None)

    def test_the_runner_shows_it_while_it_has_no_room(self, alice, ask_as, settings, published):
        settings.CHAT_MAX_RUNNING = 1
        first, second = ask_as(alice), ask_as(alice)
        runner = Runner()
        runner.wake()
        try:
            until(lambda: (second.pk, "queued", 1) in stages(published))
            assert (first.pk, "queued", 1) not in stages(published)
            cancel_generation(first)
            runner.cancel(first.pk)
            until(lambda: Generation.objects.running().filter(pk=second.pk).exists())
        finally:
            runner.stop()


class TestStages:
    """What a backend says before the text, as Draft stores and tells it."""

    @pytest.fixture
    def draft(self, alice, ask_as) -> Draft:
        ask_as(alice)
        self.generation = claim_one("worker")
        return Drafts().open(self.generation)

    async def until_told(self, published, count: int) -> None:
        async with asyncio.timeout(5):
            while len(stages(published)) < count:
                await asyncio.sleep(0.01)

    async def stored(self) -> tuple[str, int | None]:
        stored = await Generation.objects.aget(pk=self.generation.pk)
        return stored.stage, stored.stage_position

    async def test_it_works(self, draft, published):
        pk = self.generation.pk
        draft.show(Stage("queued", 3))
        await self.until_told(published, 1)
        assert await self.stored() == ("queued", 3)
        draft.show(Stage("loading", progress=0.25))
        await self.until_told(published, 2)
        assert await self.stored() == ("loading", None)
        draft.append("Hello")
        await draft.close()
        assert stages(published) == [(pk, "queued", 3), (pk, "loading", None)]
        assert [data["progress"] for _, event, data in published if event == "generation.stage"] == [None, 0.25]
        assert await asyncio.to_thread(pieces.texts, [pk]) == {pk: (0, "Hello")}

    async def test_places_are_stored_now_and_then_and_the_newest_is_not_lost(self, draft, published, monkeypatch):
        monkeypatch.setattr("chat.drafts.STAGE_INTERVAL", 0.2)
        draft.show(Stage("queued", 9))
        await self.until_told(published, 1)
        for position in (8, 7, 6, 5):
            draft.show(Stage("queued", position))
            await asyncio.sleep(0.01)
        await self.until_told(published, 2)
        assert [position for _, _, position in stages(published)] == [9, 5]
        assert await self.stored() == ("queued", 5)
        await draft.close()

    async def test_text_does_not_wait_for_a_stage(self, draft, published, monkeypatch):
        monkeypatch.setattr("chat.drafts.STAGE_INTERVAL", 60)
        draft.show(Stage("queued", 1))
        await self.until_told(published, 1)
        draft.append("Hello")
        async with asyncio.timeout(5):
            while not any(event == "message.delta" for _, event, _ in published):
                await asyncio.sleep(0.01)
        draft.show(Stage("loading"))
        await draft.close()
        assert len(stages(published)) == 1

    async def test_an_empty_piece_is_no_text(self, draft, published):
        draft.append("")
        draft.show(Stage("queued", 2))
        await self.until_told(published, 1)
        await draft.close()

    async def test_closing_does_not_wait_for_a_stage(self, draft, published, monkeypatch):
        monkeypatch.setattr("chat.drafts.STAGE_INTERVAL", 60)
        draft.show(Stage("queued", 1))
        await self.until_told(published, 1)
        async with asyncio.timeout(5):
            await draft.close()

    async def test_progress_is_told_and_not_stored(self, draft, published, monkeypatch, django_assert_num_queries):
        monkeypatch.setattr("chat.drafts.PROGRESS_INTERVAL", 0.01)
        draft.show(Stage("loading", progress=0.1))
        await self.until_told(published, 1)
        monkeypatch.setattr("chat.drafts._store_stage", None)
        for progress in (0.2, 0.2001, 0.3):
            draft.show(Stage("loading", progress=progress))
            await asyncio.sleep(0.05)
        await draft.close()
        told = [data["progress"] for _, event, data in published if event == "generation.stage"]
        assert told == [0.1, 0.2, 0.3]

    async def test_who_cancels_while_waiting_stops_the_backend(self, draft, published):
        draft.show(Stage("queued", 2))
        await self.until_told(published, 1)
        await asyncio.to_thread(cancel_generation, self.generation)
        draft.show(Stage("loading"))
        with pytest.raises(LostGenerationError):
            await draft.close()
        with pytest.raises(LostGenerationError):
            draft.show(Stage("reading"))

    @pytest.mark.parametrize(
        ("wrong", "position", "progress"),
        [
            (Stage("queued", 0), None, None),
            (Stage("queued", -3), None, None),
            (Stage("queued", 10**12), None, None),
            (Stage("loading", 3, float("nan")), None, None),
            (Stage("loading", progress=7.0), None, None),
            (Stage("reading", 2, 0.5), None, None),
            (Stage("thinking about it", 2), 2, None),
        ],
    )
    async def test_wrong_numbers_cost_no_more_than_themselves(self, draft, published, wrong, position, progress):
        draft.show(Stage("writing"))
        await self.until_told(published, 1)
        draft.show(wrong)
        await self.until_told(published, 2)
        data = published[-1][2]
        assert data["stage"] in {"queued", "loading", "reading"}
        assert (data["position"], data["progress"]) == (position, progress)
        await draft.close()

    def test_a_reload_shows_the_newest(self, alice, ask_as, alice_client):
        generation = ask_as(alice)
        claim_one("worker")
        page = generation.message.conversation.get_absolute_url()
        for stage, position, words in (
            ("", None, "Waiting…"),
            ("queued", 12, "Waiting, place 12 in the queue"),
            ("queued", 1, "Next in line"),
            ("loading", None, "Loading the model…"),
            ("reading", None, "Reading…"),
        ):
            Generation.objects.update(stage=stage, stage_position=position)
            shown = alice_client.get(page).content.decode()
            assert f"<span data-stage-text>{words}</span>" in shown
            assert ("hidden></progress>" not in shown) == (stage == "loading")
        snapshot = alice_client.get(reverse("chat:messages", args=[generation.message.conversation_id])).json()
        assert (snapshot["messages"][-1]["stage"], snapshot["messages"][-1]["position"]) == ("reading", None)


class TestBound:
    @pytest.fixture(autouse=True)
    def _bound(self, settings, no_runner) -> None:
        settings.CHAT_MAX_UNFINISHED_PER_USER = 2

    def post(self, client, **headers):
        form = {"content": "my long text", "key": str(uuid.uuid4()), "assistant": "scripted"}
        return client.post(reverse("chat:home"), form, headers=headers)

    def test_it_works(self, alice, charlie, alice_client, charlie_client, ask_as):
        ask_as(alice)
        last = ask_as(alice)
        refused = self.post(alice_client, accept="application/json")
        assert refused.status_code == 429
        assert "Wait for one of them" in refused.json()["errors"]["__all__"][0]
        assert Conversation.objects.count() == 2
        assert self.post(charlie_client).status_code == 302
        cancel_generation(last)
        assert self.post(alice_client).status_code == 302

    def test_the_text_comes_back_without_javascript(self, alice, alice_client, ask_as):
        ask_as(alice)
        ask_as(alice)
        refused = self.post(alice_client)
        assert refused.status_code == 429
        assert "my long text" in refused.content.decode()
        assert "Wait for one of them" in refused.content.decode()

    def test_the_same_message_again_is_not_refused(self, alice, scripted):
        question = Question(content="forever", assistant=scripted, key=uuid.uuid4())
        first = start_conversation(alice, question)
        start_conversation(alice, Question(content="forever", assistant=scripted, key=uuid.uuid4()))
        assert start_conversation(alice, question) == first

    def test_it_holds_for_answering_again(self, alice, alice_client, ask_as, scripted):
        over = ask_as(alice)
        cancel_generation(over)
        ask_as(alice)
        ask_as(alice)
        message = Message.objects.select_related("conversation", "generation").get(pk=over.pk)
        with pytest.raises(TooManyUnfinishedError):
            regenerate(message, scripted)
        url = reverse("chat:regenerate", args=[message.conversation_id, message.pk])
        assert alice_client.post(url).status_code == 429
        assert alice_client.post(url, headers={"accept": "application/json"}).status_code == 429

    def test_what_is_over_does_not_count(self, alice, ask_as):
        for _ in range(5):
            cancel_generation(ask_as(alice))
        assert Generation.objects.count() == 5


class TestUser:
    def test_it_is_opaque_and_stays_the_same(self, alice, charlie, ask_as, settings):
        names = [build_request(ask_as(user)).user for user in (alice, alice, charlie)]
        assert names[0] == names[1] != names[2]
        assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in names)
        settings.SECRET_KEY = "another"
        assert build_request(Generation.objects.first()).user not in names

    def test_no_hosted_provider_is_told(self, alice, settings):
        with FakeOpenAI() as server:
            options = {"model": "fake", "api_key": "key", "base_url": server.base_url}
            settings.CHAT_BACKENDS = {"openai": {"BACKEND": "backends.openai.OpenAIBackend", "OPTIONS": options}}
            assistant = Assistant.objects.create(name="OpenAI", slug="openai", backend="openai")
            start_conversation(alice, Question(content="ok please", assistant=assistant, key=uuid.uuid4()))
            claimed = claim_one("worker")

            async def run() -> None:
                await run_generation(claimed)
                await chat_backends["openai"].aclose()

            asyncio.run(run())
        assert Generation.objects.get().status == Status.COMPLETED
        (request,) = server.received
        assert "user" not in request.body
        assert build_request(claimed).user not in f"{request.body} {request.headers}"

    def test_the_backend_is_told(self, alice, scripted, ask_as):
        start_conversation(alice, Question(content="length", assistant=scripted, key=uuid.uuid4()))
        claimed = claim_one("worker")
        asyncio.run(run_generation(claimed))
        assert ScriptedBackend.requests[-1].user == build_request(claimed).user
