"""What browsers need to install the site."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import reverse

from chatsite.npm import find_node


def manifest_of(client, **headers) -> dict:
    response = client.get(reverse("chat:manifest"), headers=headers)
    assert response["Content-Type"] == "application/manifest+json"
    return json.loads(response.content)


def test_it_works(client, db):
    """All that Chromium wants of a site before it offers to install it."""
    manifest = manifest_of(client)
    assert manifest["name"] == "chatsite"
    assert manifest["start_url"] == manifest["scope"] == manifest["id"] == "/"
    assert manifest["display"] == "standalone"
    assert {icon["sizes"] for icon in manifest["icons"] if icon["type"] == "image/png"} == {"192x192", "512x512"}
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}


def test_the_name_is_a_setting(client, db, settings):
    settings.SITE_NAME = "우리 회사 상담"
    assert manifest_of(client)["name"] == "우리 회사 상담"
    page = client.get(reverse("account_login")).content.decode()
    assert "우리 회사 상담" in page
    assert "chatsite" not in page


def test_it_speaks_the_language_of_the_person(client, db):
    english, korean = manifest_of(client), manifest_of(client, **{"accept-language": "ko"})
    assert english["lang"] == "en"
    assert korean["lang"] == "ko"
    assert english["shortcuts"][0]["name"] == "New chat"
    assert korean["shortcuts"][0]["name"] == "새 대화"


@pytest.mark.parametrize("name", ["icon-180.png", "icon-192.png", "icon-512.png", "icon-maskable-512.png"])
def test_icons_are_as_large_as_they_say(name):
    head = Path(finders.find(f"chat/{name}")).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    size = int(re.search(r"\d+", name)[0])
    assert struct.unpack(">II", head[16:24]) == (size, size)


def test_every_icon_of_the_manifest_is_there(client, db):
    for icon in manifest_of(client)["icons"]:
        assert finders.find(icon["src"].removeprefix(settings.STATIC_URL))


def test_pages_name_it(client, db):
    page = client.get(reverse("account_login")).content.decode()
    # Without the cookies it would speak the browser's language, and not the person's.
    assert f'<link rel="manifest" href="{reverse("chat:manifest")}" crossorigin="use-credentials">' in page
    assert 'rel="apple-touch-icon"' in page
    assert page.count('name="theme-color"') == 2


def test_the_colours_are_those_of_the_style_sheet():
    tokens = Path(finders.find("chat/tokens.css")).read_text()
    light, dark = re.search(r"--bg-side: light-dark\((#\w+), (#\w+)\)", tokens).groups()
    for path in ("templates/base.html", "chat/static/chat/theme.js", "chat/views/installing.py"):
        text = (settings.BASE_DIR / path).read_text()
        assert set(re.findall(r"#[0-9a-f]{6}\b", text)) == {light, dark}, path


def worker_of(client, **cookies) -> str:
    client.cookies.load(cookies)
    response = client.get(reverse("chat:service_worker"))
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/javascript")
    # Browsers must see at once that there is another one.
    assert "no-store" in response["Cache-Control"] or "no-cache" in response["Cache-Control"]
    return response.content.decode()


def test_the_worker_is_above_all_pages(client, db):
    assert reverse("chat:service_worker") == "/sw.js"
    site = json.loads(re.search(r"const site = (.*);", worker_of(client))[1])
    assert site["offline"] == "/offline/"
    assert site["static"] == settings.STATIC_URL
    assert all(finders.find(url.removeprefix(settings.STATIC_URL)) for url in site["shell"])


def test_the_worker_is_another_when_what_it_keeps_is(client, db):
    english = worker_of(client)
    assert worker_of(client) == english
    korean, dark = worker_of(client, django_language="ko"), worker_of(client, django_language="en", theme="dark")
    assert len({english, korean, dark}) == 3


def test_the_worker_is_another_after_every_change_of_a_file(client, db, monkeypatch):
    before = worker_of(client)
    monkeypatch.setattr("chat.views.installing.staticfiles_storage.manifest_hash", "another", raising=False)
    assert worker_of(client) != before


def test_the_worker_is_javascript(client, db, tmp_path):
    file = tmp_path / "sw.mjs"
    file.write_text(worker_of(client))
    subprocess.run([find_node().program, "--check", file], check=True)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_offline_page_has_all_languages_that_of_the_person_first(client, db, language):
    client.cookies["django_language"] = language
    page = client.get(reverse("chat:offline")).content.decode()
    words = {"en": "You are offline", "ko": "오프라인 상태입니다"}
    other = "ko" if language == "en" else "en"
    first, second = page.split(f'<section lang="{other}">')
    assert words[language] in first
    assert words[other] not in first.split("<body>")[1]
    assert words[other] in second


def test_the_offline_page_knows_nobody(alice_client):
    page = alice_client.get(reverse("chat:offline")).content.decode()
    assert "alice" not in page
    assert "csrf" not in page


def test_signing_out_clears_what_the_browser_keeps(alice_client):
    response = alice_client.post(reverse("account_logout"))
    assert response["Clear-Site-Data"] == '"storage"'
    assert response.status_code == 302
    assert "Clear-Site-Data" not in alice_client.get(reverse("account_login"))
