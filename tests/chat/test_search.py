"""Search: what is found, and by whom. tests/processes/test_postgresql.py runs all of it on PostgreSQL, too."""

from __future__ import annotations

import re
import unicodedata
import uuid
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chat import search
from chat.checks import check_search
from chat.conversations import rename_conversation
from chat.generation import (
    Question,
    continue_generation,
    edit_question,
    end_generation,
    regenerate,
    start_conversation,
    start_generation,
)
from chat.models import Conversation, Generation, Message, Role, Status
from chat.retention.deleting import delete_conversations, erase_conversation, purge_deleted
from chat.retention.pruning import delete_message
from chat.search.finding import PAGE, TITLES
from chat.search.grams import MOST, grams, grams_of_query
from chat.search.index import get_index
from chat.search.snippets import snippet
from chat.search.terms import MAX_LENGTH, Query, fold

pytestmark = pytest.mark.django_db


def write(owner, *texts, title="A title") -> Conversation:
    """Store a conversation of one branch, questions and answers in turn."""
    conversation = Conversation.objects.create(owner=owner, title=title)
    parent = None
    for number, text in enumerate(texts):
        role = Role.USER if number % 2 == 0 else Role.ASSISTANT
        parent = Message.objects.create(conversation=conversation, parent=parent, role=role, content=text)
        search.add_messages([parent])
        if number == 0:
            search.add_title(conversation, parent.pk)
    Conversation.objects.filter(pk=conversation.pk).update(leaf=parent)
    conversation.leaf = parent
    return conversation


def found(owner, text: str) -> list[str]:
    """Return the texts of the messages that are found, newest first; of all pages."""
    texts, before = [], None
    while True:
        findings = search.find(owner, Query(text), before)
        texts += [hit.message.content for group in findings.groups for hit in group.hits]
        before = findings.before
        if before is None:
            return texts


def titles(owner, text: str) -> list[str]:
    found = search.find(owner, Query(text)).groups
    return [group.conversation.title for group in found if any(part.is_match for part in group.title)]


def ask(text: str, assistant) -> Question:
    return Question(content=text, assistant=assistant, key=uuid.uuid4())


