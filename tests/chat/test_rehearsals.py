"""A change of an assistant is rehearsed on many questions, compared, voted on, exported and applied."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat.generation import Question, start_generation
from chat.models import (
    AssistantVersion,
    AuditEntry,
    Conversation,
    Feedback,
    Generation,
    Metric,
    Origin,
    Purpose,
    Quota,
    QuotaCounter,
    Rehearsal,
    RehearsalVote,
    RehearsedAnswer,
    RehearsedQuestion,
    Side,
    Status,
    UsageRecord,
    User,
)
from chat.operation import draining
from chat.retention import deleting
from chat.runner import Runner
from chat.workshop import claiming, comparing, opening, switching, working
from chat.workshop.choosing import of_text
from chat.workshop.trials import Run
from chat.workshop.working import Rehearsing
from chat.writing import run_generation
from tests.fakes import ScriptedBackend, claim_one
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

WAKE = Runner.wake
"""Of the class: the site's own runner sleeps in these tests."""


@pytest.fixture
def page(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def runner():
    runner = Runner()
    yield runner
    runner.stop()


def answer_all() -> None:
    while claimed := claim_one("worker"):
        asyncio.run(run_generation(claimed))


def begin(page, assistant, candidate, **sent) -> Rehearsal:
    form = {"assistant": assistant.pk, "candidate": candidate.pk, "source": "typed", "whose": "own", "number": "20"}
    form["reason"] = "To see whether it is better"
    response = page.post(reverse("admin:chat_rehearsal_add"), {**form, **sent})
    assert response.status_code == 302, (response.context["what"].errors, response.context["questions"].errors)
    return Rehearsal.objects.latest("pk")


def run_all(worker="w", room=50) -> None:
    """Write what waits, as the runner would."""

    async def go() -> None:
        while claimed := await asyncio.to_thread(claiming.claim, worker, room):
            await asyncio.gather(*map(working.write, claimed))

    asyncio.run(go())


def sides(rehearsal) -> dict[tuple[int, str], RehearsedAnswer]:
    found = RehearsedAnswer.objects.filter(question__rehearsal=rehearsal).select_related("question")
    return {(answer.question.number, answer.side): answer for answer in found}


def test_it_works(page, staff, echo, scripted, runner):
    echo.input_price = Decimal(1000)
    echo.save()
    rehearsal = begin(page, scripted, echo, typed="length\nmarkdown now")
    WAKE(runner)
    until(lambda: not RehearsedAnswer.objects.unfinished().exists())
    found = sides(rehearsal)
    assert found[1, "old"].content == "cut"  # typed questions are asked of both
    assert found[1, "new"].content == "length"
    assert (found[2, "new"].input_tokens, found[2, "new"].output_tokens) == (2, 2)
    assert found[2, "new"].cost == Decimal("0.002")
    assert found[2, "new"].first_text_ms is not None
    assert {record.purpose for record in UsageRecord.objects.all()} == {Purpose.REHEARSAL}
    assert {record.user_id for record in UsageRecord.objects.all()} == {staff.pk}
    shown = page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
    assert "markdown now" in shown
    assert "4 of 4 answers" in shown
    assert not Conversation.objects.exists()
    assert "done" in page.get(reverse("admin:chat_rehearsal_changelist")).content.decode()


def test_questions_of_conversations(page, staff, alice, ask, echo, scripted):
    conversation = ask(echo, "First question").message.conversation
    answer_all()
    conversation.refresh_from_db()
    start_generation(conversation, Question(content="length", assistant=echo, key=uuid.uuid4()))
    answer_all()
    rehearsal = begin(page, echo, scripted, source="newest", whose="all", every="on")
    assert [question.question for question in rehearsal.questions.all()] == ["First question", "length"]
    found = sides(rehearsal)
    assert (found[2, "old"].content, found[2, "old"].status) == ("length", "completed")
    assert found[2, "old"].output_tokens == 1
    run_all()
    assert [message.content for message in ScriptedBackend.requests[-1].messages] == [
        "First question",
        "First question",
        "length",
    ]
    assert sides(rehearsal)[2, "new"].content == "cut"
    assert sides(rehearsal)[1, "new"].error_code  # the fake knows no such word
    last = begin(page, echo, scripted, source="newest", whose="all")
    assert [question.question for question in last.questions.all()] == ["length"]
    entry = AuditEntry.objects.filter(action="transcript.rehearsed").latest("number")
    assert (entry.target_id, entry.concerns_id, entry.actor) == (str(conversation.pk), alice.pk, "staff")
    assert entry.detail["reason"] == "To see whether it is better"
    assert "question" not in str(AuditEntry.objects.values("detail"))
    without = {"assistant": echo.pk, "candidate": scripted.pk, "source": "newest", "whose": "all", "reason": " ?"}
    assert "Say in a few words why" in page.post(reverse("admin:chat_rehearsal_add"), without).content.decode()


def test_disliked_and_selected_ones(page, staff, ask, echo, scripted):
    liked, disliked = ask(echo, "Liked").message, ask(echo, "Disliked").message
    answer_all()
    Feedback.objects.create(message=disliked, person=disliked.conversation.owner, value=-1)
    rehearsal = begin(page, echo, scripted, source="disliked", whose="all")
    assert [question.question for question in rehearsal.questions.all()] == ["Disliked"]
    chosen = {"action": "rehearse_selected", "_selected_action": [str(liked.conversation_id)]}
    response = page.post(reverse("admin:chat_conversation_changelist"), chosen)
    assert str(liked.conversation_id) in response["Location"]
    assert "conversations that I selected (1)" in page.get(response["Location"]).content.decode()
    rehearsal = begin(page, scripted, echo, source="selected", conversations=str(liked.conversation_id))
    assert [question.question for question in rehearsal.questions.all()] == ["Liked"]


class TestRights:
    @pytest.fixture
    def helper(self, client, echo, scripted):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        for name in ("add_rehearsal", "change_rehearsal", "view_rehearsal"):
            helper.user_permissions.add(Permission.objects.get(codename=name))
        client.force_login(helper)
        return helper

    def test_others_conversations_need_a_permission(self, client, helper, ask, echo, scripted):
        theirs = ask(echo, "A secret").message.conversation
        answer_all()
        form = {"assistant": echo.pk, "candidate": scripted.pk, "number": "5"}
        for sent in (
            {"source": "newest", "whose": "all"},
            {"source": "newest", "whose": "own"},
            {"source": "selected", "whose": "own", "conversations": str(theirs.pk)},
        ):
            response = client.post(reverse("admin:chat_rehearsal_add"), {**form, **sent})
            assert response.status_code == 200
        assert not RehearsedQuestion.objects.exists()

    def test_what_one_may_not_read_is_not_shown(self, client, helper, staff, alice, ask, echo, scripted):
        ask(echo, "A secret")
        answer_all()
        client.force_login(staff)
        rehearsal = begin(client, echo, scripted, source="newest", whose="all")
        client.force_login(helper)
        url = reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
        shown = client.get(url).content.decode()
        assert "A secret" not in shown
        assert "1 question is not shown" in shown
        exported = client.get(reverse("admin:chat_rehearsal_export", args=[rehearsal.pk])).content.decode()
        assert exported == ""
        vote = {"question": rehearsal.questions.get().pk, "choice": "new"}
        assert client.post(reverse("admin:chat_rehearsal_vote", args=[rehearsal.pk]), vote).status_code == 404
        assert client.post(reverse("admin:chat_rehearsal_switch", args=[rehearsal.pk])).status_code == 403

    def test_another_administrator_says_why_first(self, monkeypatch, client, staff, alice, ask, echo, scripted):
        conversation = ask(echo, "A secret").message.conversation
        answer_all()
        client.force_login(staff)
        rehearsal = begin(client, echo, scripted, source="newest", whose="all")
        other = User.objects.create_superuser("other", "other@example.org", "x")
        client.force_login(other)
        url = reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
        opened = reverse("admin:chat_rehearsal_open", args=[rehearsal.pk])
        assert "A secret" not in client.get(url).content.decode()
        client.post(opened, {"reason": "hm"})
        assert "A secret" not in client.get(url).content.decode()
        client.post(opened, {"reason": "To vote on the answers"})
        assert "A secret" in client.get(url).content.decode()
        entry = AuditEntry.objects.filter(action="transcript.rehearsed").latest("number")
        assert (entry.actor, entry.concerns_id, entry.target_id) == ("other", alice.pk, str(conversation.pk))
        assert entry.detail["reason"] == "To vote on the answers"
        monkeypatch.setattr(opening, "OPEN_FOR", timedelta(0))
        assert "A secret" not in client.get(url).content.decode()

    def test_who_looks_is_written_down_once_in_a_while(self, page, ask, echo, scripted):
        ask(echo, "A secret")
        answer_all()
        rehearsal = begin(page, echo, scripted, source="newest", whose="all")
        for _ in range(3):
            page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk]))
        assert AuditEntry.objects.filter(action="rehearsal.read").count() == 1
        page.get(reverse("admin:chat_rehearsal_export", args=[rehearsal.pk]))
        assert AuditEntry.objects.filter(action="rehearsal.exported").count() == 1

    def test_nobody_without_permissions(self, client, staff, echo, scripted):
        client.force_login(staff)
        rehearsal = begin(client, echo, scripted, typed="Hi")
        stranger = User.objects.create_user("stranger", password="x", is_staff=True)
        client.force_login(stranger)
        names = ("change", "progress", "export", "vote", "open", "cancel", "again", "switch", "delete")
        for name in names:
            url = reverse(f"admin:chat_rehearsal_{name}", args=[rehearsal.pk])
            assert {client.get(url).status_code, client.post(url).status_code} <= {403, 405}, name
        for name in ("add", "changelist", "prepare"):
            assert client.get(reverse(f"admin:chat_rehearsal_{name}")).status_code in {403, 405}
            assert client.post(reverse(f"admin:chat_rehearsal_{name}")).status_code == 403


