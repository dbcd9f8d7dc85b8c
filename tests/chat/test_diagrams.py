"""The page in which diagrams are drawn can do nothing but that."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

URL = reverse("chat:diagram")


@pytest.fixture
def policy() -> dict[str, str]:
    header = Client().get(URL).headers["Content-Security-Policy"]
    return dict(part.strip().partition(" ")[::2] for part in header.split(";"))


def test_it_works():
    response = Client().get(URL)
    assert response.status_code == 200
    assert "mermaid.min.js" in response.content.decode()
    assert not response.cookies


def test_it_has_no_origin_and_fetches_nothing_but_its_own_program(policy):
    assert policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert {"img-src", "connect-src", "font-src", "frame-src"}.isdisjoint(policy)


def test_only_our_own_pages_frame_it(policy):
    response = Client().get(URL)
    assert policy["frame-ancestors"] == "'self'"
    assert "X-Frame-Options" not in response.headers


def test_the_chat_may_frame_our_own_pages_alone(alice_client):
    header = alice_client.get(reverse("chat:home")).headers["Content-Security-Policy"]
    assert "frame-src 'self';" in f"{header};"
    assert "unsafe-inline" not in header


def test_it_rejects_post():
    assert Client().post(URL).status_code == 405