class TestFind:
    def test_it_works(self, alice):
        conversation = write(alice, "How do I keep a 기록?", "With a program.", title="Of records")
        [group] = search.find(alice, Query("기록")).groups
        assert group.conversation == conversation
        [hit] = group.hits
        assert hit.message.content == "How do I keep a 기록?"
        assert [(part.text, part.is_match) for part in hit.snippet] == [
            ("How do I keep a ", False),
            ("기록", True),
            ("?", False),
        ]

    # (text, what finds it, what does not)
    CASES = [
        ("a program for you", ["program", "gram", "prog", "PROGRAM", "you"], ["programs", "grm", "m", "am", "ou"]),
        ("기록은 여기에 있습니다", ["기록", "기록은", "기", "록은", "있습니다", "여기 기록"], ["기로", "록기", "기은"]),
        ("전문검색을 만든다", ["검색", "전문검색", "문검", "검색을 전문"], ["전검", "색문"]),
        ("Django 검색은 빠르다", ["Django 검색", "검색 django", "jang 빠르", "dj 검"], ["Django 기록", "flask 검색"]),
        ("React를 배운다", ["react", "React를", "를", "act를"], ["re를"]),
        (unicodedata.normalize("NFD", "한글과 기록"), ["한글", "기록", unicodedata.normalize("NFD", "글과")], ["글한"]),
        ("ㅋㅋㅋ 정말", ["ㅋㅋ", "ㅋ", "정말"], ["ㅎㅎ", "저"]),
        ("検索エンジンと漢字", ["検索", "エンジン", "漢", "ンと漢"], ["索検", "字漢"]),
        ("Café Ærøskøbing naïve", ["cafe", "CAFÉ", "café", "naive", "æRØ"], ["caffe"]),
        ("Straße İstanbul Σίσυφος", ["strasse", "istanbul", "σισυφοσ", "ΣΊΣΥΦΟΣ"], ["strase"]),
        ("ｆｕｌｌ width ﬁne", ["full", "fine", "ｗｉｄｔｈ"], ["fulll"]),
        ("Well done 🎉👍🏽 ❤️", ["🎉", "👍", "❤", "❤️", "done 🎉"], ["🎈"]),
        ("C++ and C# :) => a_b", ["c++", "c#", ":)", "=>", "++", "_b", "a_b", "#"], ["c--", ":("]),
        ('say "hello" *now* ^x (y) -z a:b', ["*now*", "^x", "(y)", "-z", "a:b", "hello", "*", ")"], ["*then*"]),
        ("100% of 50_000 \\ it's", ["100%", "50_000", "\\", "it's", "%"], ["1000%", "50-000"]),
        ("one\ntwo   three\tfour", ['"one two"', '"two three four"', '"two three"', '"wo thr"'], ['"one three"']),
        ("the cat and the hat", ['"the hat"', "hat cat", '"e cat"', "“the cat”"], ['"hat the"', '"cat hat"']),
        ("in an inn", ["in", "an", "inn", '"in an"'], ["nn", "n"]),
        ("word\u00adbreak zero\u200bwidth", ["wordbreak", "zerowidth"], ["word break zero x"]),
        ("OR AND NOT NEAR title:x", ["or", "and", "NOT", "near", "OR AND", "title:x"], ["NOT program"]),
        ("я люблю ёлку и йод", ["я", "елку", "иод", "люб"], ["ю"]),
    ]

    @pytest.mark.parametrize(
        ("text", "finds", "misses"), CASES, ids=lambda value: value if isinstance(value, str) else ""
    )
    def test_what_is_found(self, alice, text, finds, misses):
        write(alice, text, title="-")
        write(alice, "Something else", title="-")
        for query in finds:
            assert found(alice, query) == [text], query
        for query in misses:
            assert found(alice, query) == [], query

    def test_all_words_must_be_there(self, alice):
        write(alice, "apples and pears", "pears and plums")
        assert found(alice, "pears") == ["pears and plums", "apples and pears"]
        assert found(alice, "apples pears") == ["apples and pears"]
        assert found(alice, "apples plums") == []

    def test_newest_first_and_titles_above(self, alice):
        old = write(alice, "zebra one", title="First")
        write(alice, "nothing", title="About a Zebra")
        new = write(alice, "zebra two", title="Third")
        groups = search.find(alice, Query("zebra")).groups
        assert [group.conversation.title for group in groups] == ["About a Zebra", new.title, old.title]
        assert [(part.text, part.is_match) for part in groups[0].title] == [("About a ", False), ("Zebra", True)]

    def test_a_title_and_messages_share_a_group(self, alice):
        write(alice, "zebra?", "A zebra is striped.", title="Zebra")
        [group] = search.find(alice, Query("zebra")).groups
        assert len(group.hits) == 2

    def test_nobody_elses(self, alice, charlie):
        write(alice, "a secret of mine", title="Secret")
        assert found(charlie, "secret") == []
        assert search.find(charlie, Query("secret")).groups == ()
        assert found(alice, "secret") == ["a secret of mine"]

    def test_the_candidates_are_the_persons_own(self, alice, charlie):
        """The text would be refused anyway; but who has many messages must not slow down who has few."""
        from chat.search.passages import Wanted

        write(alice, "a secret of mine")
        numbers = grams_of_query(Query("secret"))
        assert get_index().newest(Wanted(owner=charlie.pk, grams=numbers, count=10)) == []
        assert len(get_index().newest(Wanted(owner=alice.pk, grams=numbers, count=10))) == 1

    def test_archived_ones_are_found(self, alice):
        conversation = write(alice, "an old thing")
        Conversation.objects.filter(pk=conversation.pk).update(is_archived=True)
        assert found(alice, "old thing") == ["an old thing"]

    def test_pages_go_on_where_the_last_one_ended(self, alice):
        texts = [f"needle {number:03}" for number in range(2 * PAGE + 3)]
        for at in range(0, len(texts), 7):
            write(alice, *texts[at : at + 7])
        first = search.find(alice, Query("needle"))
        assert sum(len(group.hits) for group in first.groups) == PAGE
        assert found(alice, "needle") == texts[::-1]

    def test_many_titles_have_pages_of_their_own(self, alice):
        names = [f"Needle {number:02}" for number in range(TITLES + PAGE + 2)]
        for name in names:
            write(alice, "hay", title=name)
        findings = search.find(alice, Query("needle"))
        seen = [group.conversation.title for group in findings.groups]
        assert len(seen) == TITLES
        before = findings.before_title
        while before is not None:
            findings = search.find_titles(alice, Query("needle"), before)
            seen += [group.conversation.title for group in findings.groups]
            before = findings.before_title
        assert seen == names[::-1]

    def test_rare_among_many_candidates(self, alice, monkeypatch):
        """A page reads only so many texts; the next one goes on, and nothing is missed."""
        monkeypatch.setattr("chat.search.finding.MOST_CANDIDATES", 60)
        texts = [f"cat then dog {number}" for number in range(150)]
        write(alice, "dog then cat 0", *texts)
        assert search.find(alice, Query('"dog then"')).before is not None
        assert found(alice, '"dog then"') == ["dog then cat 0"]

    def test_the_newest_part_is_looked_at_first(self, alice, monkeypatch):
        """PostgreSQL's shorter way finds what the long one does, from any place on."""
        monkeypatch.setattr("chat.search.postgresql.NEWEST", 50)
        texts = [
            f"{'common' if number % 2 else 'rare' if number % 40 == 0 else 'other'} {number}" for number in range(200)
        ]
        write(alice, *texts)
        for word in ("common", "rare", "other"):
            assert found(alice, word) == [text for text in texts if word in text][::-1]

    def test_a_long_query(self, alice):
        text = " ".join(f"word{number}" for number in range(40))
        write(alice, text)
        assert len(grams_of_query(Query(text))) <= MOST
        assert found(alice, text[:MAX_LENGTH].rsplit(" ", 1)[0]) == [text]
        assert found(alice, "word1 word2 absent " + text[:150]) == []

    def test_as_many_queries_for_many_as_for_few(self, alice):
        counts = []
        for number in range(20):
            write(alice, f"needle {number}", "needle, too", title=f"Needle {number}")
            with CaptureQueriesContext(connection) as queries:
                search.find(alice, Query("needle"))
            counts.append(len(queries))
        assert counts[-1] == counts[0]