class TestTypedQuestions:
    def test_json_lines(self):
        said = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
        text = '{"prompt": "One"}\n\n' + json.dumps({"messages": said, "answer": "A"})
        one, two = of_text(text)
        assert one.messages == ({"role": "user", "content": "One"},)
        assert (two.messages[0]["role"], two.known) == ("system", "A")

    @pytest.mark.parametrize(
        "line",
        [
            '{"x": 1}',
            "{broken",
            '{"prompt": ""}',
            '{"messages": [{"role": "assistant", "content": "x"}]}',
            '{"messages": 3}',
        ],
    )
    def test_wrong_lines_are_named(self, line):
        with pytest.raises(ValidationError, match="Line 2"):
            of_text('{"prompt": "fine"}\n' + line)

    def test_not_too_many(self):
        with pytest.raises(ValidationError, match="201"):
            of_text("x\n" * 201)

    def test_a_file_and_known_answers(self, page, echo, scripted):
        upload = SimpleUploadedFile("q.jsonl", b'\xef\xbb\xbf{"prompt": "Q", "answer": "Known"}')
        rehearsal = begin(page, echo, scripted, file=upload)
        assert sides(rehearsal)[1, "old"].content == "Known"
        wrong = SimpleUploadedFile("q.txt", b"\xff\xfe\x00")
        form = {"assistant": echo.pk, "candidate": scripted.pk, "source": "typed", "whose": "own", "file": wrong}
        assert "no text in UTF-8" in page.post(reverse("admin:chat_rehearsal_add"), form).content.decode()

    def test_none_at_all(self, page, echo, scripted):
        form = {"assistant": echo.pk, "candidate": scripted.pk, "source": "typed", "whose": "own", "typed": " \n"}
        shown = page.post(reverse("admin:chat_rehearsal_add"), form).content.decode()
        assert "There are no such questions." in shown
        assert not Rehearsal.objects.exists()
        same = page.post(reverse("admin:chat_rehearsal_add"), {**form, "typed": "Q", "candidate": echo.pk})
        assert "these settings it has already" in same.content.decode()


