"""What people bring: looked at first, imported once, undone; and files that mean harm or are broken."""

from __future__ import annotations

import asyncio
import io
import json
import time
import uuid
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from chat import sharing
from chat.conversations import rename_conversation
from chat.generation import Question, is_continuable, start_generation
from chat.models import Assistant, Conversation, Generation, ImportBatch, Message, Role, Status, User
from chat.retention.deleting import erase_conversation
from chat.storable import storable
from chat.transfer import json_pieces, trees, uploads
from chat.transfer.collecting import carried
from chat.transfer.formats import format_of, own
from chat.transfer.importing import import_some
from chat.transfer.reports import read_upload
from chat.transfer.shape import CarriedConversation, as_data, as_json, document
from chat.transfer.storing import messages_stored
from chat.transfer.undoing import undo_some
from chat.transfer.values import UnreadableError
from chat.writing import run_generation
from tests.fakes import claim_one

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # each try writes to the database
db = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

EXPORTS = Path(__file__).parent / "exports"


def read(owner, data, name="conversations.json") -> ImportBatch:
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return read_upload(owner, io.BytesIO(data), name)


def bring(owner, data) -> ImportBatch:
    batch = read(owner, data)
    assert import_some(batch, 60)
    batch.refresh_from_db()
    return batch


def undo(batch) -> None:
    assert undo_some(batch, 60)
    batch.refresh_from_db()


def fixture(name) -> list:
    return json.loads((EXPORTS / f"{name}.json").read_text())


def plans(batch) -> list[str]:
    return list(batch.items.values_list("plan", flat=True))


def outcomes(batch) -> list[str]:
    return list(batch.items.values_list("outcome", flat=True))


def told(batch) -> str:
    return " ".join(note for item in batch.items.all() for note in item.notes)


def tree(conversation) -> list[tuple]:
    """Return parent, role and text of each message, parents by their place."""
    messages = list(conversation.messages.all())
    places = {message.pk: place for place, message in enumerate(messages)}
    return [(places.get(message.parent_id), message.role, message.content) for message in messages]


def own_conversation(**changes) -> dict:
    return {
        "id": "one",
        "title": "One",
        "leaf": "2",
        "messages": [
            {"id": "1", "parent": None, "role": "user", "content": "Question"},
            {"id": "2", "parent": "1", "role": "assistant", "content": "Answer", "generation": {"assistant_name": "A"}},
        ],
        **changes,
    }


class TestChatGPT:
    pytestmark = db

    def test_it_works(self, alice):
        batch = bring(alice, fixture("chatgpt"))
        assert outcomes(batch) == ["imported", "imported", "", "imported"]
        conversation = Conversation.objects.get(title="Resumable streams")
        first, second = "[A file that was not imported: diagram.png]", "[An image that was not imported]"
        assert tree(conversation) == [
            (None, "user", "How do I resume a stream?"),
            (0, "assistant", "Use an **event id**."),
            (0, "assistant", "Keep a ring of events, says Acme."),
            (2, "user", f"{first}\n\n{second}\n\nWhat is in this picture, and 2**10?"),
            (3, "assistant", "```python\nprint(2**10)\n```\n\n```\n1024\n```\n\nIt is 1024."),
        ]
        assert conversation.leaf == conversation.messages.last()
        assert conversation.is_pinned
        assert conversation.created_at == datetime.fromtimestamp(1733000000.123456, UTC)
        assert conversation.updated_at == datetime.fromtimestamp(1733000500.654321, UTC)
        names = Generation.objects.filter(message__conversation=conversation).order_by("pk")
        assert list(names.values_list("assistant_name", flat=True)) == ["gpt-4", "gpt-4o", "gpt-4o"]
        assert {(g.status, g.backend, g.cost, g.is_imported) for g in names} == {("completed", "ChatGPT", 0, True)}
        assert not Generation.objects.written_here().exists()
        assert "secret thought" not in str(tree(conversation))
        assert "Steps of searches and tools were left out: 2." in told(batch)

    def test_odd_ones(self, alice):
        batch = bring(alice, fixture("chatgpt"))
        korean = Conversation.objects.get(is_archived=True)
        assert korean.title == "안녕하세요, 기록을 저장해 주세요"
        answer = korean.messages.last()
        assert answer.content == "네,\ufffd 저장했"
        assert (answer.generation.status, answer.generation.finish_reason) == ("incomplete", "length")
        assert not is_continuable(answer)  # what wrote it is not here
        voice = Conversation.objects.get(title="Voice")
        assert [content for _, _, content in tree(voice)] == [
            "What is the weather?\n\n[A recording that was not imported]",
            "Sunny.\n\n[A recording that was not imported]",
        ]
        hidden = batch.items.get(title="Only hidden")
        assert (hidden.plan, hidden.notes) == ("refused", ["It has no messages."])

    def test_a_zip_with_what_else_is_in_it(self, alice):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("user.json", '{"email": "kim@example.org"}')
            archive.writestr("chat.html", "<html>")
            archive.writestr("conversations-000.json", json.dumps(fixture("chatgpt")[:2]))
            archive.writestr("conversations-001.json", json.dumps(fixture("chatgpt")[2:]))
        batch = read(alice, file.getvalue(), "export.zip")
        assert plans(batch) == ["new", "new", "refused", "new"]
        assert batch.problems == []

    def test_the_page_shows_it(self, alice, alice_client):
        bring(alice, fixture("chatgpt"))
        conversation = Conversation.objects.get(title="Resumable streams")
        page = alice_client.get(conversation.get_absolute_url()).content.decode()
        assert "It is 1024." in page
        assert "ChatGPT" in page
        assert "2 / 2" in page


