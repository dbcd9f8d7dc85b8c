"""An assistant is tried out before it is saved: streamed, bounded, counted, nobody's conversation."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from backends import ChatMessage
from chat import quotas
from chat.models import (
    Assistant,
    Conversation,
    Generation,
    Metric,
    Purpose,
    Quota,
    QuotaCounter,
    Reservation,
    Status,
    Trial,
    UsageRecord,
    User,
)
from chat.operation import draining
from chat.workshop import trials
from chat.workshop.trials import Ask
from tests.chat.test_admin import assistant_form
from tests.fakes import ScriptedBackend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

TRY = "/admin/chat/assistant/try/"


@pytest.fixture
def tab(staff) -> AsyncClient:
    client = AsyncClient()
    client.force_login(staff)
    return client


async def ask(tab, prompt="Hello there", **changes):
    return await tab.post(reverse("admin:chat_assistant_try"), assistant_form(try_prompt=prompt, **changes))


async def lines(response) -> list[dict]:
    assert response.status_code == 200, response.content
    text = b"".join([part async for part in response])
    return [json.loads(line) for line in text.decode().splitlines()]


async def test_it_works(tab, staff):
    response = await ask(tab, "one two three", backend="echo", system_prompt="Be kind.", input_price="1000")
    assert response["Content-Type"] == "application/x-ndjson"
    told = await lines(response)
    assert "".join(line.get("text", "") for line in told) == "one two three"
    assert len([line for line in told if "text" in line]) == 3  # as it comes
    end = told[-1]["end"]
    assert (end["status"], end["input_tokens"], end["output_tokens"]) == ("completed", "5", "3")
    assert end["cost"] == "0.005000 USD"
    assert end["first_text"].endswith(" s")
    record = await UsageRecord.objects.aget()
    assert (record.user_id, record.purpose, record.assistant_name) == (staff.pk, Purpose.TRIAL, "Helper")
    assert (record.input_tokens, record.output_tokens, record.cost) == (5, 3, Decimal("0.005"))
    assert not await Conversation.objects.aexists()
    assert not await Generation.objects.aexists()
    assert not await Trial.objects.aexists()
    assert not await Assistant.objects.aexists()


async def test_what_is_in_the_form_is_asked_and_not_what_is_saved(tab, scripted):
    response = await ask(
        tab,
        "length",
        assistant=scripted.pk,
        backend="scripted",
        model="other",
        system_prompt="Be short.",
        temperature="0.1",
        max_output_tokens="7",
    )
    told = await lines(response)
    [asked] = ScriptedBackend.requests
    assert (asked.model, asked.temperature, asked.max_output_tokens) == ("other", 0.1, 7)
    assert asked.messages[0] == ChatMessage("system", "Be short.")
    assert told[-1]["end"]["words"] == "The answer reached its greatest length and stops here."
    await scripted.arefresh_from_db()
    assert scripted.system_prompt == ""


async def test_it_is_bounded(tab, settings):
    settings.CHAT_TRIAL_TOKENS = 11
    await lines(await ask(tab, "length", backend="scripted", max_output_tokens="5000"))
    assert ScriptedBackend.requests[0].max_output_tokens == 11


async def test_it_ends_in_time(tab, settings):
    settings.CHAT_TRIAL_SECONDS = 0.1
    told = await lines(await ask(tab, "forever", backend="scripted"))
    assert told[-1]["end"]["status"] == "failed"
    assert "took too long" in told[-1]["end"]["words"]
    assert ScriptedBackend.open == 0


async def test_failures_are_told_in_words(tab):
    told = await lines(await ask(tab, "fail", backend="scripted"))
    end = told[-1]["end"]
    assert end["words"].startswith("The model cannot be reached.")
    assert end["detail"] == "Connection refused. Start the server."
    record = await UsageRecord.objects.aget()
    assert (record.outcome, record.error_code, record.input_tokens) == (Status.FAILED, "backend_unavailable", 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"temperature": "3"}, "temperature"),
        ({"backend": "gone"}, "backend"),
        ({"prompt": "  "}, "try_prompt"),
        ({"prompt": "x" * 100_001}, "try_prompt"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field(tab, changes, field):
    response = await ask(tab, **changes)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [field]
    assert not await UsageRecord.objects.aexists()


async def test_it_may_have_no_name_yet(tab):
    told = await lines(await ask(tab, name="", slug=""))
    assert told[-1]["end"]["status"] == "completed"


async def test_who_leaves_stops_it_and_it_is_counted(tab, staff):
    await Quota.objects.acreate(metric=Metric.TOKENS, limit=1_000_000)
    response = await ask(tab, "forever", backend="scripted")
    stream = aiter(response)
    assert json.loads(await anext(stream)) == {"text": "0 "}
    assert await Reservation.objects.acount() == 1
    await stream.aclose()
    for _ in range(200):  # what is closed is closed by the loop, a moment later
        if await UsageRecord.objects.aexists():
            break
        await asyncio.sleep(0.01)
    record = await UsageRecord.objects.aget()
    assert (record.outcome, record.is_estimated) == (Status.CANCELLED, True)
    assert record.output_tokens >= 1
    assert ScriptedBackend.open == 0
    counter = await QuotaCounter.objects.aget()
    assert (counter.reserved, counter.used > 0) == (0, True)


async def test_a_cancelled_request_stops_it(tab):
    async def listen() -> None:
        async for _part in await ask(tab, "forever", backend="scripted"):
            pass

    task = asyncio.create_task(listen())
    while not ScriptedBackend.requests or not ScriptedBackend.open:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        if not ScriptedBackend.open and await UsageRecord.objects.aexists():
            break
        await asyncio.sleep(0.01)
    assert ScriptedBackend.open == 0
    assert (await UsageRecord.objects.aget()).outcome == Status.CANCELLED


async def test_quotas_hold(tab, staff):
    await Quota.objects.acreate(metric=Metric.REQUESTS, limit=1)
    await lines(await ask(tab))
    refused = await ask(tab)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "used all" in refused.json()["errors"]["__all__"][0]


async def test_drained_backends_take_none(tab):
    from asgiref.sync import sync_to_async

    await sync_to_async(draining.drain)("echo", message="Back at noon.")
    refused = await ask(tab)
    assert (refused.status_code, refused.json()["errors"]) == (503, {"__all__": ["Back at noon."]})


async def test_some_at_once(tab, staff):
    later = timezone.now() + timedelta(minutes=1)
    for _ in range(trials.AT_ONCE):
        await Trial.objects.acreate(person=staff, purpose=Purpose.TRIAL, backend="echo", expires_at=later)
    assert (await ask(tab)).status_code == 429


def test_what_a_dead_process_had_set_aside_is_given_back(staff, echo):
    Quota.objects.create(metric=Metric.TOKENS, limit=1_000_000)
    said = [ChatMessage("user", "Hello")]
    ask = Ask(person=staff, assistant=echo, said=said, purpose=Purpose.TRIAL, tokens=100, seconds=60)
    trial = trials.begin(ask)
    assert quotas.settle_orphans() == 0
    Trial.objects.filter(pk=trial.pk).update(expires_at=timezone.now() - timedelta(minutes=5))
    assert quotas.settle_orphans() == 1
    assert QuotaCounter.objects.get().reserved == 0
    trials.forget_dead()
    assert not Trial.objects.exists()


def test_permissions(client, echo):
    helper = User.objects.create_user("helper", password="x", is_staff=True)
    helper.user_permissions.add(Permission.objects.get(codename="view_assistant"))
    client.force_login(helper)
    assert client.post(TRY, assistant_form(try_prompt="Hi")).status_code == 403
    assert client.get(TRY).status_code == 403
    helper.user_permissions.add(Permission.objects.get(codename="add_assistant"))
    # A new one, yes; what another one says, no.
    assert client.post(TRY, assistant_form(try_prompt="Hi", assistant=echo.pk)).status_code == 403
    assert client.post(TRY, assistant_form(try_prompt="")).status_code == 422
    assert client.get(TRY).status_code == 405
