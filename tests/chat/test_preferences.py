"""What people choose for their browser, and how they leave the others."""

from __future__ import annotations

from django.conf import settings
from django.test import Client
from django.urls import reverse

from chat.preferences import Preferences
from tests.conftest import PASSWORD

URL = "/settings/"
CHOSEN = {"language": "ko", "theme": "dark", "enter": "newline", "reads_aloud": "on"}


def test_it_works(alice_client):
    response = alice_client.post(URL, CHOSEN)
    assert response.status_code == 302
    assert response["Location"] == URL
    cookies = response.cookies
    assert {name: cookies[name].value for name in ("theme", "enter", "read_aloud", "single_keys")} == {
        "theme": "dark",
        "enter": "newline",
        "read_aloud": "on",
        "single_keys": "off",
    }
    assert cookies[settings.LANGUAGE_COOKIE_NAME].value == "ko"
    assert all(cookie["max-age"] >= 60 * 60 * 24 * 300 for name, cookie in cookies.items() if name != "messages")
    page = alice_client.get(URL).content.decode()
    assert '<html lang="ko" data-theme="dark" data-enter="newline" data-reads-aloud data-no-single-keys>' in page
    assert "저장했습니다." in page
    for value in ("ko", "dark", "newline"):
        assert f'value="{value}"' in page
    assert page.count(" checked") == 4


def test_the_defaults_need_no_cookie(alice_client):
    alice_client.post(URL, CHOSEN)
    response = alice_client.post(URL, {"language": "en", "theme": "", "enter": "send", "single_keys": "on"})
    for name in ("theme", "enter", "read_aloud", "single_keys"):
        assert response.cookies[name].value == ""
        assert response.cookies[name]["max-age"] == 0
    page = alice_client.get(URL).content.decode()
    assert '<html lang="en">' in page


def test_they_stay_when_somebody_signs_out(alice_client):
    alice_client.post(URL, CHOSEN)
    alice_client.post(reverse("account_logout"))
    assert '<html lang="ko" data-theme="dark"' in alice_client.get(reverse("account_login")).content.decode()


def test_nonsense_is_refused(alice_client):
    for wrong in ({"language": "xx"}, {"theme": "pink"}, {"enter": "eats"}):
        response = alice_client.post(URL, {**CHOSEN, **wrong})
        assert response.status_code == 422
        assert set(response.cookies) <= {"csrftoken"}
        assert 'class="error"' in response.content.decode()


def test_nonsense_in_cookies_is_not_chosen(rf):
    request = rf.get("/")
    request.COOKIES = {"theme": '"><script>', "enter": "eats", "read_aloud": "maybe", "single_keys": "never"}
    assert Preferences.of(request) == Preferences()


def test_cookies_are_for_https_alone_where_the_site_is(alice_client, settings):
    settings.SESSION_COOKIE_SECURE = settings.LANGUAGE_COOKIE_SECURE = True
    alice_client.defaults["wsgi.url_scheme"] = "https"
    response = alice_client.post(URL, CHOSEN, secure=True)
    assert response.status_code == 302
    assert all(response.cookies[name]["secure"] for name in ("theme", "enter", settings.LANGUAGE_COOKIE_NAME))


def test_signing_out_everywhere_else(alice, alice_client):
    other = Client()
    assert other.login(username="alice", password=PASSWORD)
    url = reverse("chat:sign_out_elsewhere")
    refused = alice_client.post(url, {"password": "not-the-password"})
    assert refused.status_code == 422
    assert other.get(URL).status_code == 200
    response = alice_client.post(url, {"password": PASSWORD})
    assert response["Location"] == URL
    assert "You are signed out everywhere else." in alice_client.get(URL).content.decode()
    assert other.get(URL).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_guessing_the_password_is_braked(alice_client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/m/key"}
    url = reverse("chat:sign_out_elsewhere")
    answers = [alice_client.post(url, {"password": "wrong"}).content.decode() for _ in range(4)]
    assert answers[0] != answers[-1]
    assert "Too many failed login attempts" in answers[-1]
    # Also for who has the right one by then.
    assert alice_client.post(url, {"password": PASSWORD}).status_code == 422
