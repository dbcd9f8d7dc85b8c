"""The commands of manage.py."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from chat.checks import check_assistants
from chat.models import Assistant, User

pytestmark = pytest.mark.django_db(transaction=True)


def run(name: str, *args: str, **options) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


class TestCheckBackends:
    def test_it_works(self):
        lines = run("check_backends", "echo").splitlines()
        assert lines[0].split("  ")[0] == "alias"
        assert lines[1].split()[:2] == ["echo", "yes"]

    def test_a_backend_that_fails_says_why_and_fails_the_command(self):
        out = StringIO()
        with pytest.raises(CommandError) as failed:
            call_command("check_backends", stdout=out)
        assert failed.value.returncode == 1
        rows = {line.split()[0]: line for line in out.getvalue().splitlines()}
        assert "yes" in rows["echo"]
        assert "NO" in rows["scripted"]
        assert "breaks" not in rows["scripted"]

    def test_errors_and_hints_are_shown(self, monkeypatch):
        monkeypatch.setattr("chat.management.commands.check_backends.PROMPT", "fail")
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("check_backends", "scripted", stdout=out)
        assert "Connection refused.  Start the server." in out.getvalue()

    def test_a_silent_backend_does_not_hang_it(self, settings, monkeypatch):
        settings.CHAT_BACKENDS = {"echo": {"BACKEND": "tests.fakes.EchoBackend", "OPTIONS": {"delay": 60}}}
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("check_backends", "--timeout", "0.1", stdout=out)
        assert "No answer in 0.1 s." in out.getvalue()

    def test_a_wrong_entry_is_a_row(self, settings):
        settings.CHAT_BACKENDS = {"wrong": {"BACKEND": "no.where"}}
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("check_backends", stdout=out)
        assert "No module named" in out.getvalue()

    def test_an_unknown_alias_is_refused(self):
        with pytest.raises(CommandError, match="no 'ehco'; it has: echo, scripted"):
            run("check_backends", "ehco")


def test_owner_link(staff):
    assert run("owner_link") == ""
    User.objects.all().delete()
    assert "http://127.0.0.1:8000/setup/" in run("owner_link")
    assert "https://chat.example.org/setup/" in run("owner_link", url="https://chat.example.org/")


def test_seed_assistants():
    assert run("seed_assistants").count("New assistant") == 2
    assert run("seed_assistants") == ""
    Assistant.objects.update(name="Renamed", is_active=False)
    assert run("seed_assistants") == ""
    assert set(Assistant.objects.values_list("backend", flat=True)) == {"echo", "scripted"}


def test_assistants_without_backend_are_found(echo, scripted, settings):
    assert check_assistants(None, databases=["default"]) == []
    settings.CHAT_BACKENDS = {"scripted": settings.CHAT_BACKENDS["scripted"]}
    (found,) = check_assistants(None, databases=["default"])
    assert (found.id, found.obj) == ("chat.W001", echo)
    Assistant.objects.filter(slug="echo").update(is_active=False)
    assert check_assistants(None, databases=["default"]) == []
    assert check_assistants(None) == []
