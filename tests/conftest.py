"""Alice owns; Charlie must not see."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from backends import chat_backends
from chat import banners, events, health, remembered
from chat.generation import Question, start_conversation
from chat.models import Assistant, Conversation, Generation, Kept, User
from chat.retention import rules as retention
from chat.runner import runner

PASSWORD = "a-long-enough-password"


@pytest.fixture(autouse=True)
def _fresh_backends() -> Iterator[None]:
    chat_backends.reset()
    remembered.forget_all()
    cache.clear()
    yield
    chat_backends.reset()


@pytest.fixture(autouse=True)
def _here_to_stay() -> Iterator[None]:
    """A test may have told this process to leave, which it does only once."""
    yield
    health._is_leaving.clear()


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A page in another language leaves it behind in this thread."""
    with translation.override("en"):
        yield


@pytest.fixture
def alice(db: None) -> User:
    # What is read once in a while was read, as on a site that runs.
    banners.on_now()
    retention.rules(Kept.CONVERSATIONS)
    return User.objects.create_user("alice", "alice@example.org", PASSWORD)


@pytest.fixture
def charlie(db: None) -> User:
    return User.objects.create_user("charlie", "charlie@example.org", PASSWORD)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("staff", "staff@example.org", PASSWORD)


@pytest.fixture
def alice_client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def charlie_client(charlie: User) -> Client:
    client = Client()
    client.force_login(charlie)
    return client


@pytest.fixture
def echo(db: None) -> Assistant:
    return Assistant.objects.create(name="Echo", slug="echo", backend="echo", order=1)


@pytest.fixture
def scripted(db: None) -> Assistant:
    return Assistant.objects.create(name="Scripted", slug="scripted", backend="scripted", order=2)


@pytest.fixture
def ask(alice: User) -> Callable[[Assistant, str], Generation]:
    """Queue an answer in a new conversation of Alice's."""

    def start(assistant: Assistant, content: str) -> Generation:
        return start_conversation(alice, Question(content=content, assistant=assistant, key=uuid.uuid4()))

    return start


@pytest.fixture
def conversation(ask: Callable[[Assistant, str], Generation], echo: Assistant) -> Conversation:
    return ask(echo, "Hello there").message.conversation


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict]]:
    """Collect what is published, as ``mail.outbox`` does for mails, and still publish it."""
    outbox: list[tuple[str, str, dict]] = []
    publish_all = events.publish_all

    def collect(messages: Iterable[events.Message]) -> None:
        messages = list(messages)
        outbox.extend(messages)
        publish_all(messages)

    monkeypatch.setattr(events, "publish_all", collect)
    monkeypatch.setattr(events, "publish", lambda *message: collect([events.Message(*message)]))
    return outbox


@pytest.fixture
def no_runner(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Keep the runner asleep; answers stay queued. Collects what it was asked to cancel."""
    cancelled: list[int] = []
    monkeypatch.setattr(runner, "wake", lambda: None)
    monkeypatch.setattr(runner, "cancel", cancelled.append)
    return cancelled
