"""Who may open which URL. A new URL without a row in the table fails here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from chat.models import Conversation, Folder, ImportBatch, Share

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

# public: anybody. token: anybody who has the secret in it. user: who is signed in. owner: whose it is, nobody else,
# whatever their rights. staff: administrators, there for nobody else. closed: there for nobody.
TABLE = {
    "chat:home": "user",
    "chat:healthz": "public",
    "chat:readyz": "public",
    "chat:assistants_health": "user",
    "chat:diagram": "public",
    "chat:user_events": "user",
    "chat:live_events": "staff",
    "chat:search": "user",
    "chat:banners": "public",
    "chat:dismiss_banner": "public",
    "chat:preferences": "user",
    "chat:looks": "user",
    "chat:sign_out_elsewhere": "user",
    "chat:manifest": "public",
    "chat:service_worker": "public",
    "chat:offline": "public",
    "chat:setup": "token",
    "chat:invitation": "token",
    "chat:invitation_gone": "public",
    "chat:conversations": "user",
    "chat:change": "user",
    "chat:folders": "user",
    "chat:folder": "owner",
    "chat:folder_delete": "owner",
    "chat:conversation": "owner",
    "chat:events": "owner",
    "chat:rename": "owner",
    "chat:delete": "owner",
    "chat:export": "owner",
    "chat:share": "owner",
    "chat:share_renew": "owner",
    "chat:share_revoke": "owner",
    "chat:shared": "token",
    "chat:shared_links": "user",
    "chat:data": "user",
    "chat:export_all": "user",
    "chat:upload": "user",
    "chat:import": "owner",
    "chat:import_run": "owner",
    "chat:import_undo": "owner",
    "chat:import_discard": "owner",
    "chat:messages": "owner",
    "chat:turn": "owner",
    "chat:edit": "owner",
    "chat:regenerate": "owner",
    "chat:continue": "owner",
    "chat:cancel": "owner",
    "chat:show": "owner",
    "chat:fork": "owner",
    "chat:delete_message": "owner",
    "chat:details": "owner",
    "chat:feedback": "owner",
    "set_language": "public",
    "account_login": "public",
    "account_logout": "public",
    "account_inactive": "public",
    "account_signup": "closed",
    "account_reauthenticate": "user",
    "account_email": "user",
    "account_email_verification_sent": "public",
    "account_confirm_email": "token",
    "account_change_password": "user",
    "account_set_password": "user",
    "account_reset_password": "public",
    "account_reset_password_done": "public",
    "account_reset_password_from_key": "token",
    "account_reset_password_from_key_done": "public",
    "account_confirm_login_code": "public",
}
ADMIN_FOR_ALL = {"admin:login", "admin:logout", "admin:jsi18n"}


def walk(patterns, namespace="") -> Iterator[str]:
    """Yield the full name of every URL pattern; one without a name is named by its path."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from walk(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{namespace}{pattern.name or pattern.pattern}"


NAMES = sorted(set(walk(get_resolver().url_patterns)))


def path(name: str, conversation: Conversation) -> str:
    words = {
        "pk": conversation.pk,
        # An answer; or the question before it, which alone can be edited.
        "message": conversation.leaf.parent_id if name == "chat:edit" else conversation.leaf_id,
        "folder": Folder.objects.get_or_create(owner=conversation.owner, name="Work")[0].pk,
        "token": "forged",
        "share": _share(conversation) if "share" in name else 0,
        "batch": ImportBatch.objects.get_or_create(owner=conversation.owner, file_name="f")[0].pk,
        "key": "forged",
        "uidb36": "1",
        "object_id": conversation.leaf_id,
        "app_label": "chat",
        "content_type_id": 1,
        "url": "x",
        "id": 1,
        "number": 1,
        "hold": 1,
        "part": "days",
        "conversation": conversation.pk,
    }
    if "<" in name:  # the admin's own fallbacks have no name
        return reverse("admin:index") + "anything/"
    for pattern in get_resolver().reverse_dict.getlist(name) or _of_namespace(name):
        return reverse(name, kwargs={word: words[word] for word in pattern[0][0][1]})
    raise AssertionError(name)