class TestWork:
    @pytest.fixture
    def rehearsal(self, page, echo, scripted) -> Rehearsal:
        return begin(page, echo, scripted, typed="\n".join(["forever"] * 4))

    def test_few_at_once_of_each_backend(self, rehearsal, settings):
        settings.CHAT_REHEARSAL_PARALLEL = 2
        first = claiming.claim("one", 50)
        assert sorted(answer.backend for answer in first) == ["echo", "echo", "scripted", "scripted"]
        assert claiming.claim("two", 50) == []
        assert len(claiming.claim("one", 0)) == 0
        slots = RehearsedAnswer.objects.running().filter(backend="echo").values_list("slot", flat=True)
        assert sorted(slots) == [0, 1]

    def test_people_go_first(self, rehearsal, ask, echo):
        ask(echo, "Mine first")
        assert claiming.claim("one", 50) == []
        answer_all()
        assert claiming.claim("one", 1)

    def test_drained_backends_rest(self, rehearsal):
        draining.drain("scripted")
        assert {answer.backend for answer in claiming.claim("one", 50)} == {"echo"}
        draining.drain("*")
        assert claiming.claim("two", 50) == []

    def test_a_worker_that_dies_loses_nothing(self, rehearsal, settings):
        settings.CHAT_HEARTBEAT_INTERVAL = 0.01
        taken = claiming.claim("dead", 50)
        other = Rehearsing()
        assert other._dead(set()) == []
        other._seen = {pk: (sign, since - 60) for pk, (sign, since) in other._seen.items()}
        found = other._dead(set())
        assert sorted(found) == sorted(answer.pk for answer in taken)
        assert claiming.put_back(found) == len(taken)
        assert not RehearsedAnswer.objects.running().exists()
        # What the dead one still says is not taken.
        assert not claiming.store(taken[0], Run(status=Status.COMPLETED), 0)
        assert len(claiming.claim("next", 50)) == len(taken)

    def test_what_kills_its_workers_is_given_up(self, rehearsal):
        for _ in range(claiming.MOST_RUNS):
            taken = claiming.claim("dead", 50)
            claiming.put_back([answer.pk for answer in taken])
        lost = RehearsedAnswer.objects.filter(status=Status.INCOMPLETE, finish_reason="interrupted")
        assert lost.count() == 4
        assert comparing.run_again(rehearsal) == 4

    def test_a_process_that_stops_hands_over(self, rehearsal, runner):
        WAKE(runner)
        until(lambda: ScriptedBackend.open == 2)
        runner.stop()
        assert ScriptedBackend.open == 0
        assert not RehearsedAnswer.objects.running().exists()
        left = RehearsedAnswer.objects.queued().filter(backend="scripted")
        assert left.count() == 4

    def test_cancel(self, page, rehearsal, runner):
        WAKE(runner)
        until(lambda: ScriptedBackend.open == 2)
        page.post(reverse("admin:chat_rehearsal_cancel", args=[rehearsal.pk]))
        until(lambda: ScriptedBackend.open == 0)
        assert not RehearsedAnswer.objects.unfinished().exists()
        assert RehearsedAnswer.objects.filter(status=Status.CANCELLED, backend="scripted").count() == 4
        page.post(reverse("admin:chat_rehearsal_again", args=[rehearsal.pk]))
        assert RehearsedAnswer.objects.unfinished().exists()

    def test_deleting_a_rehearsal_deletes_its_texts(self, page, rehearsal, runner):
        WAKE(runner)
        until(lambda: ScriptedBackend.open == 2)
        url = reverse("admin:chat_rehearsal_delete", args=[rehearsal.pk])
        assert page.get(url).status_code == 200
        page.post(url, {"post": "yes"})
        until(lambda: ScriptedBackend.open == 0)
        assert not RehearsedAnswer.objects.exists()
        assert not RehearsedQuestion.objects.exists()

    def test_failures_and_quotas(self, page, echo, scripted, staff):
        rehearsal = begin(page, echo, scripted, typed="fail\ncrash")
        Quota.objects.create(metric=Metric.REQUESTS, limit=3, user=staff)
        RehearsedAnswer.objects.filter(question__rehearsal=rehearsal, side=Side.OLD).delete()
        run_all()
        codes = [sides(rehearsal)[number, "new"].error_code for number in (1, 2)]
        assert codes == ["backend_unavailable", "backend_error"]
        Quota.objects.update(limit=0)
        assert comparing.run_again(rehearsal) == 2
        run_all()
        assert sides(rehearsal)[1, "new"].error_code == "quota_exceeded"
        shown = page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
        assert "You had used all that you may use." in shown
        assert QuotaCounter.objects.get().reserved == 0