LETTERS = st.sampled_from(
    [*"abcABC é🎉_-:\"'*%1\n ßİ", "가", "각", "기록", "검", "ㅋ", "漢", "́", "e\u0301", "ｆ", "\u1100", "\u1161"]
)
TEXTS = st.lists(LETTERS, min_size=1, max_size=25).map("".join)


def brute_force(query: str, text: str) -> bool:
    """What the manual says, without a regular expression or an index."""

    def plain(value: str) -> str:
        return fold(value)

    def begins_word(folded: str, at: int) -> bool:
        def is_letter(character: str) -> bool:
            return character.isalnum() and not re.match(
                "[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3\u4e00-\u9fff]", character
            )

        return at == 0 or not (is_letter(folded[at - 1]) and is_letter(folded[at]))

    one_space = " ".join(plain(text).split())
    for number, part in enumerate(plain(query).split('"')):
        for term in [" ".join(part.split())] if number % 2 else part.split():
            if not term:
                continue
            places = [at for at in range(len(one_space)) if one_space.startswith(term, at)]
            if len(term) <= 2 and not re.search("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3\u4e00-\u9fff]", term):
                places = [at for at in places if begins_word(one_space, at)]
            if not places:
                return False
    return True


class TestDefinition:
    @given(text=TEXTS, query=TEXTS)
    def test_a_match_is_a_substring(self, text, query):
        if Query(query).terms:
            assert Query(query).matches(text) == brute_force(query, text)

    @given(text=TEXTS, query=TEXTS)
    def test_the_index_misses_nothing(self, text, query):
        if Query(query).terms and Query(query).matches(text):
            assert set(grams_of_query(Query(query))) <= grams(text)

    @given(text=TEXTS, data=st.data())
    def test_every_part_of_a_text_finds_it(self, text, data):
        begin = data.draw(st.integers(0, len(text)))
        part = text[begin : data.draw(st.integers(begin, len(text)))].replace('"', " ")
        wanted = f'"{part}"'
        terms = Query(wanted).terms
        if terms and not terms[0].is_short and fold(text).find(fold(part).strip()) >= 0:
            assert set(grams_of_query(Query(wanted))) <= grams(text)
            assert Query(wanted).matches(text)

    @given(text=TEXTS, query=TEXTS)
    def test_a_snippet_shows_a_hit_and_only_the_text(self, text, query):
        wanted = Query(query)
        if wanted.terms and wanted.matches(text):
            parts = snippet(text, wanted)
            assert any(part.is_match for part in parts)
            shown = "".join(part.text for part in parts).strip("…")
            whole = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
            assert shown in whole
            assert all(wanted.pattern.search(fold(part.text)) for part in parts if part.is_match)

    @pytest.mark.django_db(transaction=False)
    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(texts=st.lists(TEXTS, min_size=1, max_size=8), query=TEXTS)
    def test_the_search_is_brute_force(self, alice, texts, query):
        wanted = Query(query)
        if wanted.is_too_short:
            return
        point = transaction.savepoint()
        write(alice, *texts, title="-")
        assert found(alice, query) == [text for text in texts if brute_force(query, text)][::-1]
        transaction.savepoint_rollback(point)


