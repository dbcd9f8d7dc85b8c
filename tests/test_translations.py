"""Everything the site says is said in Korean, too."""

from __future__ import annotations

import json
import re
import uuid
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import formats, translation

from chat.generation import Question, start_generation
from chat.models import Folder, Generation, ImportBatch, ImportedConversation, Message, Share, Status
from chatsite import translations

LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
CATALOGS = {code: translations.read(code) for code in LANGUAGES}

# ---------- the catalogs ----------


def test_all_languages_have_a_catalog():
    assert set(translations.LANGUAGES) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    """A new text makes this fail until ``make messages`` was run and what it names is translated."""
    current = {(message.id, message.context) for message in translations.texts() if message.id}
    there = {(message.id, message.context) for message in CATALOGS[language] if message.id}
    assert current == there, "run make messages"
    assert [message.id for message in translations.missing(CATALOGS[language])] == []


def test_a_missing_and_a_doubtful_translation_are_found():
    catalog = translations.update("ko")
    catalog.add("nobody says this")
    catalog.add("nor this", "이것도", flags={"fuzzy"})
    assert {message.id for message in translations.missing(catalog)} == {"nobody says this", "nor this"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_site_reads_is_what_was_translated(language):
    compiled = translations.po_path(language).with_suffix(".mo").read_bytes()
    assert compiled == translations.mo_text(CATALOGS[language]), "run make messages"


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_spaces_are_kept(language):
    for message in CATALOGS[language]:
        if not message.id:
            continue
        sources = [message.id] if isinstance(message.id, str) else list(message.id)
        results = [message.string] if isinstance(message.string, str) else list(message.string)
        names = [frozenset(re.findall(r"%\(\w+\)[sd]|%[sd%]", text)) for text in (*sources, *results)]
        # "Its other version stays." may do without the number that the plural has.
        assert names[0] <= names[len(sources) - 1], message.id
        assert set(names[len(sources) - 1 :]) == {names[-1]}, message.id
        for text in results:
            assert text == text.strip(), message.id


def test_one_way_of_speaking():
    """Formal throughout: 합니다, not 해요."""
    assert not re.search(r"(해요|어요|아요|네요|예요|에요)[.!?]", "".join(str(m.string) for m in CATALOGS["ko"]))


# ---------- the pages ----------

SPOKEN_ATTRIBUTES = {"aria-label", "title", "placeholder", "alt", "data-ask"}
UNSPOKEN = {"script", "style", "code", "kbd", "template"}
# Names, signs and what people typed.
NAMES = re.compile(
    r"chatsite|Echo|Scripted|alice|charlie|staff|example|org|English|Hello there|What is this|Markdown|CHAT_BACKENDS"
    r"|.*\| Can [a-z ]+|settings|Enter|Ctrl|Esc|Top P|URL|ID|UTC|USD|Redis|SQLite|[KMG]B|ms|md5|JSON|HTML|\w+\*{3,}",
    re.IGNORECASE,
)


class Words(HTMLParser):
    """Collects what a page says: texts, and the attributes that are read to people."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self.stack: list[tuple[str, bool]] = []

    VOID = {"meta", "link", "input", "br", "hr", "img", "path", "use", "circle", "rect"}

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        skipped = any(skip for _, skip in self.stack)
        skips = tag in UNSPOKEN or (attributes.get("lang") == "en" and tag != "html")
        if not skipped and not skips:
            self.said += [value or "" for name, value in attrs if name in SPOKEN_ATTRIBUTES]
            if tag == "input" and attributes.get("type") in {"submit", "button", "reset"}:
                self.said.append(attributes.get("value") or "")
        if tag not in self.VOID:
            self.stack.append((tag, skips))

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not any(skip for _, skip in self.stack):
            self.said.append(data)


def english_in(html: str) -> list[str]:
    """Return the texts of a page that are English; a Korean one may have an English word in it."""
    words = Words()
    words.feed(html)
    said = [text.strip() for text in words.said if not re.search("[가-힣]", text)]
    return [text for text in said if re.search(r"[A-Za-z]{2}", NAMES.sub("", text))]


def test_english_is_found():
    page = '<main><p lang="en">Mine</p><p>chatsite</p><button aria-label="Send">보내기</button><p>Not done</p></main>'
    assert english_in(page) == ["Send", "Not done"]


OWNER_PAGES = [
    "chat:home", "chat:conversation", "chat:rename", "chat:delete", "chat:edit", "chat:preferences",
    "chat:sign_out_elsewhere", "chat:offline", "chat:search", "chat:conversations", "chat:folders", "chat:folder",
    "chat:folder_delete", "chat:share", "chat:shared_links", "chat:data", "chat:diagram", "account_logout",
    "account_change_password", "account_email", "account_reauthenticate",
]  # fmt: skip
ANSWER_PAGES = ["chat:turn", "chat:regenerate", "chat:delete_message", "chat:details", "chat:feedback"]
PUBLIC_PAGES = [
    "account_login", "account_reset_password", "account_reset_password_done", "account_reset_password_from_key_done",
    "account_inactive",
]  # fmt: skip
DJANGO_ONLY_ENGLISH = {"Search", "True", "False", "Toggle all models", "email address"}
"""What Django has not translated itself."""
ADMIN_PAGES = [
    "index", "chat_assistant_changelist", "chat_assistant_add", "chat_assistant_change", "chat_conversation_changelist",
    "open_conversation", "chat_generation_changelist", "chat_generation_change", "chat_user_changelist",
    "chat_user_add", "chat_user_change", "auth_group_changelist", "auth_group_add", "chat_feedback_changelist",
    "chat_share_changelist", "live", "health", "settings", "usage", "signup_policy", "retention_page",
    "export_feedback", "chat_quota_changelist", "chat_quota_add", "chat_usagerecord_changelist",
    "chat_auditentry_changelist",
    "chat_drain_changelist", "chat_price_changelist", "chat_invitation_changelist", "chat_invitation_add",
    "chat_rehearsal_changelist", "chat_rehearsal_add", "chat_assistant_versions", "chat_retentionrule_changelist",
    "chat_legalhold_changelist", "chat_legalhold_add", "chat_banner_changelist", "chat_banner_add",
    "chat_moderationflag_changelist", "chat_moderationrule_changelist", "chat_moderationrule_add",
]  # fmt: skip


@pytest.fixture
def korean(alice_client: Client) -> Client:
    alice_client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ko"
    return alice_client


def url_of(name: str, conversation) -> str:
    if name in {"chat:conversation", "chat:rename", "chat:delete", "chat:share"}:
        return reverse(name, args=[conversation.pk])
    if name in {"chat:folder", "chat:folder_delete"}:
        return reverse(name, args=[Folder.objects.create(owner=conversation.owner, name="여행").pk])
    return reverse(name, args=[conversation.pk, conversation.leaf.parent_id] if name == "chat:edit" else [])


@pytest.mark.parametrize("name", OWNER_PAGES)
def test_pages_speak_korean(korean, conversation, no_runner, name):
    response = korean.get(url_of(name, conversation))
    assert response.status_code == 200
    html = response.content.decode()
    assert '<html lang="ko"' in html
    assert english_in(html) == []


@pytest.mark.parametrize("name", ANSWER_PAGES)
def test_pages_about_an_answer_speak_korean(korean, conversation, no_runner, name):
    Generation.objects.update(status=Status.COMPLETED, output_tokens=3)
    Message.objects.filter(pk=conversation.leaf_id).update(content="안녕하세요")
    url = reverse(name, args=[conversation.pk, conversation.leaf_id])
    for value in ("1", "-1"):
        korean.post(reverse("chat:feedback", args=[conversation.pk, conversation.leaf_id]), {"value": value})
        assert english_in(korean.get(url).content.decode()) == []


@pytest.mark.parametrize("view", ["archived", "deleted"])
def test_lists_speak_korean(korean, conversation, no_runner, view):
    url = f"{reverse('chat:conversations')}?view={view}"
    assert english_in(korean.get(url).content.decode()) == []
    Generation.objects.update(status=Status.COMPLETED)
    action = {"archived": "archive", "deleted": "delete"}[view]
    korean.post(reverse("chat:change"), {"action": action, "conversation": str(conversation.pk)})
    page = korean.get(url).content.decode()
    assert "Hello there" in page
    assert english_in(page) == []


def test_shared_conversations_speak_korean(korean, conversation, no_runner, db):
    Generation.objects.update(status=Status.COMPLETED)
    Message.objects.filter(pk=conversation.leaf_id).update(content="안녕하세요")
    korean.post(reverse("chat:share", args=[conversation.pk]), {"lasts": "7"})
    share = Share.objects.get()
    stranger = Client(headers={"accept-language": "ko"})
    pages = [
        korean.get(reverse("chat:share", args=[conversation.pk])),
        korean.get(reverse("chat:shared_links")),
        stranger.get(share.get_absolute_url()),
        stranger.get(reverse("chat:shared", args=["x" * 22])),
    ]
    korean.post(reverse("chat:share_revoke", args=[conversation.pk, share.pk]))
    pages.append(stranger.get(share.get_absolute_url()))
    for page in pages:
        assert english_in(page.content.decode()) == []


@pytest.mark.parametrize("status", ImportBatch.Status)
def test_imports_speak_korean(korean, alice, status):
    batch = ImportBatch.objects.create(owner=alice, file_name="대화.json", status=status)
    plans = ImportedConversation.Plan
    for position, (plan, outcome) in enumerate(product(plans, ImportedConversation.Outcome)):
        batch.items.create(position=position, title="여행", plan=plan, outcome=outcome)
    assert english_in(korean.get(batch.get_absolute_url()).content.decode()) == []
    assert english_in(korean.get(reverse("chat:data")).content.decode()) == []


def test_what_was_mended_in_an_import_is_told_in_korean(korean, alice):
    exports = Path(__file__).parent / "chat" / "exports"
    for name in ("chatgpt.json", "openwebui.json"):
        with (exports / name).open("rb") as file:
            korean.post(reverse("chat:upload"), {"file": file})
        notes = [note for item in alice.imports.get().items.all() for note in item.notes]
        assert notes
        assert [note for note in notes if not re.search("[가-힣]", note)] == []


@pytest.mark.parametrize("status", [status for status in Status if status != Status.QUEUED])
@pytest.mark.parametrize("code", ["", "backend_unavailable", "unknown"])
def test_ends_of_answers_speak_korean(korean, conversation, no_runner, status, code):
    Generation.objects.update(status=status, error_code=code, finish_reason="length", output_tokens=3)
    assert english_in(korean.get(conversation.get_absolute_url()).content.decode()) == []


@pytest.mark.parametrize("name", PUBLIC_PAGES)
def test_public_pages_speak_korean(client, db, name):
    response = client.get(reverse(name), headers={"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"})
    assert english_in(response.content.decode()) == []
    assert '<html lang="ko"' in response.content.decode()


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500", "503"])
def test_error_pages_speak_korean(name):
    with translation.override("ko"):
        assert english_in(render_to_string(f"{name}.html")) == []
        assert english_in(render_to_string(f"{name}.html", {"typed": {"content": "안녕"}})) == []


@pytest.mark.parametrize("name", ADMIN_PAGES)
def test_the_admin_speaks_korean(client, staff, conversation, no_runner, name):
    client.force_login(staff)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ko"
    generation = Generation.objects.get()
    ids = {
        "chat_assistant_change": generation.assistant_id,
        "chat_assistant_versions": generation.assistant_id,
        "open_conversation": conversation.pk,
        "chat_generation_change": generation.pk,
        "chat_user_change": staff.pk,
    }
    Group.objects.create(name="편집자")
    response = client.get(reverse(f"admin:{name}", args=[ids[name]] if name in ids else []))
    assert response.status_code == 200
    assert set(english_in(response.content.decode())) <= DJANGO_ONLY_ENGLISH


def test_forms_refuse_in_korean(korean, conversation, echo, no_runner):
    answers = [
        korean.post(reverse("chat:messages", args=[conversation.pk]), {"content": "", "assistant": "gone"}),
        korean.post(reverse("chat:rename", args=[conversation.pk]), {"title": ""}),
        korean.post(reverse("chat:preferences"), {"theme": "light"}),
        korean.post(reverse("chat:folders"), {"name": ""}),
        korean.post(reverse("chat:change"), {"action": "archive"}),
        korean.post(reverse("chat:change"), {"conversation": str(conversation.pk)}),
        korean.post(reverse("chat:upload"), {}),
        korean.post(reverse("chat:upload"), {"file": ContentFile(b"{", name="x.json")}),
        korean.post(reverse("chat:upload"), {"file": ContentFile(b"[{}]", name="x.json")}),
        korean.get(reverse("chat:search"), {"q": "가" * 300}),
        korean.get(reverse("chat:search"), {"q": "없는 말"}),
        korean.post(reverse("account_change_password"), {"oldpassword": "x", "password1": "a", "password2": "b"}),
        korean.post(reverse("chat:sign_out_elsewhere"), {"password": "wrong"}),
        Client().post(reverse("account_login"), {"login": "x", "password": "y"}, headers={"accept-language": "ko"}),
    ]
    for response in answers:
        assert english_in(response.content.decode()) == []


def test_scripts_speak_korean(korean, conversation, no_runner):
    html = korean.get(conversation.get_absolute_url()).content.decode()
    strings = json.loads(re.search(r'<script id="strings"[^>]*>(.*?)</script>', html, re.DOTALL)[1])
    assert len(strings) > 20
    values = [re.sub(r"%\(\w+\)s", "", text) for text in strings.values()]
    assert [text for text in values if re.search(r"[A-Za-z]{2}", NAMES.sub("", text))] == []


# ---------- choosing ----------


def test_the_switch_remembers_the_language(client, db):
    response = client.post(reverse("set_language"), {"language": "ko", "next": "/accounts/login/"})
    assert response["Location"] == "/accounts/login/"
    page = client.get("/accounts/login/")
    assert '<html lang="ko"' in page.content.decode()
    assert page["Content-Language"] == "ko"


def test_the_switch_leads_nowhere_else(client, db):
    response = client.post(reverse("set_language"), {"language": "ko", "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_an_unknown_language_is_english(client, db):
    page = client.get("/accounts/login/", headers={"accept-language": "fr"})
    assert '<html lang="en"' in page.content.decode()


def test_dates_and_numbers_are_local(korean, alice, conversation, echo, no_runner):
    Generation.objects.update(status=Status.COMPLETED)
    start_generation(conversation, Question(content="What is this", assistant=echo, key=uuid.uuid4()))
    with translation.override("ko"):
        assert "년" in formats.date_format(conversation.created_at, "DATE_FORMAT")