class TestDeletedConversations:
    @pytest.fixture
    def rehearsal(self, page, ask, echo, scripted) -> Rehearsal:
        ask(echo, "A secret")
        answer_all()
        return begin(page, echo, scripted, source="newest", whose="all")

    def test_what_its_owner_deletes_is_gone_at_once_and_for_good(self, page, alice, rehearsal, settings):
        conversation = Conversation.objects.get()
        deleting.delete_conversations(alice, [conversation.pk])
        shown = page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
        assert "A secret" not in shown
        assert page.get(reverse("admin:chat_rehearsal_export", args=[rehearsal.pk])).content == b""
        assert claiming.claim("w", 5) == []
        deleting.restore_conversations(alice, [conversation.pk])
        assert "A secret" in page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
        deleting.delete_conversations(alice, [conversation.pk])
        past = timezone.now() - timedelta(seconds=settings.CHAT_UNDO_SECONDS + 1)
        Conversation.objects.update(deleted_at=past)
        deleting.purge_deleted()
        assert not RehearsedQuestion.objects.exists()
        assert not RehearsedAnswer.objects.exists()

    def test_while_it_is_read_it_stops(self, page, alice, scripted, echo, ask, runner):
        ask(echo, "forever")
        answer_all()
        begin(page, echo, scripted, source="newest", whose="all")
        WAKE(runner)
        until(lambda: ScriptedBackend.open == 1)
        deleting.delete_conversations(alice, Conversation.objects.values_list("pk", flat=True))
        until(lambda: ScriptedBackend.open == 0)

    def test_a_deleted_message_takes_its_copy_along(self, rehearsal):
        from chat.retention.pruning import delete_message

        delete_message(Generation.objects.get().message)
        assert list(RehearsedAnswer.objects.values_list("side", flat=True)) == ["new"]


