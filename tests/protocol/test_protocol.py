"""docs/streaming.md against the real server side: whatever happens on the way, the reader comes to have what is stored.

The ring, the channels and django-eventstream's stream are those of the site; only texts are in memory.
"""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from asgiref.sync import sync_to_async
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chat import events
from chat.events import delivery
from chat.events.ring import frame_of
from chat.models import Message
from chat.writing import run_generation
from tests.fakes import claim_one
from tests.protocol import golden, vectors
from tests.protocol.eventsource import EventSource, Heard
from tests.protocol.reader import Reader
from tests.protocol.server import CHANNEL, LIST, PAGE, Connection, Server, evict, restart, with_empty_ring

RING = 60
"""Events that the ring keeps here."""
NASTY = [
    "\r\n",
    "\r",
    "\n\n",
    "\u2028",
    "\u2029",
    "\x85",
    "data: x",
    "\n\nevent: stream-reset\ndata:\n\n",
    "😀",
    "e\u0301",
    "👩‍👩‍👧",
    "\ufeff",
]
TEXTS = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
)
PICKS = st.integers(0, 1_000)
ENDS = ["completed", "incomplete", "cancelled", "failed"]
GARBAGE = [
    "nonsense",
    ":",
    ",",
    "a:b:c",
    f"{CHANNEL}:",
    f"{CHANNEL}:x",
    f"{CHANNEL}:-1",
    f"{CHANNEL}:0",
    f"{CHANNEL}:²",
    "%%%:1,",
]
FOREIGN = ["conversation-x:1", f"{LIST}:1", f"{CHANNEL}:1,user-2:1", f"{CHANNEL}:{2**62},{LIST}:{2**62}"]
RACES = st.sampled_from(
    ["", "heard", "heard", "after a snapshot", "heard after a snapshot", "heard before a snapshot comes"]
)
"""What the reader does when something happens: nothing, hears it, or has a snapshot read before it."""
PLACES = st.one_of(st.sampled_from(["own", "own", "old", "snapshot", ""]), st.sampled_from([*GARBAGE, *FOREIGN]))


