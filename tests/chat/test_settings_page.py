"""The settings page: every setting, where it comes from, and no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from chat.diagnosis.configuration import sections
from chat.diagnosis.explanations import EXPLANATIONS, SECTIONS
from chat.diagnosis.masking import MASK, is_secret_name, masked, without_secrets
from chat.models import Assistant, User

SECRET = "hunter2-swordfish"


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the code with the site's settings in a process that has these variables alone."""
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "chatsite.settings"}
    root = Path(__file__).resolve().parent.parent.parent
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment | variables, cwd=root, capture_output=True, text=True, check=False)


class TestMasking:
    @pytest.mark.parametrize(
        "name",
        [
            *("SECRET_KEY", "api_key", "apiKey", "API-KEY", "X-Api-Key", "OPENAI_API_KEY", "PASSWORD", "dbPassword"),
            *("db_passwd", "passphrase", "pwd", "CHAT_ENGINE_TOKEN", "access_token", "Authorization", "X-Auth-Token"),
            *("x-auth", "client_secret", "clientSecret", "aws_secret_access_key", "private_key", "sslkey", "Cookie"),
            *("EMAIL_HOST_PASSWORD", "SENTRY_DSN", "signature", "passwordHash", "SECRET_KEY_FALLBACKS", "key", "keys"),
            *("tokens", "mypassword", "APIKEY"),
        ],
    )
    def test_names_of_secrets(self, name):
        assert is_secret_name(name)
        assert masked(name, SECRET) == MASK
        assert masked("outer", {"inner": [{name: SECRET}]}) == {"inner": [{name: MASK}]}
        assert masked(name, {"nested": SECRET}) == MASK

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("max_output_tokens", 200),
            ("CHAT_QUOTA_ANSWER_TOKENS", 2048),
            ("max_output_tokens_field", "max_tokens"),
            ("model", "gpt-4o-mini"),
            ("KEY_PREFIX", "site"),
            ("base_url", "https://api.openai.com/v1"),
            ("DATABASE_URL", "sqlite:////srv/chatsite/var/db.sqlite3"),
            ("AUTH_PASSWORD_VALIDATORS", "django.contrib.auth.password_validation.MinimumLengthValidator"),
            ("revision", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
            ("ENGINE", "django.db.backends.postgresql"),
            ("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"),
            ("path", "/a/rather/long/path/with/many/parts/and/1/number/in/it"),
            ("CLASS", "tests.a_module_with_a_rather_long_name_of_its_own.Class"),
            ("emails", "somebody@example.org"),
        ],
    )
    def test_what_is_none_is_shown(self, name, value):
        assert masked(name, value) == value

    @pytest.mark.parametrize("value", [None, "", True, False, [], {}])
    def test_what_is_empty_is_shown_to_be(self, value):
        assert masked("api_key", value) == value

    @pytest.mark.parametrize(
        "text",
        [
            f"postgres://chat:{SECRET}@db.internal/chat",
            f"postgres://chat:p@ss/{SECRET}@db.internal:5432/chat?sslmode=require",
            f"redis://:{SECRET}@127.0.0.1:6379/0",
            f"https://{SECRET}@sentry.example.org/1",
            f"smtp+tls://user%40example.org:{SECRET}@mail:587",
            f"https://proxy.example.org/v1?api_key={SECRET}&model=x",
            f"https://proxy.example.org/v1?key={SECRET}",
            f"host=db user=chat password={SECRET} dbname=chat",
            f"host=db user=chat password='{SECRET} with spaces' dbname=chat",
            f'{{"client_secret": "{SECRET}"}}'.replace('"client_secret"', "client_secret"),
            f"Bearer {SECRET}",
            f"Basic {SECRET}==",
            f"sk-{SECRET}",
            f"hf_{SECRET}",
            f"ghp_{SECRET}",
            f"xoxb-{SECRET}",
            f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
            f"--header=X-Auth-Token:{SECRET}",
        ],
    )
    def test_looks_of_secrets(self, text):
        shown = without_secrets(text)
        assert SECRET not in shown
        assert MASK in shown
        assert SECRET not in str(masked("location", [{"deep": {"deeper": (text,)}}]))

    @pytest.mark.parametrize(
        "text",
        [
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZg==",
            "5f4dcc3b5aa765d61d8327deb882cf99a1b2",
            "A1b2C3d4E5f6G7h8I9j0K1l2M3n4",
        ],
    )
    def test_what_looks_random(self, text):
        assert without_secrets(text) == MASK

    def test_the_place_stays_readable(self):
        assert without_secrets("postgres://chat:x@db.internal/chat") == f"postgres://{MASK}@db.internal/chat"