class TestComparing:
    @pytest.fixture
    def rehearsal(self, page, echo, scripted) -> Rehearsal:
        rehearsal = begin(page, echo, scripted, typed="length\n=1+1\nfail")
        run_all()
        return rehearsal

    def test_votes(self, page, staff, alice, rehearsal):
        url = reverse("admin:chat_rehearsal_vote", args=[rehearsal.pk])
        first, second, _third = rehearsal.questions.all()
        assert page.post(url, {"question": first.pk, "choice": "new"}).status_code == 302
        told = page.post(url, {"question": second.pk, "choice": "old"}, headers={"accept": "application/json"})
        assert told.json() == {"choice": "old", "votes": {"old": 1, "same": 0, "new": 1}}
        page.post(url, {"question": second.pk, "choice": "new"})  # thought better of it
        comparing.vote(second, alice, "same")
        assert comparing.totals(rehearsal).votes == {"old": 0, "same": 1, "new": 2}
        page.post(url, {"question": second.pk, "choice": ""})
        assert RehearsalVote.objects.filter(person=staff).count() == 1
        assert page.post(url, {"question": first.pk, "choice": "x"}).status_code == 400
        for wrong in ("", "x", "999"):
            assert page.post(url, {"question": wrong, "choice": "new"}).status_code == 404

    def test_votes_of_another_rehearsal_are_not_reached(self, page, rehearsal, echo, scripted):
        other = begin(page, echo, scripted, typed="x").questions.get()
        url = reverse("admin:chat_rehearsal_vote", args=[rehearsal.pk])
        assert page.post(url, {"question": other.pk, "choice": "new"}).status_code == 404

    def test_totals(self, rehearsal):
        totals = comparing.totals(rehearsal)
        assert (totals.questions, totals.to_come, totals.written, totals.percent) == (3, 0, 6, 100)
        assert (totals.old.answers, totals.new.answers, totals.new.failed) == (3, 1, 2)
        assert (totals.new.input_tokens, totals.again) == (3, 2)

    def test_filters(self, page, rehearsal):
        url = reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
        assert page.get(url, {"show": "failed"}).content.decode().count("data-question=") == 2
        comparing.vote(rehearsal.questions.first(), User.objects.get(username="staff"), "new")
        assert page.get(url, {"show": "unvoted"}).content.decode().count("data-question=") == 2
        assert page.get(url, {"show": "x", "p": "99"}).status_code == 200

    def test_progress_has_no_texts(self, page, rehearsal):
        told = page.get(reverse("admin:chat_rehearsal_progress", args=[rehearsal.pk])).json()
        first = str(rehearsal.questions.first().pk)
        assert (told["to_come"], told["percent"], told["states"][first]) == (0, 100, "incomplete completed")
        shown = page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
        assert 'data-states="incomplete completed"' in shown

    def test_queries_do_not_grow(self, page, rehearsal, echo, scripted):
        def count(pk) -> int:
            with CaptureQueriesContext(connection) as queries:
                page.get(reverse("admin:chat_rehearsal_change", args=[pk]))
            return len(queries)

        count(rehearsal.pk)
        few = count(rehearsal.pk)
        assert count(begin(page, echo, scripted, typed="\n".join("abcdefghi")).pk) == few

    def test_the_list_does_not_grow(self, page, rehearsal, echo, scripted):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                page.get(reverse("admin:chat_rehearsal_changelist"))
            return len(queries)

        count()
        few = count()
        for _ in range(5):
            begin(page, echo, scripted, typed="x\ny")
        assert count() == few

    def test_json_lines(self, page, rehearsal):
        url = reverse("admin:chat_rehearsal_export", args=[rehearsal.pk])
        rows = [json.loads(line) for line in page.get(url, {"format": "jsonl"}).content.decode().splitlines()]
        assert [row["question"] for row in rows] == ["length", "=1+1", "fail"]
        assert (rows[0]["old_answer"], rows[0]["new_answer"], rows[2]["new_error_code"]) == (
            "length",
            "cut",
            "backend_unavailable",
        )

    def test_a_table_runs_no_formula(self, page, rehearsal):
        response = page.get(reverse("admin:chat_rehearsal_export", args=[rehearsal.pk]), {"format": "csv"})
        assert response["Content-Disposition"].endswith('.csv"')
        rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
        assert rows[1]["question"] == "'=1+1"
        assert rows[0]["votes_new"] == "0"