class Protocol(RuleBasedStateMachine):
    """A server, a reader, and a network between them that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.monkeypatch = pytest.MonkeyPatch()
        with_empty_ring(self.monkeypatch)
        self.monkeypatch.setattr("chat.events.ring.RING_EVENTS", RING)
        self.loop = asyncio.new_event_loop()
        self.server, self.reader, self.source = Server(), Reader(), EventSource()
        self.connection: Connection | None = None
        self.wire: list[Heard] = []
        """What the network holds: read by the source, not by the reader."""
        self.shown: dict[int, str] = {}
        """What the reader showed one step ago."""
        self.ids: list[str] = []
        self.asked_at: int | None = None
        self.snapshot: dict | None = None
        self.is_tampered = False
        """The network did what no network does: it lost something in the middle, or changed an order."""
        self.is_elsewhere = False
        """Another tab shows another branch, which no event tells."""

    def teardown(self) -> None:
        self.cut(0)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.monkeypatch.undo()

    @initialize(text=TEXTS)
    def load_the_page(self, text):
        self.server.ask("first question", None)
        self.source.last_event_id = events.current_event_id([LIST, CHANNEL])
        self.server.append(1 + 1, text)
        asked_at = self.reader.ask()
        self.reader.take(self.server.snapshot()["messages"], asked_at)

    # What happens to the messages

    def pick(self, pick: int, *, unfinished: bool) -> int | None:
        """Return an answer, more likely one of the newest."""
        messages = reversed(self.server.messages.items())
        answers = [key for key, stored in messages if stored.status and stored.is_unfinished == unfinished]
        return answers[pick % min(len(answers), 1 + pick % 3)] if answers else None

    def before(self, how: str) -> None:
        if "snapshot" in how:
            self.snap("ask and read")

    def after(self, how: str) -> None:
        if how.startswith("heard"):
            self.hear()
        if how.endswith("comes"):
            self.snap("take")

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=3), pick=PICKS, how=RACES)
    def write(self, texts, pick, how):
        self.before(how)
        if answer := self.pick(pick, unfinished=True):
            for text in texts:
                self.server.append(answer, text)
        self.after(how)

    @rule(verb=st.sampled_from(["end", "resume", "cancel", "tell_stage"]), pick=PICKS, text=TEXTS, how=RACES)
    def happen(self, verb, pick, text, how):
        self.before(how)
        answer = self.pick(pick, unfinished=verb != "resume")
        if answer and verb == "end":
            self.server.end(answer, ENDS[pick % len(ENDS)])
        elif answer and verb == "resume":
            self.server.resume(answer)
        elif answer and verb == "cancel":
            # Somebody else ends the answer between the storing and the publishing of a piece.
            late = self.server.append(answer, text, publish=False)
            self.server.end(answer, "cancelled")
            events.publish(CHANNEL, *late)
        elif answer:
            self.server.stage(answer)
        self.after(how)

    @rule(verb=st.sampled_from(["ask", "edit", "regenerate", "show"]), pick=PICKS, text=TEXTS, how=RACES)
    def turn(self, verb, pick, text, how):
        self.before(how)
        messages = self.server.messages
        questions = [key for key, stored in messages.items() if stored.status is None]
        answers = [key for key, stored in messages.items() if stored.status is not None]
        self.is_elsewhere = verb == "show"
        if verb == "ask":
            self.server.ask(text, self.server.leaf)
        elif verb == "edit":
            self.server.ask(text, messages[questions[pick % len(questions)]].parent)
        elif verb == "regenerate":
            self.server.regenerate(answers[pick % len(answers)])
        else:
            self.server.leaf = answers[pick % len(answers)]
        self.after(how)

    @rule(what=st.sampled_from(["restart", "forget", "forget the list", "evict", "flood", "overflow"]), pick=PICKS)
    def trouble(self, what, pick):
        """The server forgets, or says more than a listener keeps, or more than the ring does."""
        answer = self.pick(pick, unfinished=True)
        if what == "restart":
            self.cut(20)
            restart()
        elif what == "evict":
            evict(CHANNEL)
        elif what.startswith("forget"):
            delivery.forget([LIST if "list" in what else CHANNEL])
        elif answer:
            for number in range(12 if what == "flood" else RING + 20):
                self.server.append(answer, f"{number} ")

    # What happens on the way

    def read(self) -> None:
        self.feed(self.loop.run_until_complete(self.connection.read()))

    def feed(self, body: bytes) -> None:
        self.wire += self.source.feed(body)
        self.ids.append(self.source.last_event_id)

    def hear(self) -> None:
        if self.connection is None:
            self.connect("own")
        self.read()
        self.deliver(len(self.wire))

    @rule(lost=st.sampled_from([0, 1, 2, 20, 150, 600]))
    def cut(self, lost):
        """End the connection; some of what the server wrote does not arrive."""
        if self.connection:
            if lost:
                self.feed(self.loop.run_until_complete(self.connection.read())[:-lost])
            self.loop.run_until_complete(self.connection.close())
        self.connection = None

    @precondition(lambda self: self.connection is None)
    @rule(last_event_id=PLACES, pick=PICKS, by_url=st.booleans())
    def connect(self, last_event_id, pick=0, by_url=False):
        if last_event_id == "own":
            last_event_id = self.source.last_event_id
        elif last_event_id == "old":
            last_event_id = self.ids[pick % len(self.ids)] if self.ids else ""
        elif last_event_id == "snapshot":
            last_event_id = self.fetch()
        self.source.last_event_id = last_event_id
        self.source.reconnect()
        self.connection, first = self.loop.run_until_complete(Connection.open(last_event_id, by_url=by_url))
        self.feed(first)
        if not last_event_id:
            # It begins where the server is now, and does not say that this is another place.
            self.deliver(len(self.wire))
            self.reader.fail()

    @precondition(lambda self: self.connection)
    @rule(count=st.integers(0, 5))
    def deliver_some(self, count):
        self.read()
        self.deliver(count)

    def deliver(self, count: int) -> None:
        arrived, self.wire = self.wire[:count], self.wire[count:]
        for heard in arrived:
            self.reader.hear(heard.event, heard.json)

    @precondition(lambda self: len(self.wire) > 1)
    @rule(how=st.sampled_from(["repeat", "reorder", "swallow"]), pick=PICKS, other=PICKS)
    def tamper(self, how, pick, other):
        pick %= len(self.wire)
        if how == "repeat":
            self.wire.insert(pick, self.wire[pick])
            return
        taken = self.wire.pop(pick)
        if how == "reorder":
            self.wire.insert(other % (len(self.wire) + 1), taken)
        self.is_tampered = True

    # Snapshots

    @rule(step=st.sampled_from(["ask", "ask and read", "read", "take", "lose"]))
    def snap(self, step):
        if step.startswith("ask") and self.asked_at is None:
            self.asked_at = self.reader.ask()
        if self.asked_at is None:
            return
        if step == "lose":
            self.reader.fail()
            self.asked_at = self.snapshot = None
            return
        if step != "ask":
            self.snapshot = self.snapshot or self.server.snapshot()
        if step == "take":
            self.reader.take(self.snapshot["messages"], self.asked_at)
            self.asked_at = self.snapshot = None

    def fetch(self) -> str:
        """Take a snapshot at once; return its place."""
        for step in ("lose", "ask and read"):
            self.snap(step)
        place = self.snapshot["event_id"]
        self.snap("take")
        return place

    # What holds

    @invariant()
    def what_is_shown_is_stored(self):
        for message, text in self.reader.texts.items():
            assert self.server.messages[message].text.startswith(text)

    @invariant()
    def nothing_is_taken_back(self):
        for message, text in self.reader.texts.items():
            assert text.startswith(self.shown.get(message, ""))
        self.shown = self.reader.texts

    @invariant()
    def what_is_shown_is_a_branch(self):
        shown = list(self.reader.branch)
        assert [self.server.messages[message].parent for message in shown[1:]] == shown[:-1]

    @rule()
    def heal(self):
        """The network works again, and the reader follows the rule: it has what is stored."""
        if self.is_tampered:
            self.cut(0)
        if self.connection is None:
            self.connect("own")
        self.settle()
        if self.is_tampered:
            # What was lost in the middle is found by what follows it.
            while answer := self.pick(0, unfinished=True):
                self.server.end(answer, "completed")
            self.server.ask("next question", self.server.leaf)
            self.is_elsewhere = False
            self.settle()
            self.is_tampered = False
        texts = self.reader.texts
        assert texts == {message: self.server.messages[message].text for message in texts}
        assert self.reader.running == [message for message in texts if self.server.messages[message].is_unfinished]
        if not self.is_elsewhere:
            assert list(texts) == self.server.branch[-len(texts) :]
            assert len(texts) >= min(PAGE, len(self.server.branch))

    def settle(self) -> None:
        for _ in range(4):
            self.read()
            self.deliver(len(self.wire))
            self.snap("take")
            if not self.reader.needs_snapshot:
                return
            self.fetch()
        assert not self.reader.needs_snapshot


def test_the_reader_comes_to_have_what_is_stored():
    patient = settings(max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Protocol, settings=patient)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[begin:end] for begin, end in pairwise(edges)]


@pytest.fixture
def empty_ring(monkeypatch):
    with_empty_ring(monkeypatch)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(TEXTS, max_size=8), places=st.lists(PICKS | st.integers(1_900, 4_000), max_size=30))
def test_frames_cut_anywhere_give_back_the_events(empty_ring, texts, places):
    async def written() -> bytes:
        connection, first = await Connection.open(events.current_event_id([LIST, CHANNEL]))
        for text in texts:
            events.publish(CHANNEL, "message.delta", {"text": text})
        body = first + await connection.read()
        await connection.close()
        return body

    body = asyncio.run(written())
    source = EventSource()
    heard = [event for chunk in cut(body, places) for event in source.feed(chunk)]
    assert heard[0] == Heard("stream-open", "", "")
    assert [event.json["text"] for event in heard[1:]] == texts
    assert {event.event for event in heard[1:]} <= {"message.delta"}
    assert source.retry == 1000


@given(TEXTS)
def test_a_field_of_a_frame_has_no_line_break(text):
    frame = frame_of("message.delta", json.dumps({"text": text}))
    assert frame.isascii()
    assert "\r" not in frame
    assert [line.partition(":")[0] for line in frame.split("\n")] == ["event", "data", ""]


@pytest.mark.django_db(transaction=True)
async def test_what_a_generation_publishes_is_read_to_its_text(ask, scripted, published, no_runner):
    """Not only the server in memory: an answer of the real one, heard from its first event on."""
    generation = await sync_to_async(ask)(scripted, "markdown")
    await run_generation(await sync_to_async(claim_one)("worker"))
    reader = Reader()
    for channel, event, data in published:
        if channel == events.conversation_channel(generation.message.conversation_id):
            reader.hear(event, data)
    message = await Message.objects.aget(pk=generation.pk)
    assert message.content
    assert list(reader.texts.values()) == ["", message.content]
    assert reader.running == []


def test_the_golden_frames_are_what_the_server_writes():
    """After a change of the frames delete the file."""
    written = golden.write()
    if not golden.FILE.exists():
        golden.FILE.write_bytes(written)
        pytest.fail("It was written anew.")
    assert golden.FILE.read_bytes() == written


def test_vectors_are_what_the_reader_does():
    """After a change of the rule: ``python -m tests.protocol.vectors``, and look at what changed."""
    assert vectors.FILE.read_text(encoding="utf-8") == vectors.as_json()
    assert len(vectors.CASES) >= 40