class TestOpenWebUI:
    pytestmark = db

    def test_it_works(self, alice):
        batch = bring(alice, fixture("openwebui"))
        assert outcomes(batch) == ["imported"] * 3
        conversation = Conversation.objects.get(title="Databases")
        assert tree(conversation) == [
            (None, "user", "[A file that was not imported: notes.pdf]\n\nCompare two databases"),
            (0, "assistant", "SQLite is *small*."),
            (0, "assistant", "PostgreSQL is *large*."),
            (1, "user", "And the third?"),
            (3, "assistant", ""),
        ]
        assert conversation.is_pinned
        assert conversation.created_at == datetime.fromtimestamp(1732000000, UTC)
        failed = conversation.messages.last().generation
        assert (failed.status, failed.finish_reason) == ("incomplete", "interrupted")
        qwen = Generation.objects.get(assistant_name="Qwen")
        assert (qwen.model, qwen.backend) == ("qwen2.5:7b", "Open WebUI")
        assert "What the model thought to itself was left out: 1." in told(batch)

    def test_old_and_bare_ones(self, alice):
        bring(alice, fixture("openwebui"))
        old = Conversation.objects.get(title="An old chat")
        assert tree(old) == [(None, "user", "Hi"), (0, "assistant", "Hello!")]
        assert old.messages.last().generation.assistant_name == "mistral:latest"
        assert old.created_at.year == 2023
        bare = Conversation.objects.get(title="Without a wrapper")
        assert tree(bare) == [(None, "user", "Parts of a list")]

    def test_one_chat_by_itself(self, alice):
        assert plans(read(alice, fixture("openwebui")[0])) == ["new"]


