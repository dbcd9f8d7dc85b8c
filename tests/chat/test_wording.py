"""Every failure and refusal has words, and says what to do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from backends.exceptions import BackendRateLimited, ChatBackendError
from chat import refusals
from chat.models import Generation, Status
from chat.views.common import refuse, words_of
from chat.wording import notice_for
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = pytest.mark.django_db(transaction=True)


def all_below(kind):
    for each in kind.__subclasses__():
        yield each
        yield from all_below(each)


def test_every_failure_of_a_backend_has_words_of_its_own():
    codes = {kind.code for kind in all_below(ChatBackendError) if kind.__module__.startswith("backends.")}
    assert len(codes) > 10
    other = notice_for(Generation(status=Status.FAILED, error_code="internal_error")).text
    for code in codes:
        notice = notice_for(Generation(status=Status.FAILED, error_code=code))
        assert notice.text != other, code
        assert notice.hint, code
        assert notice.can_ask_another, code
    assert not notice_for(Generation(status=Status.FAILED, error_code="internal_error")).can_ask_another


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "Try again in 1 second."),
        (45, "Try again in 45 seconds."),
        (119.6, "Try again in 2 minutes."),
        (3600, "Try again in 60 minutes."),
        (-5, "Wait a little and try again."),
        (None, "Wait a little and try again."),
    ],
)
def test_when_to_try_again(seconds, words):
    at = None if seconds is None else timezone.now() + timedelta(seconds=seconds + 0.2)
    notice = notice_for(Generation(status=Status.FAILED, error_code="rate_limited", retry_at=at))
    assert notice.hint == words


@pytest.mark.parametrize(
    ("asked", "kept"), [(30.0, True), (None, False), (0.0, False), (float("nan"), False), (1e12, False)]
)
def test_what_the_backend_asks_us_to_wait_is_kept(monkeypatch, no_runner, ask, scripted, asked, kept):
    from tests.fakes import ScriptedBackend

    async def limited(self):
        raise BackendRateLimited("Slow down.", retry_after=asked)
        yield

    monkeypatch.setattr(ScriptedBackend, "_fail", limited)
    ask(scripted, "fail")
    asyncio.run(run_generation(claim_one("this-worker")))
    failed = Generation.objects.get()
    assert failed.error_code == "rate_limited"
    assert (failed.retry_at is not None) == kept
    if kept:
        assert 25 < (failed.retry_at - timezone.now()).total_seconds() <= 30


def test_every_refusal_has_words():
    for kind in all_below(refusals.RefusedError):
        status, reason = words_of(kind())
        assert 400 <= status < 600
        assert reason


class SpentError(refusals.TooManyUnfinishedError):
    """Something of which there is more tomorrow, such as a quota."""


def test_a_refusal_says_until_when(conversation, no_runner):
    resets_at = timezone.now() + timedelta(seconds=90)
    status, reason = words_of(SpentError(resets_at=resets_at))
    assert status == 429
    assert "You can go on at " in reason
    request = RequestFactory().post("/", headers={"accept": "application/json"})
    response = refuse(request, conversation.leaf, SpentError(resets_at=resets_at))
    assert response.status_code == 429
    assert 85 <= int(response["Retry-After"]) <= 90
    assert "Retry-After" not in refuse(request, conversation.leaf, SpentError())