def _share(conversation: Conversation) -> int:
    return Share.objects.get_or_create(conversation=conversation, revoked_at=None)[0].pk


def _of_namespace(name: str):
    namespace, _, short = name.partition(":")
    _, resolver = get_resolver().namespace_dict[namespace]
    return resolver.reverse_dict.getlist(short)


def answers(client: Client, url: str) -> dict[str, int]:
    accept = {"accept": "application/json"}
    return {
        method: getattr(client, method)(url, headers=accept).status_code
        for method in ("get", "post", "put", "delete", "head")
    }


def test_every_url_has_a_row():
    site = {name for name in NAMES if not name.startswith("admin:")}
    assert site == set(TABLE)
    assert set(NAMES) >= ADMIN_FOR_ALL


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if kind in {"user", "owner", "staff"}])
def test_anonymous_people_are_sent_to_sign_in(client, conversation, name):
    for method, status in answers(client, path(name, conversation)).items():
        assert status in {302, 404, 405}, method
        if status == 302:
            response = getattr(client, method)(path(name, conversation))
            assert response["Location"].startswith(reverse(settings.LOGIN_URL))


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if kind == "owner"])
@pytest.mark.parametrize("person", ["charlie", "staff"])
def test_strangers_and_staff_find_nothing(client, request, conversation, name, person):
    client.force_login(request.getfixturevalue(person))
    before = list(conversation.messages.values_list("pk", "content"))
    for method, status in answers(client, path(name, conversation)).items():
        assert status in {404, 405}, method
    assert list(conversation.messages.values_list("pk", "content")) == before
    assert Conversation.objects.get(pk=conversation.pk).title == conversation.title


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if kind == "owner"])
def test_the_owner_is_served(alice_client, conversation, name):
    url = path(name, conversation)
    assert alice_client.get(url).status_code in {200, 405}
    if name not in {"chat:delete", "chat:folder_delete", "chat:import_discard"}:
        assert alice_client.post(url).status_code in {200, 204, 302, 405, 409, 422}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("admin:") and name not in ADMIN_FOR_ALL])
@pytest.mark.parametrize("person", ["nobody", "charlie"])
def test_the_admin_is_for_staff(client, request, conversation, name, person):
    if person != "nobody":
        client.force_login(request.getfixturevalue(person))
    for method, status in answers(client, path(name, conversation)).items():
        assert status in {302, 403, 404, 405}, method


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if kind in {"public", "token", "closed"}])
def test_public_pages_say_nothing_of_others(client, conversation, name):
    response = client.get(path(name, conversation))
    assert response.status_code in {200, 302, 404, 405}
    assert conversation.title not in response.content.decode()


def test_sign_up_is_closed(client, db):
    data = {"username": "mallory", "password1": "correct-horse-battery", "password2": "correct-horse-battery"}
    client.post(reverse("account_signup"), data)
    from chat.models import User

    assert not User.objects.exists()


def test_wrong_methods_are_refused(alice_client, conversation):
    for name, kind in TABLE.items():
        if kind in {"user", "owner", "token"} and name.startswith("chat:"):
            for method in ("put", "delete", "patch"):
                assert getattr(alice_client, method)(path(name, conversation)).status_code == 405, (method, name)


def test_get_changes_nothing(alice_client, conversation):
    """Walk every page of the owner with tempting parameters: nothing is sent, nothing is deleted."""
    before = list(conversation.messages.values_list("pk", "content"))
    tempting = {"content": "Do it", "q": "Do it", "prompt": "Do it", "delete": "1", "title": "Done"}
    for name, kind in TABLE.items():
        if kind in {"user", "owner"} and "events" not in name:
            alice_client.get(path(name, conversation), tempting)
    assert list(conversation.messages.values_list("pk", "content")) == before
    assert Conversation.objects.get().title == conversation.title


def test_posts_need_the_token(alice, conversation):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    for name, kind in TABLE.items():
        if kind in {"user", "owner"} and "events" not in name:
            assert client.post(path(name, conversation)).status_code in {403, 405}, name