class TestAgain:
    pytestmark = db

    @pytest.mark.parametrize("name", ["chatgpt", "openwebui"])
    def test_the_same_upload_imports_nothing(self, alice, name):
        bring(alice, fixture(name))
        before = list(Message.objects.order_by("pk").values_list())
        again = bring(alice, fixture(name))
        assert set(plans(again)) <= {"known", "refused"}
        assert list(Message.objects.order_by("pk").values_list()) == before

    def test_a_longer_one_adds_what_is_new(self, alice):
        data = fixture("chatgpt")
        bring(alice, data)
        conversation = Conversation.objects.get(title="Resumable streams")
        mapping = data[0]["mapping"]
        mapping["a2"]["children"] = ["q3"]
        mapping["q3"] = json.loads(json.dumps(mapping["q1"])) | {"id": "q3", "parent": "a2", "children": []}
        mapping["q3"]["message"]["content"]["parts"] = ["And more?"]
        mapping["q3"]["message"]["create_time"] = 1733000600.0
        data[0]["current_node"] = "q3"
        batch = read(alice, data)
        assert plans(batch)[0] == "more"
        assert batch.items.first().fresh == 1
        import_some(batch, 60)
        assert Conversation.objects.filter(title="Resumable streams").count() == 1
        conversation.refresh_from_db()
        assert conversation.leaf.content == "And more?"
        assert conversation.leaf.parent.content.endswith("It is 1024.")
        undo(batch)
        conversation.refresh_from_db()
        assert conversation.messages.count() == 5
        assert conversation.leaf.content.endswith("It is 1024.")

    def test_what_was_written_here_meanwhile_stays_shown(self, alice, echo):
        data = [own_conversation()]
        bring(alice, data)
        conversation = Conversation.objects.get()
        start_generation(conversation, Question(content="Mine", assistant=echo, key=uuid.uuid4()))
        shown = Conversation.objects.get().leaf_id
        data[0]["messages"].append({"id": "3", "parent": "2", "role": "user", "content": "Theirs"})
        data[0]["leaf"] = "3"
        bring(alice, data)
        conversation.refresh_from_db()
        assert conversation.leaf_id == shown
        assert Message.objects.get(content="Theirs").parent.content == "Answer"

    def test_what_was_deleted_is_imported_anew(self, alice):
        bring(alice, [own_conversation()])
        erase_conversation(Conversation.objects.get())
        assert outcomes(bring(alice, [own_conversation()])) == ["imported"]
        assert Conversation.objects.owned_by(alice).count() == 1

    def test_an_export_brought_back_is_known(self, alice, conversation):
        data = json.loads(document([carried(conversation)]))
        assert plans(read(alice, data)) == ["known"]

    def test_an_export_of_somebody_else_is_new(self, charlie, alice, conversation):
        data = json.loads(document([carried(conversation)]))
        bring(charlie, data)
        assert Conversation.objects.owned_by(charlie).count() == 1
        assert Conversation.objects.owned_by(alice).count() == 1
        assert tree(Conversation.objects.owned_by(charlie).get()) == tree(conversation)

    def test_the_same_twice_in_one_file(self, alice):
        batch = bring(alice, [own_conversation(), own_conversation()])
        assert plans(batch) == ["new", "known"]
        assert Conversation.objects.count() == 1

    def test_two_accounts_do_not_meet(self, alice, charlie):
        bring(alice, [own_conversation()])
        assert plans(read(charlie, [own_conversation()])) == ["new"]


class TestOwn:
    pytestmark = db

    def test_facts_are_kept_and_counted_for_nobody(self, alice, charlie, conversation):
        asyncio.run(run_generation(claim_one("this-worker")))
        Generation.objects.update(cost=Decimal("1.25"), parameters={"temperature": 0.5, "stop": ["END"], "seed": 7})
        conversation.refresh_from_db()
        bring(charlie, json.loads(document([carried(conversation)])))
        imported = Generation.objects.get(is_imported=True)
        original = Generation.objects.written_here().get()
        for name in (
            "status", "finish_reason", "assistant", "assistant_name", "backend", "model", "parameters", "cost",
            "input_tokens", "output_tokens", "queued_at", "started_at", "first_delta_at", "finished_at",
        ):  # fmt: skip
            assert getattr(imported, name) == getattr(original, name), name

    def test_an_assistant_that_one_may_not_use_is_not_taken(self, alice, charlie, conversation):
        data = json.loads(document([carried(conversation)]))
        Assistant.objects.update(is_active=False)
        bring(charlie, data)
        imported = Conversation.objects.owned_by(charlie).get()
        assert imported.assistant is None
        assert imported.messages.last().generation.assistant_name == "Echo"

    def test_nothing_is_ever_queued(self, alice):
        data = own_conversation()
        data["messages"][1]["generation"]["status"] = "queued"
        batch = bring(alice, [data])
        assert Generation.objects.get().status == Status.INCOMPLETE
        assert "interrupted" in told(batch)

    def test_a_newer_version_is_refused_in_words(self, alice):
        with pytest.raises(UnreadableError, match="newer version"):
            read(alice, {"format": "chatsite-conversations", "version": 2, "conversations": [own_conversation()]})
        assert not ImportBatch.objects.exists()

    def test_hostile_values_are_mended(self, alice):
        data = own_conversation(
            title="a\0b" * 500, pinned="yes", created_at="9999-99-99T00:00:00Z", updated_at=1e300, leaf={"x": 1}
        )
        generation = data["messages"][1]["generation"]
        generation |= {
            "cost": "1e99999", "input_tokens": -5, "output_tokens": 2**62, "parameters": [1], "status": ["x"],
            "queued_at": "soon", "backend": 5, "model": "m" * 5000,
        }  # fmt: skip
        batch = bring(alice, [data])
        assert outcomes(batch) == ["imported"]
        conversation = Conversation.objects.get()
        assert len(conversation.title) == 200
        assert not conversation.is_pinned
        answer = conversation.messages.last().generation
        assert (answer.cost, answer.input_tokens, answer.output_tokens, answer.parameters) == (0, None, None, {})
        assert conversation.leaf.content == "Answer"


