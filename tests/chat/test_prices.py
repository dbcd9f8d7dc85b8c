"""What answers cost is the price that held when they started, whatever it is today."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from backends import Usage
from chat.generation import Question, end_generation, start_conversation
from chat.models import Assistant, AuditEntry, Generation, Metric, Price, Quota, QuotaCounter, Status, UsageRecord, User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_runner")]
HOUR = timedelta(hours=1)


@pytest.fixture
def priced(db):
    return Assistant.objects.create(name="Priced", slug="priced", backend="echo", input_price=10, output_price=20)


def prices(assistant) -> list[tuple[Decimal, Decimal]]:
    return list(assistant.prices.order_by("starts_at", "pk").values_list("input_price", "output_price"))


def begin(owner, assistant) -> Generation:
    return start_conversation(owner, Question(content="Hello", assistant=assistant, key=uuid.uuid4()))


def form_of(assistant, **values) -> dict:
    return {
        "name": assistant.name,
        "slug": assistant.slug,
        "backend": assistant.backend,
        "order": "0",
        "is_active": "on",
        "input_price": "10",
        "output_price": "20",
        "price_from": "",
        **values,
    }


@pytest.fixture
def save(client, staff, priced):
    client.force_login(staff)

    def post(**values):
        return client.post(reverse("admin:chat_assistant_change", args=[priced.pk]), form_of(priced, **values))

    return post


def test_it_works(priced):
    """A new price holds from now on; each moment has its own."""
    before = timezone.now()
    assert priced.price_at(before - 1000 * HOUR) == (10, 20)  # the first holds for all time before, too
    priced.input_price = Decimal("12.5")
    priced.save()
    assert prices(priced) == [(10, 20), (Decimal("12.5"), 20)]
    assert priced.cost(2_000_000, 0, before) == 20
    assert priced.cost(2_000_000, 1_000_000) == 45


def test_those_of_many_assistants_are_those_of_each(priced):
    now = timezone.now()
    later = Assistant.objects.create(name="Later", slug="later", backend="echo", input_price=1)
    for one, hours in ((priced, -2), (priced, 3), (later, -1), (later, -1)):
        Price.objects.create(assistant=one, starts_at=now + hours * HOUR, input_price=abs(hours), output_price=5)
    without = Assistant.objects.create(name="Without", slug="without", backend="echo")
    Price.objects.filter(assistant=without).delete()
    for hours in (-3, -1.5, 0, 1, 4):
        found = Price.objects.all().in_force_by_assistant(now + hours * HOUR)
        assert found == {one.pk: one.prices.in_force(now + hours * HOUR) for one in (priced, later)}


def test_what_does_not_change_is_no_new_price(priced):
    priced.name = "Other"
    priced.save()
    Assistant.objects.get(pk=priced.pk).save(update_fields=["name"])
    Assistant.objects.defer("input_price").get(pk=priced.pk).save()
    assert len(prices(priced)) == 1


def test_the_price_at_the_start_counts(alice, priced):
    generation = begin(alice, priced)
    Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
    priced.output_price = 1000
    priced.save()
    generation.refresh_from_db()
    end_generation(generation, Status.COMPLETED, used=Usage(0, 1_000_000), finish_reason="stop")
    generation.refresh_from_db()
    assert UsageRecord.objects.get().cost == generation.cost == 20


def test_a_quota_sets_aside_the_price_of_now(alice, priced):
    priced.max_output_tokens = 1_000_000
    priced.save()
    Price.objects.create(assistant=priced, starts_at=timezone.now() + HOUR, input_price=0, output_price=500)
    Quota.objects.create(metric=Metric.COST, limit=100)
    begin(alice, priced)
    assert round(QuotaCounter.objects.get().reserved) == 20


def test_a_later_price_holds_when_its_time_has_come(priced):
    Price.objects.create(assistant=priced, starts_at=timezone.now() + HOUR, input_price=1, output_price=2)
    assert priced.price_at(timezone.now()) == (10, 20)
    assert priced.price_at(timezone.now() + 2 * HOUR) == (1, 2)


class TestForm:
    def test_it_works(self, save, priced, staff):
        assert save(input_price="11").status_code == 302
        assert prices(priced) == [(10, 20), (11, 20)]
        assert priced.prices.first().by == staff.username
        assert AuditEntry.objects.get(action="admin.changed").detail == {"fields": ["Input price"]}
        assert save(input_price="11").status_code == 302
        assert len(prices(priced)) == 2

    def test_a_price_for_later(self, save, priced):
        later = timezone.localtime() + 24 * HOUR
        assert save(output_price="7", price_from=f"{later:%Y-%m-%dT%H:%M}").status_code == 302
        priced.refresh_from_db()
        assert (priced.input_price, priced.output_price) == (10, 20)
        assert priced.price_at(timezone.now()) == (10, 20)
        assert priced.price_at(timezone.now() + 25 * HOUR) == (10, 7)

    def test_a_time_that_is_past_is_refused(self, save, priced):
        response = save(output_price="7", price_from="2020-01-01T00:00")
        assert response.status_code == 200
        assert "does not change" in response.content.decode()
        assert len(prices(priced)) == 1

    def test_it_shows_the_price_of_now(self, client, save, priced):
        """One that was set for later and holds by now is not taken back by saving something else."""
        Price.objects.create(assistant=priced, starts_at=timezone.now(), input_price=3, output_price=4)
        page = client.get(reverse("admin:chat_assistant_change", args=[priced.pk]))
        assert page.context["adminform"].form["input_price"].value() == 3
        assert "From the beginning" in page.content.decode()
        save(input_price="3", output_price="4", name="Other")
        assert len(prices(priced)) == 2
        save(input_price="10", output_price="20")
        assert prices(priced)[2:] == [(10, 20)]

    def test_a_row_of_the_list_changes_no_price(self, client, save, priced):
        Price.objects.create(assistant=priced, starts_at=timezone.now(), input_price=3, output_price=4)
        form = {
            "form-TOTAL_FORMS": 1,
            "form-INITIAL_FORMS": 1,
            "form-0-id": priced.pk,
            "_save": "Save",
        }
        assert client.post(reverse("admin:chat_assistant_changelist"), form).status_code == 302
        priced.refresh_from_db()
        assert (priced.is_active, priced.price_at(timezone.now())) == (False, (3, 4))

    def test_a_new_assistant_has_its_first_price(self, client, staff, priced):
        client.force_login(staff)
        new = Assistant(name="New", slug="new", backend="echo")
        assert client.post(reverse("admin:chat_assistant_add"), form_of(new)).status_code == 302
        assert prices(Assistant.objects.get(slug="new")) == [(10, 20)]
        later = f"{timezone.localtime() + HOUR:%Y-%m-%dT%H:%M}"
        new.slug = "newer"
        response = client.post(reverse("admin:chat_assistant_add"), form_of(new, price_from=later))
        assert "Save the assistant first" in response.content.decode()


class TestHistory:
    def test_it_goes_with_the_assistant(self, client, staff, priced):
        client.force_login(staff)
        assert client.post(reverse("admin:chat_assistant_delete", args=[priced.pk]), {"post": "yes"}).status_code == 302
        assert not Price.objects.exists()

    def test_it_works(self, client, staff, priced):
        client.force_login(staff)
        later = f"{timezone.localtime() + HOUR:%Y-%m-%dT%H:%M}"
        form = {"assistant": priced.pk, "starts_at": later, "input_price": "1", "output_price": "2"}
        assert client.post(reverse("admin:chat_price_add"), form).status_code == 302
        price = priced.prices.first()
        assert (price.by, price.is_future) == ("staff", True)
        assert "1.0000" in client.get(reverse("admin:chat_price_changelist")).content.decode()
        assert client.post(reverse("admin:chat_price_delete", args=[price.pk]), {"post": "yes"}).status_code == 302
        assert len(prices(priced)) == 1

    def test_past_prices_stay(self, client, staff, priced):
        client.force_login(staff)
        price = priced.prices.get()
        assert client.post(reverse("admin:chat_price_delete", args=[price.pk]), {"post": "yes"}).status_code == 403
        assert client.post(reverse("admin:chat_price_change", args=[price.pk]), {"input_price": 0}).status_code == 403
        form = {"assistant": priced.pk, "starts_at": "2020-01-01T00:00", "input_price": "1", "output_price": "2"}
        assert "does not change" in client.post(reverse("admin:chat_price_add"), form).content.decode()
        form |= {"starts_at": f"{timezone.localtime() + HOUR:%Y-%m-%dT%H:%M}", "input_price": "-1"}
        assert "not below 0" in client.post(reverse("admin:chat_price_add"), form).content.decode()
        assert len(prices(priced)) == 1

    def test_it_needs_a_permission(self, client, priced):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        client.force_login(helper)
        assert client.get(reverse("admin:chat_price_changelist")).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_price"))
        assert client.get(reverse("admin:chat_price_changelist")).status_code == 200
        assert client.get(reverse("admin:chat_price_add")).status_code == 403