class TestSnippet:
    def parts(self, text: str, query: str) -> str:
        parts = snippet(text, Query(query))
        return "".join(f"[{part.text}]" if part.is_match else part.text for part in parts)

    def test_around_the_hit(self):
        text = "before " * 50 + "needle" + " after" * 100
        shown = self.parts(text, "needle")
        assert re.fullmatch(r"…(before ){4,6}\[needle\]( after){20,30}( a\w*)?…", shown)

    def test_where_folding_changes_lengths(self):
        text = "ß" * 300 + " e\u0301e\u0301 " + "ﬁ" * 30 + " Néedle x"
        assert self.parts(text, "needle").endswith("[Néedle] x")

    def test_html_stays_text(self):
        assert self.parts("<b>bold</b> & <script>", "bold") == "<b>[bold]</b> & <script>"

    def test_part_of_a_ligature_marks_it_whole(self):
        assert self.parts("a ﬁne day", "ine") == "a [ﬁne] day"

    def test_several_words(self):
        assert self.parts("red, green\nand blue", 'blue "green and"') == "red, [green and] [blue]"

    def test_a_very_long_text_is_quick_enough(self):
        text = "é ß 가나다 " * 20_000 + "needle"
        assert self.parts(text, "needle").endswith("[needle]")


class TestKeeping:
    """The verbs of the site keep the index true."""

    def test_a_question_is_found_at_once_with_its_title(self, alice, echo):
        start_conversation(alice, ask("Where is the Matterhorn?", echo))
        assert found(alice, "matterhorn") == ["Where is the Matterhorn?"]
        assert titles(alice, "matterhorn") == ["Where is the Matterhorn?"]

    def test_a_second_question_and_an_edited_one(self, alice, echo):
        first = start_conversation(alice, ask("About alpacas", echo))
        end_generation(first, Status.COMPLETED)
        conversation = first.message.conversation
        second = start_generation(conversation, ask("About llamas", echo))
        end_generation(second, Status.COMPLETED)
        conversation.refresh_from_db()
        edit_question(second.message.parent, ask("About vicunas", echo))
        assert found(alice, "about") == ["About vicunas", "About llamas", "About alpacas"]
        assert found(alice, "llamas") == ["About llamas"]

    def answer(self, generation: Generation, text: str, status: Status = Status.COMPLETED) -> None:
        content = generation.message.content + text
        Message.objects.filter(pk=generation.pk).update(content=content)
        end_generation(generation, status)

    def test_an_answer_is_found_when_it_ends(self, alice, echo):
        generation = start_conversation(alice, ask("Which peak?", echo))
        assert found(alice, "finsteraarhorn") == []
        self.answer(generation, "The Finsteraarhorn.")
        assert found(alice, "finsteraarhorn") == ["The Finsteraarhorn."]

    def test_a_continued_answer_is_found_by_all_of_it(self, alice, echo):
        generation = start_conversation(alice, ask("Which peaks?", echo))
        self.answer(generation, "Eiger and Mön", Status.INCOMPLETE)
        message = Message.objects.select_related("conversation", "generation").get(pk=generation.pk)
        continued = continue_generation(message)
        continued.message = message
        self.answer(continued, "ch and Jungfrau", Status.COMPLETED)
        for query in ("eiger", "monch", "jungfrau", "eiger jungfrau"):
            assert found(alice, query) == ["Eiger and Mönch and Jungfrau"], query

    def test_another_branch_is_found(self, alice, echo):
        generation = start_conversation(alice, ask("Which lake?", echo))
        self.answer(generation, "The Thunersee.")
        message = Message.objects.select_related("conversation", "generation").get(pk=generation.pk)
        self.answer(regenerate(message, echo), "The Brienzersee.")
        assert found(alice, "see") == ["The Brienzersee.", "The Thunersee."]

    def test_a_new_title_replaces_the_old_one(self, alice, echo):
        conversation = start_conversation(alice, ask("Zermatt", echo)).message.conversation
        rename_conversation(conversation, "Grindelwald")
        assert titles(alice, "grindel") == ["Grindelwald"]
        assert titles(alice, "zermatt") == []
        assert self.candidates(alice, "zermatt", titles=True) == []

    def candidates(self, owner, text: str, *, titles: bool = False) -> list[int]:
        from chat.search.passages import Wanted

        wanted = Wanted(owner=owner.pk, grams=grams_of_query(Query(text)), titles=titles, count=10)
        return get_index().newest(wanted)

    def test_nothing_of_a_deleted_conversation_stays_in_the_index(self, alice, echo):
        generation = start_conversation(alice, ask("Forget the Säntis", echo))
        self.answer(generation, "The Säntis is forgotten.")
        conversation = Conversation.objects.get()
        pks = list(conversation.messages.values_list("pk", flat=True))
        assert get_index().known([*pks, -pks[0]]) == {*pks, -pks[0]}
        erase_conversation(conversation)
        assert self.candidates(alice, "santis") == self.candidates(alice, "santis", titles=True) == []
        assert get_index().known([*pks, -pks[0]]) == set()

    def test_nor_of_a_deleted_person(self, alice, charlie):
        write(alice, "mine", title="of Alice")
        write(charlie, "not mine", title="of Charlie")
        pks = list(Message.objects.values_list("pk", flat=True))
        alice.delete()
        assert get_index().known([*pks, *(-pk for pk in pks)]) == {pks[1], -pks[1]}
        assert found(charlie, "mine") == ["not mine"]

    def test_what_was_not_told_is_worked_off(self, alice):
        conversation = Conversation.objects.create(owner=alice, title="Imported")
        texts = [f"brought {number}" for number in range(25)]
        rows = [Message(conversation=conversation, role=Role.USER, content=text) for text in texts]
        Message.objects.bulk_create(rows)
        backlog = search.Backlog()
        assert search.is_behind()
        while backlog.work(10):
            pass
        assert not search.is_behind()
        assert found(alice, "brought") == texts[::-1]
        assert titles(alice, "imported") == ["Imported"]
        Message.objects.create(conversation=conversation, role=Role.USER, content="brought later")
        backlog.work(10)
        assert found(alice, "later") == ["brought later"]

    def test_the_backlog_leaves_running_answers_alone(self, alice, echo):
        generation = start_conversation(alice, ask("Run!", echo))
        Message.objects.filter(pk=generation.pk).update(content="half an ans")
        while search.Backlog().work(10):
            pass
        assert found(alice, "half") == []
        assert not search.is_behind()


