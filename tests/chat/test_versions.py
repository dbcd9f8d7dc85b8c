"""Every saved state of an assistant is kept: who, when, what; two beside each other; an older one again."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat.models import (
    AppendOnlyError,
    Assistant,
    AssistantVersion,
    AuditEntry,
    Authorship,
    Origin,
    User,
    one_version,
)
from chat.workshop.differences import differences, side_by_side
from tests.chat.test_admin import assistant_form
from tests.chat.test_races import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, staff):
    client.force_login(staff)
    return client


def kept(assistant) -> list[AssistantVersion]:
    return list(AssistantVersion.objects.filter(assistant_id=assistant.pk).order_by("number"))


def change(page, assistant, **changes):
    url = reverse("admin:chat_assistant_change", args=[assistant.pk])
    sent = assistant_form(name=assistant.name, slug=assistant.slug, backend=assistant.backend, **changes)
    return page.post(url, sent)


def test_it_works(page, staff, echo):
    group = Group.objects.create(name="Testers")
    response = change(page, echo, system_prompt="Be kind.", groups=[group.pk])
    assert response.status_code == 302, response.context["errors"]
    first, second = kept(echo)
    assert (first.number, first.by, first.origin) == (1, "", Origin.OUTSIDE)
    assert (second.number, second.by, second.by_id, second.origin) == (2, "staff", staff.pk, Origin.ADMIN)
    assert second.values["system_prompt"] == "Be kind."
    assert second.values["groups"] == [[group.pk, "Testers"]]  # one version with the groups, not two


def test_what_is_changed_outside_the_admin_is_kept(echo, settings):
    echo.description = "Saved"
    echo.save()
    Assistant.objects.filter(pk=echo.pk).update(description="Updated")
    echo.groups.add(Group.objects.create(name="One"))
    Group.objects.create(name="Two").assistant_set.add(echo)
    Assistant.objects.bulk_update([Assistant(pk=echo.pk, model="m")], ["model"])
    echo.groups.clear()
    assert [version.values["description"] for version in kept(echo)] == ["", "Saved", *["Updated"] * 5][:7]
    assert [len(version.values["groups"]) for version in kept(echo)] == [0, 0, 0, 1, 2, 2, 0]
    assert {version.origin for version in kept(echo)} == {Origin.OUTSIDE}
    call_command("seed_assistants", verbosity=0)
    assert kept(Assistant.objects.get(backend="scripted"))[0].values["name"] == "Scripted"
    [made] = Assistant.objects.bulk_create([Assistant(name="Bulk", slug="bulk", backend="echo")])
    assert len(kept(made)) == 1


def test_what_changes_nothing_makes_no_version(echo):
    echo.save()
    Assistant.objects.filter(pk=echo.pk).update(order=7)  # its place is no property of its own
    with one_version(Authorship()):
        echo.name = "Other"
        echo.save()
        echo.name = "Echo"
        echo.save()
    assert len(kept(echo)) == 1


def test_what_is_undone_leaves_no_version(echo):
    def fail() -> None:
        with one_version(Authorship()):
            echo.name = "Other"
            echo.save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(kept(echo)) == 1
    echo.save()  # the block before is over
    assert len(kept(echo)) == 2


def test_versions_never_change(echo):
    version = kept(echo)[0]
    everything = AssistantVersion.objects.all()
    for attempt in (version.save, version.delete, partial(everything.update, by=""), everything.delete):
        with pytest.raises(AppendOnlyError):
            attempt()
    pk = echo.pk
    echo.delete()
    assert AssistantVersion.objects.filter(assistant_id=pk).count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_a_number_each(echo):
    def save(number: int) -> None:
        assistant = Assistant.objects.get(pk=echo.pk)
        assistant.description = f"By {number}"
        assistant.save()

    at_once(*[partial(save, number) for number in range(8)])
    assert [version.number for version in kept(echo)] == list(range(1, 10))


def test_differences_have_a_word_for_each_line():
    lines = [(line.change, line.old, line.new) for line in side_by_side("a\nb\nc", "a\nB\nc\nd")]
    assert lines == [("same", "a", "a"), ("changed", "b", "B"), ("same", "c", "c"), ("added", None, "d")]
    assert [line.change for line in side_by_side("a\nb", "b")] == ["removed", "same"]
    found = differences({"is_active": True, "stop": ["x"], "groups": [[1, "A"]]}, {"is_active": False, "stop": []})
    assert {one.name: (one.old, one.new) for one in found} == {
        "is_active": ("yes", "no"),
        "stop": ("x", ""),
        "groups": ("A", ""),
    }


def test_the_pages(page, echo):
    change(page, echo, system_prompt="One\nTwo")
    change(page, echo, system_prompt="One\nThree", temperature="0.5")
    listed = page.get(reverse("admin:chat_assistant_versions", args=[echo.pk])).content.decode()
    assert "System prompt, Temperature" in listed or "System prompt" in listed
    assert listed.count("/versions/") >= 3
    shown = page.get(reverse("admin:chat_assistant_version", args=[echo.pk, 3])).content.decode()
    assert "± changed" in shown
    assert "Three" in shown
    assert "Restore version 3" not in shown  # it is that already
    compared = page.get(reverse("admin:chat_assistant_version", args=[echo.pk, 1]), {"with": "3"}).content.decode()
    assert "Restore version 1" in compared
    for wrong in ("x", "99", "-1", "1" * 30):
        assert page.get(reverse("admin:chat_assistant_version", args=[echo.pk, 1]), {"with": wrong}).status_code == 200
    assert page.get(reverse("admin:chat_assistant_version", args=[echo.pk, 9])).status_code == 404
    assert page.get(reverse("admin:chat_assistant_versions", args=[999])).status_code == 404


def test_queries_do_not_grow_with_versions(page, echo):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page.get(reverse("admin:chat_assistant_versions", args=[echo.pk]))
        return len(queries)

    count()
    few = count()
    for number in range(12):
        echo.description = str(number)
        echo.save()
    assert count() == few


def test_a_version_is_restored(page, staff, echo):
    group = Group.objects.create(name="Testers")
    change(page, echo, system_prompt="Good", groups=[group.pk], input_price="1.5")
    change(page, echo, system_prompt="Bad")
    page.post(reverse("admin:chat_assistant_revert", args=[echo.pk, 2]))
    echo.refresh_from_db()
    assert (echo.system_prompt, str(echo.input_price), list(echo.groups.all())) == ("Good", "1.5000", [group])
    newest = kept(echo)[-1]
    assert (newest.number, newest.origin, newest.source, newest.by) == (4, Origin.REVERTED, "2", "staff")
    entry = AuditEntry.objects.latest("number")
    assert (entry.action, entry.target, entry.detail) == ("assistant.reverted", "Echo", {"version": 2})


def test_what_cannot_be_restored_is_refused(page, echo):
    group = Group.objects.create(name="Testers")
    AssistantVersion.objects.create(assistant_id=echo.pk, number=2, values={**kept(echo)[0].values, "backend": "gone"})
    only = {**kept(echo)[0].values, "groups": [[group.pk, "Testers"]]}
    AssistantVersion.objects.create(assistant_id=echo.pk, number=3, values=only)
    group.delete()
    for number, reason in ((2, "no alias"), (3, "Testers")):
        page.post(reverse("admin:chat_assistant_revert", args=[echo.pk, number]))
        shown = page.get(reverse("admin:chat_assistant_version", args=[echo.pk, number])).content.decode()
        assert reason in shown
    echo.refresh_from_db()
    assert echo.backend == "echo"
    assert not echo.groups.exists()
    assert not AuditEntry.objects.filter(action="assistant.reverted").exists()


def test_permissions(client, echo):
    helper = User.objects.create_user("helper", password="x", is_staff=True)
    client.force_login(helper)
    pages = [reverse("admin:chat_assistant_versions", args=[echo.pk])]
    pages.append(reverse("admin:chat_assistant_version", args=[echo.pk, 1]))
    revert = reverse("admin:chat_assistant_revert", args=[echo.pk, 1])
    assert [client.get(url).status_code for url in pages] == [403, 403]
    helper.user_permissions.add(Permission.objects.get(codename="view_assistant"))
    assert [client.get(url).status_code for url in pages] == [200, 200]
    assert client.post(revert).status_code == 403
    helper.user_permissions.add(Permission.objects.get(codename="change_assistant"))
    assert client.post(revert).status_code == 302
    assert client.get(revert).status_code == 405


def test_who_was_slower_is_told(page, echo):
    change(page, echo, description="Mine")
    refused = change(page, echo, description="Theirs", seen_version="1")
    assert refused.status_code == 200
    assert "staff saved version 2" in refused.content.decode()
    assert 'name="seen_version" value="2"' in refused.content.decode()
    assert change(page, echo, description="Theirs", seen_version="2").status_code == 302