names = st.text("abcdef", min_size=1, max_size=2)
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20).map(storable)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def stored_trees(draw):
    """Draw the facts of messages: parent by place, role, text, and those of an answer."""
    rows = []
    for place in range(draw(st.integers(1, 12))):
        parent = draw(st.none() | st.integers(0, place - 1)) if place else None
        role = draw(st.sampled_from(["user", "assistant", "system"]))
        rows.append((parent, role, draw(texts), draw(moments)))
    return rows, draw(st.integers(0, len(rows) - 1)), draw(texts.filter(str.strip))


def renamed(conversation: CarriedConversation) -> dict:
    """Return what is carried with names that do not depend on ids."""
    data = as_data(conversation)
    places = {message["id"]: place for place, message in enumerate(data["messages"])}
    data["id"] = None
    data["leaf"] = places.get(data["leaf"])
    for message in data["messages"]:
        message["id"], message["parent"] = places[message["id"]], places.get(message["parent"])
    return data


class TestRoundTrip(TestCase):
    @given(
        tree=stored_trees(),
        flags=st.tuples(st.booleans(), st.booleans()),
        facts=st.tuples(
            st.sampled_from(["completed", "incomplete", "cancelled", "failed"]),
            texts.map(lambda value: value[:20]),
            st.none() | st.integers(0, 2**31 - 1),
            st.decimals(0, 999_999, places=6),
            st.none() | moments,
            st.dictionaries(st.sampled_from(["temperature", "top_p"]), st.floats(0, 2)),
        ),
    )
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
    def test_export_import_export_is_equal(self, tree, flags, facts):
        rows, leaf, title = tree
        alice, _ = User.objects.get_or_create(username="alice")
        charlie, _ = User.objects.get_or_create(username="charlie")
        echo, _ = Assistant.objects.get_or_create(name="Echo", slug="echo", backend="echo")
        conversation = Conversation.objects.create(
            owner=alice, title=title, assistant=echo, is_pinned=flags[0], is_archived=flags[1]
        )
        messages: list[Message] = []
        for parent, role, content, when in rows:
            above = messages[parent] if parent is not None else None
            messages.append(
                Message.objects.create(
                    conversation=conversation, parent=above, role=role, content=content, created_at=when
                )
            )
            if role == Role.ASSISTANT:
                status, reason, tokens, cost, started, parameters = facts
                Generation.objects.create(
                    message=messages[-1],
                    status=status,
                    finish_reason=reason,
                    assistant=echo,
                    assistant_name="Echo",
                    backend="echo",
                    input_tokens=tokens,
                    output_tokens=tokens,
                    cost=cost,
                    started_at=started,
                    parameters=parameters,
                )
        conversation.leaf = messages[leaf]
        conversation.save()
        before = carried(Conversation.objects.get(pk=conversation.pk))
        batch = read(charlie, document([before]).encode())
        assert import_some(batch, 60)
        after = carried(batch.items.get().conversation)
        assert renamed(after) == renamed(before)

    def test_reading_what_is_written_is_the_identity(self):
        first = own.read(own_conversation(created_at="2024-01-01T00:00:00Z"))
        data = json.loads(as_json(first.conversation))
        assert as_data(own.read(data).conversation) == data