class TestRebuild:
    def run(self, *args: str) -> str:
        out = StringIO()
        call_command("rebuild_search", *args, stdout=out)
        return out.getvalue()

    def test_it_works(self, alice):
        write(alice, "the first", "the second", title="Kept")
        assert "2 messages looked at, 3 messages and titles entered." in self.run("--fresh", "--batch", "1")
        assert found(alice, "second") == ["the second"]
        assert titles(alice, "kept") == ["Kept"]

    def test_it_goes_on_where_it_was(self, alice):
        write(alice, "the first", "the second")
        assert "0 messages and titles entered" in self.run()

    def test_the_check_tells(self, alice):
        assert check_search(None, databases=["default"]) == []
        conversation = Conversation.objects.create(owner=alice, title="Imported")
        Message.objects.create(conversation=conversation, role=Role.USER, content="not told")
        assert [message.id for message in check_search(None, databases=["default"])] == ["chat.W006"]
        self.run()
        assert check_search(None, databases=["default"]) == []

    def test_the_check_tells_of_a_poor_sqlite(self, monkeypatch):
        monkeypatch.setattr("chat.search.has_fts5", lambda: False)
        found = check_search(None, databases=["default"])
        assert [message.id for message in found] == (["chat.E006"] if connection.vendor == "sqlite" else [])


