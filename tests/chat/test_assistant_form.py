"""The form of an assistant, copies of it, and the order of the list."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat.models import Assistant, AssistantVersion, AuditEntry, User
from chat.workshop import ordering
from tests.chat.test_admin import assistant_form
from tests.chat.test_races import at_once

pytestmark = pytest.mark.django_db

ADD = "admin:chat_assistant_add"


@pytest.fixture
def page(client, staff):
    client.force_login(staff)
    return client


def order() -> list[str]:
    return list(Assistant.objects.order_by("order", "name").values_list("name", flat=True))


class TestForm:
    def test_it_shows_what_the_settings_decide(self, page, echo, settings):
        settings.CHAT_LIMITS = {"total_seconds": 77}
        settings.CHAT_BACKENDS = {
            "echo": {
                "BACKEND": "tests.fakes.EchoBackend",
                "OPTIONS": {
                    "model": "small",
                    "api_key": "sk-very-secret",
                    "base_url": "https://me:pass-word@example.org/v1?token=hidden",
                    "headers": {"X-Auth": "hidden-too"},
                },
                "LIMITS": {"idle_seconds": 5},
            }
        }
        shown = page.get(reverse("admin:chat_assistant_change", args=[echo.pk])).content.decode()
        for secret in ("sk-very-secret", "pass-word", "token=hidden", "hidden-too"):
            assert secret not in shown
        assert "https://••••••••@example.org/v1" in shown
        assert "CHAT_BACKENDS[&quot;echo&quot;][&quot;LIMITS&quot;]" in shown
        assert '<td lang="en">77</td><td><code>CHAT_LIMITS</code>' in shown
        assert '<option value="small">' in shown
        assert "Not used lately" in shown

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("temperature", "2.01", "Give a number from 0 to 2"),
            ("temperature", "hot", "Give a number from 0 to 2"),
            ("top_p", "0", "Give a number from 0.01 to 1"),
            ("max_output_tokens", "1000001", "Give a number from 1 to 1,000,000"),
            ("seed", "-1", "Give a number from 0 to"),
        ],
    )
    def test_errors_say_the_bounds(self, page, field, value, words):
        response = page.post(reverse(ADD), assistant_form(**{field: value}))
        errors = response.context["adminform"].form.errors[field]
        assert len(errors) == 1
        assert words in errors[0]

    def test_it_counts_the_prompt(self, page, echo):
        Assistant.objects.filter(pk=echo.pk).update(system_prompt="가나다라")
        shown = page.get(reverse("admin:chat_assistant_change", args=[echo.pk])).content.decode()
        assert "4 characters, about 3 tokens" in shown
        assert "data-avatar" in shown

    def test_queries_do_not_grow(self, page, echo):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                page.get(reverse("admin:chat_assistant_change", args=[echo.pk]))
            return len(queries)

        count()
        few = count()
        for number in range(8):
            Assistant.objects.create(name=f"a{number}", slug=f"a{number}", backend="echo", model=f"m{number}")
        assert count() == few


class TestCopy:
    def test_it_works(self, page, echo):
        group = Group.objects.create(name="Testers")
        Assistant.objects.filter(pk=echo.pk).update(system_prompt="Be kind.", stop=["END"], adjustable=["seed"])
        echo.groups.add(group)
        response = page.get(reverse(ADD), {"copy": echo.pk})
        form = response.context["adminform"].form
        initial = form.initial
        assert (initial["name"], initial["slug"], initial["system_prompt"]) == ("Echo (copy)", "echo-2", "Be kind.")
        assert (initial["groups"], initial["order"]) == ([group.pk], 2)
        assert "\nEND</textarea>" in response.content.decode()
        Assistant.objects.create(name="Other", slug="echo-2", backend="echo")
        assert page.get(reverse(ADD), {"copy": echo.pk}).context["adminform"].form.initial["slug"] == "echo-3"

    def test_long_slugs_stay_in_bounds(self, page, echo):
        Assistant.objects.filter(pk=echo.pk).update(slug="a" * 50, name="n" * 80)
        initial = page.get(reverse(ADD), {"copy": echo.pk}).context["adminform"].form.initial
        assert initial["slug"] == "a" * 48 + "-2"
        assert len(initial["name"]) == 80

    def test_a_deleted_one_is_made_again_of_its_version(self, page, echo):
        version = AssistantVersion.objects.get()
        echo.delete()
        initial = page.get(reverse(ADD), {"version": version.pk}).context["adminform"].form.initial
        assert (initial["name"], initial["slug"]) == ("Echo", "echo")

    def test_it_needs_the_right_to_look(self, client, echo):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="add_assistant"))
        client.force_login(helper)
        assert client.get(reverse(ADD)).status_code == 200
        assert client.get(reverse(ADD), {"copy": echo.pk}).status_code == 404
        assert client.get(reverse(ADD), {"copy": "999"}).status_code == 404


class TestOrder:
    @pytest.fixture
    def four(self):
        return [Assistant.objects.create(name=name, slug=name.lower(), backend="echo") for name in "ABCD"]

    def test_buttons_move_without_a_script(self, page, staff, four):
        shown = page.get(reverse("admin:chat_assistant_changelist")).content.decode()
        assert f'value="{four[2].pk}:up"' in shown
        response = page.post(reverse("admin:chat_assistant_order"), {"move": f"{four[2].pk}:up"})
        assert response["Location"] == reverse("admin:chat_assistant_changelist")
        assert order() == ["A", "C", "B", "D"]
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.actor, entry.detail) == ("assistant.ordered", "staff", {"order": list("ACBD")})
        page.post(reverse("admin:chat_assistant_order"), {"move": f"{four[0].pk}:up"})  # it is the first
        assert order() == ["A", "C", "B", "D"]
        assert AuditEntry.objects.filter(action="assistant.ordered").count() == 1

    def test_a_whole_order(self, page, four):
        a, b, c, d = (one.pk for one in four)
        accept = {"accept": "application/json"}
        sent = {"order": f"{d},{c},{b},{a}"}
        response = page.post(reverse("admin:chat_assistant_order"), sent, headers=accept)
        assert response.json() == {"order": [d, c, b, a]}
        assert order() == ["D", "C", "B", "A"]
        assert AssistantVersion.objects.count() == 4  # to be moved changes no assistant

    def test_a_part_of_the_list_keeps_its_places(self, staff, four):
        _a, b, _c, d = (one.pk for one in four)
        assert ordering.arrange([d, b, 999, d], staff)
        assert order() == ["A", "D", "C", "B"]
        assert not ordering.arrange([], staff)
        assert not ordering.move(999, "up", staff)

    @pytest.mark.parametrize("sent", [{}, {"order": "a,b"}, {"move": "x:up"}, {"move": "1:left"}])
    def test_nonsense_is_refused(self, page, four, sent):
        assert page.post(reverse("admin:chat_assistant_order"), sent).status_code == 400
        assert order() == ["A", "B", "C", "D"]

    @pytest.mark.django_db(transaction=True)
    def test_many_at_once_leave_an_order(self, staff, four):
        pks = [one.pk for one in four]
        moves = [partial(ordering.move, pk, way, staff) for pk in pks for way in ("up", "down")]
        at_once(*moves, partial(ordering.arrange, pks[::-1], staff), partial(ordering.arrange, pks, staff))
        places = list(Assistant.objects.order_by("order").values_list("order", flat=True))
        assert places == [0, 1, 2, 3]
        assert sorted(order()) == ["A", "B", "C", "D"]

    def test_it_needs_the_right_to_change(self, client, four):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_assistant"))
        client.force_login(helper)
        assert "data-place" not in client.get(reverse("admin:chat_assistant_changelist")).content.decode()
        assert client.post(reverse("admin:chat_assistant_order"), {"move": f"{four[0].pk}:down"}).status_code == 403
        assert client.get(reverse("admin:chat_assistant_order")).status_code == 403