class TestSwitch:
    @pytest.fixture
    def rehearsal(self, page, echo, scripted) -> Rehearsal:
        scripted.system_prompt, scripted.temperature, scripted.input_price = "New", 0.3, Decimal(2)
        scripted.save()
        return begin(page, echo, scripted, typed="length")

    def switch(self, page, rehearsal, over):
        return page.post(reverse("admin:chat_rehearsal_switch", args=[rehearsal.pk]), {"over": over})

    def test_it_works(self, page, rehearsal, echo):
        shown = page.get(reverse("admin:chat_rehearsal_switch", args=[rehearsal.pk])).content.decode()
        assert 'name="over" value="1"' in shown
        assert "System prompt" in shown
        self.switch(page, rehearsal, 1)
        echo.refresh_from_db()
        assert (echo.name, echo.backend, echo.system_prompt, echo.temperature) == ("Echo", "scripted", "New", 0.3)
        newest = AssistantVersion.objects.filter(assistant_id=echo.pk).latest("number")
        assert (newest.number, newest.origin, newest.source) == (2, Origin.SWITCHED, str(rehearsal.pk))
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.target) == ("assistant.switched", "Echo")
        assert "New" not in str(entry.detail)
        assert "applied" in page.get(reverse("admin:chat_rehearsal_changelist")).content.decode()

    def test_not_over_what_nobody_saw(self, page, rehearsal, echo):
        echo.description = "Changed meanwhile"
        echo.save()
        shown = page.get(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])).content.decode()
        assert "was changed since this rehearsal began" in shown
        self.switch(page, rehearsal, 1)
        echo.refresh_from_db()
        assert echo.backend == "echo"
        self.switch(page, rehearsal, 2)
        echo.refresh_from_db()
        assert echo.backend == "scripted"

    def test_not_to_what_is_no_more(self, page, rehearsal, echo, staff, settings):
        settings.CHAT_BACKENDS = {"echo": settings.CHAT_BACKENDS["echo"]}
        with pytest.raises(ValidationError, match="no alias"):
            switching.switch(rehearsal, staff, over=1)
        echo.delete()
        rehearsal.refresh_from_db()
        with pytest.raises(ValidationError, match="deleted"):
            switching.switch(rehearsal, staff, over=1)
        assert page.get(reverse("admin:chat_rehearsal_switch", args=[rehearsal.pk])).status_code == 200


