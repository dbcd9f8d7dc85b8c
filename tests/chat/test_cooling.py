"""A backend that failed several times in a row is left alone for a while."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from chat.models import BackendState, Conversation, Generation, Status
from chat.operation import cooling
from chat.operation.backend_health import health
from chat.operation.cooling import FIRST, LONGEST, WINDOW, Circuit, after_asking, after_failure, after_good_probe, pause
from chat.refusals import CoolingOffError
from chat.writing import run_generation
from tests.fakes import claim_one

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIMIT = 3


def failed(times: int, seen: Circuit | None = None, *, at: datetime = NOON, probe: bool = False) -> Circuit:
    seen = seen or Circuit()
    for _ in range(times):
        seen = after_failure(seen, now=at, asked_at=at, limit=LIMIT, is_probe=probe)
    return seen


class TestCircuit:
    def test_it_works(self):
        closed = failed(LIMIT - 1)
        assert not closed.is_open
        opened = failed(1, closed)
        assert opened.cooling_until == NOON + FIRST
        assert after_asking(opened, NOON) is None
        half = after_asking(opened, NOON + FIRST)
        assert half.trial_at == NOON + FIRST
        assert after_asking(half, NOON + FIRST) is None  # one at a time

    def test_answers_and_probes_count_together(self):
        assert failed(1, failed(2, probe=True)).is_open
        assert failed(3, probe=True).is_open

    def test_zero_means_never(self):
        seen = Circuit()
        for _ in range(50):
            seen = after_failure(seen, now=NOON, asked_at=NOON, limit=0)
        assert not seen.is_open

    def test_failures_that_lie_far_apart_are_not_in_a_row(self):
        seen = failed(LIMIT - 1)
        later = NOON + WINDOW + timedelta(seconds=1)
        seen = failed(1, seen, at=later)
        assert (seen.failures, seen.failing_since, seen.is_open) == (1, later, False)

    def test_what_was_under_way_does_not_prolong_it(self):
        opened = failed(LIMIT)
        many = failed(100, opened, at=NOON + timedelta(seconds=1))
        assert (many.coolings, many.cooling_until) == (1, opened.cooling_until)

    def test_the_trial_prolongs_it_and_others_do_not(self):
        half = after_asking(failed(LIMIT), NOON + FIRST)
        end = NOON + FIRST + timedelta(seconds=9)
        old = after_failure(half, now=end, asked_at=NOON - timedelta(minutes=1), limit=LIMIT)
        assert old.trial_at == half.trial_at
        again = after_failure(half, now=end, asked_at=half.trial_at, limit=LIMIT)
        assert (again.coolings, again.cooling_until, again.trial_at) == (2, end + 2 * FIRST, None)

    def test_a_trial_of_which_nothing_is_heard_makes_room_for_another(self):
        half = after_asking(failed(LIMIT), NOON + FIRST)
        assert after_asking(half, half.cooling_until).trial_at == half.cooling_until

    def test_a_good_probe_closes_it_on_probation(self):
        closed = after_good_probe(failed(LIMIT), LIMIT)
        assert not closed.is_open
        later = NOON + timedelta(seconds=30)
        again = after_failure(closed, now=later, asked_at=later, limit=LIMIT)
        assert again.cooling_until == later + 2 * FIRST

    def test_probes_alone_do_not_leave_failures_behind(self):
        assert after_good_probe(failed(LIMIT, probe=True), LIMIT).failures == 0

    def test_pauses_double_up_to_a_bound(self):
        assert [pause(number) / FIRST for number in (1, 2, 3, 4)] == [1, 2, 4, 8]
        assert pause(10_000) == LONGEST

    @given(st.lists(st.sampled_from(["fail", "probe fails", "probe", "ask", "answer", "wait"]), max_size=60))
    def test_whatever_happens(self, steps):
        seen, now, asked = Circuit(), NOON, NOON
        for step in steps:
            before = seen
            if step == "wait":
                now += timedelta(seconds=7)
            elif step == "ask":
                if (tried := after_asking(seen, now)) is not None:
                    asked, seen = now, tried
                    assert not before.is_open or before.cooling_until <= now
                else:
                    assert seen.cooling_until > now
            elif step == "answer":
                seen = Circuit()
            elif step == "probe":
                seen = after_good_probe(seen, LIMIT)
                assert not seen.is_open
            else:
                is_probe = step == "probe fails"
                at = now if is_probe else asked
                seen = after_failure(seen, now=now, asked_at=at, limit=LIMIT, is_probe=is_probe)
                assert seen.is_open == (before.is_open or seen.failures + seen.probe_failures >= LIMIT)
            if seen.is_open:
                assert seen.cooling_until <= now + LONGEST
                assert seen.coolings >= 1
                assert seen.coolings - before.coolings in {0, 1, *([seen.coolings] if step == "answer" else [])}
            else:
                assert seen.trial_at is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_runner")
class TestAnswers:
    @pytest.fixture(autouse=True)
    def _limit(self, settings):
        settings.CHAT_COOLING_FAILURES = LIMIT
        cache.clear()

    def fail(self, ask, scripted, times=1):
        for _ in range(times):
            ask(scripted, "fail")
            asyncio.run(run_generation(claim_one("here")))

    def test_it_works(self, ask, scripted, echo):
        self.fail(ask, scripted, LIMIT)
        with pytest.raises(CoolingOffError) as refused:
            ask(scripted, "length")
        assert timezone.now() < refused.value.resets_at < timezone.now() + FIRST
        assert not Conversation.objects.filter(title="length").exists()
        ask(echo, "Others are asked as ever")
        assert health({"scripted"})["scripted"].level == "down"

    def test_people_read_why_and_until_when(self, ask, scripted, alice_client):
        self.fail(ask, scripted, LIMIT)
        form = {"content": "Hello", "key": "0fe1a1a6-2c1f-4a3c-9d34-000000000001", "assistant": "scripted"}
        response = alice_client.post(reverse("chat:home"), form, headers={"Accept": "application/json"})
        (reason,) = response.json()["errors"]["__all__"]
        assert response.status_code == 503
        assert 0 < int(response["Retry-After"]) <= FIRST.total_seconds()
        assert "does not answer now" in reason
        assert f"Try again in {response['Retry-After']} seconds." in reason

    def test_one_may_try_and_its_answer_ends_it(self, ask, scripted):
        self.fail(ask, scripted, LIMIT)
        BackendState.objects.update(cooling_until=timezone.now())
        ask(scripted, "length")
        with pytest.raises(CoolingOffError):
            ask(scripted, "length")
        asyncio.run(run_generation(claim_one("here")))
        ask(scripted, "length")
        row = BackendState.objects.get()
        assert (row.failures, row.coolings, row.cooling_until) == (0, 0, None)

    def test_who_tries_in_vain_prolongs_it(self, ask, scripted):
        self.fail(ask, scripted, LIMIT)
        BackendState.objects.update(cooling_until=timezone.now())
        self.fail(ask, scripted)
        row = BackendState.objects.get()
        assert row.coolings == 2
        assert timezone.now() + FIRST < row.cooling_until <= timezone.now() + 2 * FIRST

    def test_a_try_that_is_refused_for_another_reason_is_none(self, ask, scripted, settings):
        self.fail(ask, scripted, LIMIT)
        now = timezone.now()
        BackendState.objects.update(cooling_until=now)
        scripted.backend = "scripted"
        from chat import quotas

        def refuse(*args, **values):
            raise quotas.QuotaExceededError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quotas, "reserve", refuse)
            with pytest.raises(quotas.QuotaExceededError):
                ask(scripted, "length")
        assert BackendState.objects.get().trial_at is None
        ask(scripted, "length")

    def test_what_gave_some_text_does_not_count(self, ask, scripted):
        for _ in range(LIMIT + 1):
            ask(scripted, "break")
            asyncio.run(run_generation(claim_one("here")))
        ask(scripted, "length")

    def test_a_bug_of_ours_or_the_question_does_not_count(self, ask, scripted):
        for _ in range(LIMIT + 1):
            ask(scripted, "nonsense")  # AttributeError in the plugin
            asyncio.run(run_generation(claim_one("here")))
        assert Generation.objects.filter(error_code="backend_error").count() == LIMIT + 1
        ask(scripted, "length")

    def test_an_answer_in_between_starts_anew(self, ask, scripted):
        self.fail(ask, scripted, LIMIT - 1)
        ask(scripted, "length")
        asyncio.run(run_generation(claim_one("here")))
        self.fail(ask, scripted, LIMIT - 1)
        ask(scripted, "length")

    def test_who_goes_on_with_a_cut_answer_is_told_too(self, ask, scripted):
        from chat.generation import continue_generation

        ask(scripted, "break")
        asyncio.run(run_generation(claim_one("here")))
        cut = Generation.objects.get().message
        self.fail(ask, scripted, LIMIT)
        with pytest.raises(CoolingOffError):
            continue_generation(cut)
        assert Generation.objects.get(pk=cut.pk).status == Status.FAILED

    def test_of_many_at_once_one_may_try(self, ask, scripted):
        self.fail(ask, scripted, LIMIT)
        BackendState.objects.update(cooling_until=timezone.now())
        admitted, barrier = [], threading.Barrier(4)

        def try_it():
            barrier.wait()
            try:
                cooling.check_cool("scripted")
                admitted.append(None)
            except CoolingOffError:
                pass
            finally:
                connection.close()

        threads = [threading.Thread(target=try_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 1

    def test_an_answer_costs_one_look_and_no_write(self, ask, scripted, django_assert_num_queries):
        ask(scripted, "length")
        generation = claim_one("here")
        asyncio.run(run_generation(generation))
        generation.refresh_from_db()
        with django_assert_num_queries(1):
            cooling.note_end(generation)

    def test_it_can_be_switched_off(self, ask, scripted, settings):
        settings.CHAT_COOLING_FAILURES = 0
        self.fail(ask, scripted, LIMIT + 1)
        ask(scripted, "length")
        assert not BackendState.objects.exists()

    def test_the_page_of_a_person_is_a_page(self, ask, scripted, alice):
        self.fail(ask, scripted, LIMIT)
        client = Client()
        client.force_login(alice)
        form = {"content": "Hello", "key": "0fe1a1a6-2c1f-4a3c-9d34-000000000002", "assistant": "scripted"}
        response = client.post(reverse("chat:home"), form)
        assert response.status_code == 503
        assert "does not answer now" in response.content.decode()
        assert "Hello" in response.content.decode()  # what was typed is kept