class TestUndo:
    pytestmark = db

    def test_it_works(self, alice):
        mine = Conversation.objects.create(owner=alice, title="Mine")
        batch = bring(alice, fixture("chatgpt"))
        undo(batch)
        assert list(Conversation.objects.owned_by(alice)) == [mine]
        assert batch.status == ImportBatch.Status.UNDONE
        assert outcomes(batch) == ["undone", "undone", "", "undone"]
        again = bring(alice, fixture("chatgpt"))
        assert outcomes(again).count("imported") == 3

    def test_what_was_worked_on_is_kept(self, alice, echo):
        titles = ["untouched", "asked", "renamed", "shared"]
        batch = bring(alice, [own_conversation(id=title, title=title) for title in titles])
        found = {title: Conversation.objects.get(title=title) for title in titles}
        start_generation(found["asked"], Question(content="More", assistant=echo, key=uuid.uuid4()))
        rename_conversation(found["renamed"], "Another")
        sharing.share_conversation(found["shared"], None)
        undo(batch)
        assert outcomes(batch) == ["undone", "kept", "kept", "kept"]
        left = set(Conversation.objects.owned_by(alice).values_list("title", flat=True))
        assert left == {"asked", "Another", "shared"}
        assert "Kept, as it was renamed since." in told(batch)

    def test_what_hangs_on_added_messages_keeps_them(self, alice, echo):
        data = own_conversation()
        bring(alice, [data])
        data["messages"].append({"id": "3", "parent": "2", "role": "user", "content": "Theirs"})
        data["leaf"] = "3"
        batch = bring(alice, [data])
        conversation = Conversation.objects.get()
        start_generation(conversation, Question(content="Mine", assistant=echo, key=uuid.uuid4()))
        undo(batch)
        assert outcomes(batch) == ["kept"]
        assert Message.objects.filter(content="Theirs").exists()

    def test_deleted_ones_are_no_problem(self, alice):
        batch = bring(alice, [own_conversation()])
        erase_conversation(Conversation.objects.get())
        undo(batch)
        assert batch.status == ImportBatch.Status.UNDONE

    def test_an_import_that_is_not_over_ends_with_it(self, alice):
        batch = read(alice, [own_conversation(id=str(number)) for number in range(5)])
        assert not import_some(batch, 0)
        assert Conversation.objects.count() == 1
        batch.refresh_from_db()
        undo(batch)
        assert not Conversation.objects.owned_by(alice).exists()
        assert import_some(batch, 60)
        assert not Conversation.objects.owned_by(alice).exists()
        assert not batch.items.exclude(payload="").exists()