class TestPrepared:
    def test_the_edited_form_is_rehearsed_and_not_saved(self, page, echo):
        from tests.chat.test_admin import assistant_form

        sent = assistant_form(assistant=echo.pk, backend="scripted", system_prompt="Edited")
        response = page.post(reverse("admin:chat_rehearsal_prepare"), sent)
        rehearsal = Rehearsal.objects.get()
        assert response["Location"] == reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
        assert (rehearsal.assistant, rehearsal.candidate["system_prompt"]) == (echo, "Edited")
        echo.refresh_from_db()
        assert echo.system_prompt == ""
        shown = page.get(response["Location"]).content.decode()
        assert "Edited" in shown
        page.post(response["Location"], {"source": "typed", "whose": "own", "typed": "length"})
        run_all()
        assert sides(rehearsal)[1, "new"].content == "cut"
        assert ScriptedBackend.requests[-1].messages[0].content == "Edited"

    def test_wrong_forms_are_told(self, page, echo):
        from tests.chat.test_admin import assistant_form

        sent = assistant_form(assistant=echo.pk, temperature="9")
        response = page.post(reverse("admin:chat_rehearsal_prepare"), sent)
        assert "Give a number from 0 to 2" in page.get(response["Location"]).content.decode()
        assert not Rehearsal.objects.exists()

    def test_of_an_assistant_that_is_not_there_yet(self, page):
        from tests.chat.test_admin import assistant_form

        page.post(reverse("admin:chat_rehearsal_prepare"), assistant_form(backend="scripted"))
        rehearsal = Rehearsal.objects.get()
        url = reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
        page.post(url, {"source": "typed", "whose": "own", "typed": "length"})
        run_all()
        assert list(sides(rehearsal)) == [(1, "new")]
        assert "Apply to" not in page.get(url).content.decode()


def test_starting_needs_an_owner_who_may_sign_in(page, staff, echo, scripted):
    begin(page, echo, scripted, typed="length")
    User.objects.filter(pk=staff.pk).update(is_active=False)
    assert claiming.claim("w", 5) == []