class TestSections:
    def rows(self):
        return {row.name: row for section in sections() for row in section.rows}

    def test_every_variable_is_shown_and_explained(self, settings):
        shown = {name for names in SECTIONS.values() for name in names}
        assert shown == set(EXPLANATIONS)
        rows = self.rows().values()
        told = {row.variable for row in rows} | {row.name for row in rows}
        assert {name for name in settings.SETTINGS_READ if name not in told} == set()

    def test_backends_are_shown_with_their_options(self, settings):
        options = {"api_key": SECRET, "base_url": f"https://u:{SECRET}@h/v1", "headers": {"X-Auth-Token": SECRET}}
        settings.CHAT_BACKENDS = {"one": {"BACKEND": "a.B", "LABEL": "One", "OPTIONS": {**options, "timeout": 3.0}}}
        rows = self.rows()
        assert rows["CHAT_BACKENDS.one.OPTIONS.timeout"].value == "3.0"
        assert rows["CHAT_BACKENDS.one.OPTIONS.api_key"].value == MASK
        assert rows["CHAT_BACKENDS.one.OPTIONS.headers.X-Auth-Token"].value == MASK
        assert SECRET not in str(rows)

    def test_where_values_come_from(self, settings):
        settings.SETTINGS_READ = {
            "CHAT_SHARING": ("environment", "off"),
            "CHAT_CURRENCY": (".env", "EUR"),
            "SITE_NAME": ("default", "chatsite"),
            "LOG_LEVEL": ("environment", "DEBUG"),
            "DATABASE_URL": ("environment", {}),
        }
        settings.CHAT_SHARING, settings.CHAT_CURRENCY, settings.SITE_NAME = "off", "EUR", "Ours"
        rows = self.rows()
        assert rows["CHAT_SHARING"].source == "environment"
        assert rows["CHAT_CURRENCY"].source == ".env"
        assert rows["SITE_NAME"].source == "settings"  # another settings module said so
        assert (rows["LOG_LEVEL"].source, rows["LOG_LEVEL"].value) == ("environment", "DEBUG")
        assert (rows["DATABASES.default.ENGINE"].source, rows["DATABASES.default.ENGINE"].variable) == (
            "environment",
            "DATABASE_URL",
        )
        assert rows["CACHES.default.BACKEND"].source == "default"  # Django's own
        assert rows["X_FRAME_OPTIONS"].source == "default"
        assert rows["SECURE_REFERRER_POLICY"].source == "default"
        assert rows["SESSION_COOKIE_AGE"].source == "settings"

    def test_the_site_remembers_what_it_read(self, tmp_path):
        """In a process of its own, with a variable, and one in the file .env."""
        code = (
            "from django.conf import settings as s; r = s.SETTINGS_READ; "
            "print(r['CHAT_SHARING'], r['CHAT_CURRENCY'][0], r['SECRET_KEY'][0])"
        )
        done = run(code, tmp_path, CHAT_SHARING="off")
        assert done.stdout.split("\n")[0] == "('environment', 'off') default default"

    def test_pairs_of_names_and_numbers(self, tmp_path):
        code = "from django.conf import settings as s; print(s.CHAT_LIMITS)"
        done = run(code, tmp_path, CHAT_LIMITS="idle_seconds = 20.5, characters=1000")
        assert done.stdout == "{'idle_seconds': 20.5, 'characters': 1000}\n"

    @pytest.mark.parametrize("wrong", ["nonsense", "idle_seconds=soon", "idle_seconds", "=", "CHAT_LIMITS=3=4"])
    def test_pairs_that_are_none_are_named_with_their_variable(self, tmp_path, wrong):
        done = run("from django.conf import settings as s; s.CHAT_LIMITS", tmp_path, CHAT_LIMITS=wrong)
        assert done.returncode == 1
        last = done.stderr.strip().split("\n")[-1]
        assert '"CHAT_LIMITS" invalid' in last
        assert repr(wrong) in last


@pytest.mark.django_db
class TestPage:
    def test_it_works(self, client, staff, settings):
        settings.CHAT_ENGINE_TOKEN = SECRET
        settings.REDIS_URL = f"redis://:{SECRET}@redis.internal/0"
        settings.EMAIL_HOST_PASSWORD = SECRET
        settings.DATABASES["default"]["PASSWORD"], before = SECRET, settings.DATABASES["default"]["PASSWORD"]
        client.force_login(staff)
        try:
            response = client.get(reverse("admin:settings"))
        finally:
            settings.DATABASES["default"]["PASSWORD"] = before
        page = response.content.decode()
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        assert "CHAT_MAX_RUNNING" in page
        assert "redis.internal" in page
        assert SECRET not in page
        assert settings.SECRET_KEY not in page
        assert page.count(MASK) >= 4

    def test_it_needs_a_permission_of_its_own(self, client):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        helper.user_permissions.set(
            Permission.objects.filter(codename__startswith="view_").exclude(codename="view_settings")
        )
        client.force_login(helper)
        assert client.get(reverse("admin:settings")).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_settings"))
        assert client.get(reverse("admin:settings")).status_code == 200

    def test_nothing_can_be_changed(self, client, staff):
        client.force_login(staff)
        assert client.post(reverse("admin:settings"), {"SITE_NAME": "x"}).status_code == 405

    def test_what_the_admin_sets_is_named(self, client, staff, echo):
        Assistant.objects.create(name="Two", slug="two", backend="echo")
        client.force_login(staff)
        page = client.get(reverse("admin:settings")).content.decode()
        assert reverse("admin:chat_quota_changelist") in page