class TestPage:
    url = "/search/"

    def get(self, client, **parameters):
        return client.get(self.url, parameters)

    def json(self, client, **parameters):
        return client.get(self.url, parameters, headers={"accept": "application/json"}).json()

    def test_it_works(self, alice, alice_client):
        conversation = write(alice, "<i>Where</i> is 서울?", title="A & B")
        page = self.get(alice_client, q="서울").content.decode()
        message = conversation.messages.get()
        assert "&lt;i&gt;Where&lt;/i&gt; is <mark>서울</mark>?" in page
        assert f'href="/c/{conversation.pk}/?message={message.pk}#message-{message.pk}"' in page
        assert "A &amp; B" in page

    def test_json(self, alice, alice_client):
        conversation = write(alice, "Where is 서울?", title="A & B")
        data = self.json(alice_client, q="서울")
        [group] = data["groups"]
        assert group["title"] == [{"text": "A & B", "is_match": False}]
        assert group["url"] == f"/c/{conversation.pk}/"
        [hit] = group["hits"]
        assert [part["text"] for part in hit["snippet"] if part["is_match"]] == ["서울"]
        assert data["state"] == ""
        assert data["more"] is False

    def test_it_checks_ownership(self, alice, charlie_client):
        write(alice, "Where is 서울?", title="서울")
        assert self.json(charlie_client, q="서울")["groups"] == []
        assert self.json(charlie_client)["groups"] == []

    def test_it_wants_a_person(self, client):
        assert self.get(client, q="x").status_code == 302

    def test_it_rejects_post(self, alice_client):
        assert alice_client.post(self.url).status_code == 405

    def test_without_a_query_the_recent_ones(self, alice, alice_client):
        write(alice, "text", title="Recent one")
        data = self.json(alice_client, q="  ")
        assert [group["title"][0]["text"] for group in data["groups"]] == ["Recent one"]

    @pytest.mark.parametrize(
        ("query", "state"),
        [
            ("a", "Type one more character."),
            ('"', "Type one more character."),
            ("a b", "Type one more character."),
            ("x" * 201, "At most 200 characters, please."),
            ("absent", "Nothing was found."),
        ],
    )
    def test_what_is_wrong_is_said(self, alice_client, query, state):
        assert self.json(alice_client, q=query) == {"state": state, "groups": [], "more": False}
        assert state in self.get(alice_client, q=query).content.decode()

    def test_older_messages_and_titles_are_links(self, alice, alice_client):
        for number in range(PAGE + 2):
            write(alice, f"needle {number}", title=f"Needle {number}")
        page = self.get(alice_client, q="needle").content.decode()
        older, titles = (
            re.search(r'href="([^"]*[;?&]before=\d+)"', page)[1],
            re.search(r'href="([^"]*titles_before=\d+)"', page)[1],
        )
        assert "needle 1" not in re.sub(
            "needle 1.", "", alice_client.get(titles.replace("&amp;", "&")).content.decode()
        )
        text = re.sub("</?mark>", "", alice_client.get(older.replace("&amp;", "&")).content.decode())
        assert "needle 0" in text
        assert "needle 5" not in text

    @pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "0"])
    def test_a_wrong_place_does_no_harm(self, alice, alice_client, before):
        write(alice, "needle")
        assert self.get(alice_client, q="needle", before=before).status_code == 200