class TestFiles:
    """What is no export, or a broken one, or means harm."""

    pytestmark = db

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "empty"),
            (b"hello", "no JSON at all"),
            (b"\xff\xfe[\x00]\x00", "not in UTF-8"),
            (b"[]", "no conversations in it"),
            (b"{}", "no conversations in it"),
            (b"3", "no conversations in it"),
            (b'[{"a": 1}]', "no conversations in it"),
            (b"[" * 1_000_000, "no JSON at all"),
            (b'[{"a":' * 200_000, "no JSON at all"),
            (b"[" + b"9" * 10_000 + b"]", "damaged"),
            (b"[1e999999]", "damaged"),
            (b'["\xed\xa0\x80"]', "damaged"),
            (b"PK\x03\x04 not a zip", "damaged"),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_it_says_what_is_wrong(self, alice, data, words):
        with pytest.raises(UnreadableError, match=words):
            read(alice, data)
        assert not ImportBatch.objects.exists()

    def test_halves_of_emoji_are_no_damage(self):
        texts = [
            "\ud83d",
            "\udc00",
            "\ud83d\ude00",
            "\\ud83d",
            "\\\udc00",
            "\udc00\ud83d",
            "\\" * 40,
            "\ud83d\ud83d\ude00",
        ]
        document = json.dumps([{"title": text} for text in texts]).encode()
        expected = [storable(json.loads(json.dumps(text))) for text in texts]
        for size in (1, 2, 3, 5, 7, 11, 12, 13, 64, 10_000):
            chunks = [document[start : start + size] for start in range(0, len(document), size)]
            assert [piece.data["title"] for piece in json_pieces.pieces(chunks)] == expected, size

    def test_a_byte_order_mark_is_no_harm(self, alice):
        assert plans(read(alice, b"\xef\xbb\xbf" + json.dumps([own_conversation()]).encode())) == ["new"]

    def test_the_rest_of_a_file_is_imported(self, alice):
        deep: object = "x"
        for _ in range(500):
            deep = [deep]
        batch = read(
            alice, [own_conversation(id="a"), 5, own_conversation(id="b", extra=deep), own_conversation(id="c")]
        )
        assert plans(batch) == ["new", "refused", "refused", "new"]
        assert "nested too deeply" in told(batch)

    def test_what_came_before_the_damage_is_imported(self, alice):
        data = json.dumps([own_conversation(id=str(number)) for number in range(3)]).encode()
        batch = bring(alice, data[:-20])
        assert Conversation.objects.count() == 2
        assert "damaged" in batch.problems[0]

    def test_a_large_one_is_refused_and_the_others_are_not(self, alice, monkeypatch):
        monkeypatch.setattr(json_pieces, "MOST_TEXT", 1000)
        big = own_conversation(id="b", title="x" * 2000)
        assert plans(read(alice, [own_conversation(id="a"), big, own_conversation(id="c")])) == [
            "new",
            "refused",
            "new",
        ]

    def test_a_bomb_is_not_unpacked(self, alice, settings):
        settings.CHAT_IMPORT_MAX_MB = 1
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("conversations.json", b"[" + b" " * 50_000_000 + b"]")
        assert len(file.getvalue()) < 100_000
        with pytest.raises(UnreadableError, match="larger than an import may be"):
            read(alice, file.getvalue())

    def test_names_in_a_zip_lead_nowhere(self, alice, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("../../conversations.json", json.dumps([own_conversation()]))
        assert plans(read(alice, file.getvalue())) == ["new"]
        assert list(tmp_path.iterdir()) == []

    def test_a_zip_without_conversations(self, alice):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(UnreadableError, match="no JSON file"):
            read(alice, file.getvalue())

    def test_a_zip_with_a_broken_member(self, alice):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("conversations.json", json.dumps([own_conversation(title="x" * 50)]))
        data = bytearray(file.getvalue())
        data[60:70] = b"\x00" * 10
        with pytest.raises(UnreadableError, match="damaged"):
            read(alice, bytes(data))

    def test_too_many_files(self, alice, monkeypatch):
        monkeypatch.setattr(uploads, "_MOST_FILES", 2)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for number in range(3):
                archive.writestr(f"{number}.json", "[]")
        with pytest.raises(UnreadableError, match="too many files"):
            read(alice, file.getvalue())


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def spots(value, path=()):
    """Yield the way to each value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from spots(inner, (*path, key))


WHOLE = {name: fixture(name) for name in ("chatgpt", "openwebui")} | {"own": [own_conversation()]}
SPOTS = [(name, spot) for name, document in WHOLE.items() for spot in spots(document) if len(spot) > 1]


class TestAnything:
    """Whatever stands in the place of a value, a conversation is read or refused in words."""

    @given(st.sampled_from(SPOTS), anything)
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_it_is_read_or_refused(self, spot, value):
        name, path = spot
        document = json.loads(json.dumps(WHOLE[name]))
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        conversation = document[path[0]]
        known = format_of(conversation)
        if known:
            try:
                reading = known.read(conversation)
            except UnreadableError:
                return
            again = own.read(json.loads(as_json(reading.conversation))).conversation
            assert as_data(again) == as_data(reading.conversation)


class TestTrees:
    def node(self, name, parent=None, role="user", **values) -> trees.Node:
        return trees.Node(id=name, parent=parent, role=role, content=values.pop("content", name), **values)

    def turns(self, *nodes):
        ordered, notes = trees.ordered(nodes)
        messages, shown = trees.as_turns(ordered, datetime(2024, 1, 1, tzinfo=UTC))
        return [(message.id, message.parent, message.content) for message in messages], shown, notes

    def test_children_come_after_their_parents(self):
        found, _ = trees.ordered([self.node("b", "a"), self.node("c", "b"), self.node("a")])
        assert [node.id for node in found] == ["a", "b", "c"]

    def test_what_is_in_order_stays_as_it_is(self):
        nodes = [self.node("a"), self.node("x"), self.node("b", "a"), self.node("y", "x"), self.node("c", "a")]
        assert trees.ordered(nodes)[0] == nodes

    def test_loops_are_cut(self):
        found, notes = trees.ordered(
            [self.node("tail", "a"), self.node("a", "b"), self.node("b", "a"), self.node("s", "s")]
        )
        places = {node.id: place for place, node in enumerate(found)}
        assert len(found) == 4
        assert all(node.parent is None or places[node.parent] < places[node.id] for node in found)
        assert any("circle" in note for note in notes)

    def test_many_loops_take_no_time(self):
        pairs = [
            self.node(f"{number}{end}", f"{number}{other}") for number in range(30_000) for end, other in ("ab", "ba")
        ]
        star = [self.node(f"leaf{number}", "hub") for number in range(30_000)]
        began = time.process_time()
        found, _ = trees.ordered([*star, *pairs, self.node("hub", "hub2"), self.node("hub2", "hub")])
        assert len(found) == 90_002
        assert time.process_time() - began < 5

    def test_missing_parents_and_doubles(self):
        found, notes = trees.ordered([self.node("a", "gone"), self.node("a"), self.node("b", "a")])
        assert [(node.id, node.parent) for node in found] == [("a", None), ("b", "a")]
        assert len(notes) == 2

    def test_steps_of_an_answer_become_one(self):
        messages, shown, _ = self.turns(
            self.node("q"), self.node("s1", "q", "assistant"), self.node("s2", "s1", "assistant"), self.node("q2", "s2")
        )
        assert messages == [("q", None, "q"), ("s2", "q", "s1\n\ns2"), ("q2", "s2", "q2")]
        assert shown["s1"] == "s2"

    def test_forks_between_steps_become_versions(self):
        messages, _, _ = self.turns(
            self.node("q"),
            self.node("s", "q", "assistant"),
            self.node("x", "s", "assistant"),
            self.node("y", "s", "assistant"),
        )
        assert messages == [("q", None, "q"), ("x", "q", "s\n\nx"), ("y", "q", "s\n\ny")]

    def test_what_is_hidden_is_left_out_and_its_children_are_not(self):
        messages, shown, _ = self.turns(
            self.node("root", is_kept=False),
            self.node("q", "root"),
            self.node("h", "q", "assistant", is_kept=False),
            self.node("a", "h", "assistant"),
        )
        assert messages == [("q", None, "q"), ("a", "q", "a")]
        assert shown["h"] == "q" or shown["h"] == "a"

    def test_forks_that_would_grow_without_end_are_refused(self):
        nodes = [self.node("q")]
        above = "q"
        for number in range(400):
            nodes += [
                self.node(f"s{number}", above, "assistant", content="x" * 2000),
                self.node(f"l{number}", f"s{number}", "assistant", content="x"),
            ]
            above = f"s{number}"
        with pytest.raises(UnreadableError, match="fork too often"):
            self.turns(*nodes)


class TestPages:
    pytestmark = db

    def upload(self, client, name="chatgpt"):
        file = SimpleUploadedFile(f"{name}.json", (EXPORTS / f"{name}.json").read_bytes(), "application/json")
        return client.post(reverse("chat:upload"), {"file": file})

    def test_look_import_undo(self, alice_client):
        report = self.upload(alice_client)
        assert report.status_code == 302
        assert not Conversation.objects.exists()
        page = alice_client.get(report["Location"]).content.decode()
        assert "Nothing is imported yet." in page
        assert "Import 3 conversations" in page
        assert "It has no messages." in page
        batch = ImportBatch.objects.get()
        ran = alice_client.post(reverse("chat:import_run", args=[batch.pk]))
        assert ran["Location"] == batch.get_absolute_url()
        assert "3 conversations were imported." in alice_client.get(batch.get_absolute_url()).content.decode()
        assert Conversation.objects.count() == 3
        response = alice_client.post(
            reverse("chat:import_undo", args=[batch.pk]), headers={"accept": "application/json"}
        )
        assert response.json() == {"over": True, "done": 3, "todo": 3}
        assert "3 conversations were taken back." in alice_client.get(batch.get_absolute_url()).content.decode()
        assert not Conversation.objects.exists()

    def test_an_upload_that_is_too_large_is_refused(self, alice_client, settings):
        settings.CHAT_IMPORT_MAX_MB = 0
        response = self.upload(alice_client)
        assert response.status_code == 422
        assert "0 MB are the most" in response.content.decode()

    def test_what_is_wrong_with_a_file_is_said(self, alice_client):
        response = alice_client.post(reverse("chat:upload"), {"file": SimpleUploadedFile("x.json", b"hello")})
        assert response.status_code == 422
        assert "no JSON at all" in response.content.decode()
        assert alice_client.post(reverse("chat:upload")).status_code == 422

    def test_a_second_upload_replaces_one_that_was_only_looked_at(self, alice_client):
        self.upload(alice_client)
        self.upload(alice_client, "openwebui")
        assert ImportBatch.objects.get().file_name == "openwebui.json"

    def test_it_can_be_forgotten(self, alice_client):
        self.upload(alice_client)
        alice_client.post(reverse("chat:import_discard", args=[ImportBatch.objects.get().pk]))
        assert not ImportBatch.objects.exists()

    def test_what_was_imported_cannot_be_forgotten(self, alice, alice_client):
        batch = bring(alice, [own_conversation()])
        alice_client.post(reverse("chat:import_discard", args=[batch.pk]))
        assert ImportBatch.objects.exists()

    def test_strangers_find_nothing(self, alice, charlie_client):
        batch = read(alice, [own_conversation()])
        assert charlie_client.get(batch.get_absolute_url()).status_code == 404
        for name in ("import_run", "import_undo", "import_discard"):
            assert charlie_client.post(reverse(f"chat:{name}", args=[batch.pk])).status_code == 404
        assert ImportBatch.objects.exists()

    def test_reports_have_pages_and_constant_queries(self, alice, alice_client, django_assert_num_queries):
        batch = read(alice, [own_conversation(id=str(number), title=f"number {number}") for number in range(150)])
        with django_assert_num_queries(6):
            page = alice_client.get(batch.get_absolute_url())
        assert "number 99<" in page.content.decode()
        assert "number 100<" not in page.content.decode()
        assert "number 100<" in alice_client.get(batch.get_absolute_url(), {"page": 2}).content.decode()
        with django_assert_num_queries(4):
            alice_client.get(reverse("chat:data"))


class TestCost:
    pytestmark = db

    def test_reading_asks_little(self, alice, django_assert_max_num_queries):
        data = json.dumps([own_conversation(id=str(number)) for number in range(100)]).encode()
        with django_assert_max_num_queries(10):
            read(alice, data)

    def test_storing_asks_the_same_for_any_length(self, alice, django_assert_max_num_queries):
        messages = [
            {"id": str(number), "parent": str(number - 1) if number else None, "role": "user", "content": "x"}
            for number in range(300)
        ]
        batch = read(alice, [own_conversation(messages=messages, leaf="299")])
        with django_assert_max_num_queries(30):
            import_some(batch, 60)
        assert Conversation.objects.get().messages.count() == 300

    def test_whoever_wants_to_know_is_told_of_every_message(self, alice):
        heard = []

        def hear(sender, conversation, messages, **kwargs):
            heard.extend((conversation.pk, message.pk, message.content) for message in messages)

        messages_stored.connect(hear)
        try:
            bring(alice, fixture("openwebui"))
        finally:
            messages_stored.disconnect(hear)
        assert heard == list(Message.objects.values_list("conversation", "pk", "content"))
