"""Headers, cookies and logs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import uuid

import pytest
from django.conf import settings
from django.urls import reverse

from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


@pytest.mark.parametrize("name", ["chat:home", "account_login", "admin:index"])
def test_the_content_policy_is_strict(client, staff, name):
    if name != "account_login":
        client.force_login(staff)
    policy = client.get(reverse(name))["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_pages_have_no_inline_script_or_style(client, staff, conversation, settings):
    import re

    client.force_login(staff)
    for url in (reverse("chat:home"), reverse("admin:index"), reverse("account_change_password")):
        page = client.get(url).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page), url
        for script in re.findall(r"<script(.*?)>", page):
            assert "src=" in script or "nonce=" in script or "application/json" in script, script


def test_other_headers(alice_client, echo):
    response = alice_client.get(reverse("chat:home"))
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in response


def test_prompts_and_answers_stay_out_of_the_logs(alice_client, echo, scripted, caplog):
    import asyncio

    secret = "xyzzy-my-secret"
    with caplog.at_level(logging.DEBUG):
        for assistant, content in (("echo", secret), ("scripted", f"crash {secret}"), ("scripted", f"fail {secret}")):
            form = {"content": content, "key": str(uuid.uuid4()), "assistant": assistant}
            alice_client.post(reverse("chat:home"), form)
            asyncio.run(run_generation(claim_one("this-worker")))
    # Django's own SQL log is for debugging and off; the test database shows it at DEBUG only.
    said = [record.getMessage() for record in caplog.records if not record.name.startswith("django.db")]
    assert said
    assert not [line for line in said if secret in line]


def test_cookies(client, alice):
    from tests.conftest import PASSWORD

    response = client.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    assert response.status_code == 302
    session = response.cookies[settings.SESSION_COOKIE_NAME]
    assert session["httponly"]
    assert session["samesite"] == "Lax"


def test_people_sign_in_by_mail_address_too(client, alice):
    from tests.conftest import PASSWORD

    assert (
        client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD}).status_code == 302
    )
    assert client.get(reverse("chat:home")).status_code == 200


def test_guessing_passwords_is_slowed_down(client, alice, settings):
    from django.core.cache import cache

    cache.clear()
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/m/key"}
    form = {"login": "alice", "password": "wrong"}
    pages = [client.post(reverse("account_login"), form).content.decode() for _ in range(5)]
    assert "Too many failed login attempts" in pages[-1]
    assert "Too many failed login attempts" not in pages[0]
    cache.clear()


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)


def test_check_deploy_is_clean(tmp_path):
    """Run the checks as a production site would, with the settings that docs/settings.md asks for."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "chatsite.settings",
        "HTTPS": "on",
        "SECRET_KEY": "k" * 30 + uuid.uuid4().hex,
        "ALLOWED_HOSTS": "chat.example.org",
        "VAR_DIR": str(tmp_path),
    }
    arguments = ["check", "--deploy", "--fail-level", "WARNING"]
    done = run("-W", "error::DeprecationWarning", "manage.py", *arguments, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_web_process_never_imports_an_sdk():
    code = """
import sys
import chatsite.asgi
from backends import chat_backends
for alias in chat_backends:
    chat_backends[alias].check()
print([name for name in ("torch", "transformers", "openai") if name in sys.modules])
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "chatsite.settings", "OPENAI_API_KEY": "k"}
    done = run("-c", code, env=environment)
    assert done.stdout.strip() == "[]", done.stderr


def test_migrations_are_complete(capsys):
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run")