class TestJump:
    """``?message=`` shows the message, whatever branch it is on and however long ago it was."""

    @pytest.fixture(autouse=True)
    def _short_pages(self, settings):
        settings.CHAT_PAGE_MESSAGES = 6

    def shown(self, response) -> list[int]:
        return [turn.message.pk for turn in response.context["turns"]]

    def get(self, client, conversation, message):
        return client.get(reverse("chat:conversation", args=[conversation.pk]), {"message": message})

    def test_a_new_message_is_on_the_page_as_it_is(self, alice, alice_client):
        conversation = write(alice, *(f"text {number}" for number in range(20)))
        pks = list(conversation.messages.values_list("pk", flat=True))
        response = self.get(alice_client, conversation, pks[-5])
        assert self.shown(response) == pks[-6:]
        assert b"data-earlier" not in response.content

    def test_an_old_one_is_in_the_middle(self, alice, alice_client):
        conversation = write(alice, *(f"text {number}" for number in range(20)))
        pks = list(conversation.messages.values_list("pk", flat=True))
        response = self.get(alice_client, conversation, pks[8])
        assert self.shown(response) == pks[6:12]
        assert b"data-earlier" in response.content
        assert b"another version" not in response.content

    def test_one_on_another_branch(self, alice, alice_client):
        conversation = write(alice, "question", "shown answer")
        root = conversation.messages.first()
        other = Message.objects.create(conversation=conversation, parent=root, role=Role.ASSISTANT, content="hidden")
        response = self.get(alice_client, conversation, other.pk)
        assert self.shown(response) == [root.pk, other.pk]
        assert b"another version" in response.content
        assert b"data-earlier" in response.content
        conversation.refresh_from_db()
        assert conversation.leaf_id != other.pk

    @pytest.mark.parametrize("wanted", ["999999999", "9" * 30])
    def test_one_that_is_not_there(self, alice, alice_client, wanted):
        conversation = write(alice, "question")
        assert self.get(alice_client, conversation, wanted).status_code == 404

    def test_a_strangers(self, alice, charlie, charlie_client):
        own, strange = write(charlie, "mine"), write(alice, "hers")
        assert self.get(charlie_client, own, strange.messages.get().pk).status_code == 404
        assert self.get(charlie_client, strange, strange.messages.get().pk).status_code == 404


class TestForgetting:
    def known(self, pks):
        return get_index().known([*pks, *(-pk for pk in pks)])

    def test_a_deleted_message_leaves_no_trace(self, alice):
        conversation = write(alice, "Where do plums grow?", "On trees.")
        question, answer = conversation.messages.values_list("pk", flat=True)
        assert self.known([question, answer]) == {question, answer, -question}
        delete_message(conversation.messages.get(pk=answer))
        assert self.known([question, answer]) == {question, -question}

    def test_the_title_is_found_when_the_first_message_is_gone(self, alice):
        conversation = write(alice, "Where do plums grow?", "On trees.")
        other = Message.objects.create(conversation=conversation, role=Role.USER, content="Where do figs grow?")
        first = conversation.messages.order_by("pk").first()
        delete_message(first)
        assert self.known([first.pk]) == set()
        assert titles(alice, "title") == ["A title"]
        rename_conversation(conversation, "Pomegranate")
        assert titles(alice, "title") == []
        assert titles(alice, "pomegranate") == ["Pomegranate"]
        assert self.known([other.pk]) == {-other.pk}

    def test_a_purged_conversation_leaves_no_trace(self, alice, settings):
        conversation = write(alice, "Where do plums grow?", "On trees.")
        pks = list(conversation.messages.values_list("pk", flat=True))
        delete_conversations(alice, [conversation.pk])
        assert titles(alice, "title") == found(alice, "plums") == []
        settings.CHAT_UNDO_SECONDS = -1
        purge_deleted()
        assert not Conversation.objects.exists()
        assert self.known(pks) == set()
