"""``chat_backends`` and the checks of its settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.checks import Error

from backends import BaseChatBackend, InvalidChatBackend, chat_backends
from backends.checks import check_chat_backends
from tests.fakes import EchoBackend

ECHO = {"BACKEND": "tests.fakes.EchoBackend"}


class NeedyBackend(EchoBackend):
    def __init__(self, *, model: str, limit: int = 3) -> None:
        super().__init__()
        if limit < 0:
            raise ValueError("limit is negative")

    def check(self):
        return [Error("It is never content.", id="backends.E099")]


def test_it_works(settings):
    settings.CHAT_BACKENDS = {"one": ECHO | {"LABEL": "Number one", "OPTIONS": {"delay": 0.5}}, "two": ECHO}
    backend = chat_backends["one"]
    assert isinstance(backend, EchoBackend)
    assert (backend.alias, backend.label, backend.delay) == ("one", "Number one", 0.5)
    assert chat_backends["two"].label == "two"
    assert list(chat_backends) == ["one", "two"]
    assert len(chat_backends) == 2
    assert "one" in chat_backends
    assert "three" not in chat_backends


def test_an_alias_has_one_instance_in_all_threads():
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: id(chat_backends["echo"]), range(64)))) == 1


def test_overridden_settings_are_honoured(settings):
    before = chat_backends["echo"]
    settings.CHAT_BACKENDS = {"echo": ECHO}
    assert chat_backends["echo"] is not before


@pytest.mark.parametrize(
    "entry",
    [{}, {"BACKEND": "nowhere.Backend"}, {"BACKEND": "tests.fakes.Nothing"}, ECHO | {"OPTIONS": {"dellay": 1}}],
)
def test_wrong_entries_raise_one_error(settings, entry):
    settings.CHAT_BACKENDS = {"wrong": entry}
    with pytest.raises(InvalidChatBackend, match="wrong"):
        chat_backends["wrong"]
    assert chat_backends.label("wrong") == "wrong"


def test_an_unknown_alias_names_the_known_ones():
    with pytest.raises(InvalidChatBackend, match="'echo', 'scripted'"):
        chat_backends["ehco"]


def test_a_backend_needs_a_stream():
    class Lazy(BaseChatBackend):
        pass

    with pytest.raises(TypeError, match="stream"):
        Lazy()


@pytest.mark.parametrize(
    ("configured", "ids", "words"),
    [
        ({"one": ECHO}, [], ""),
        ({}, [], ""),
        ([], ["backends.E001"], "not a dictionary"),
        ({"one": "tests.fakes.EchoBackend"}, ["backends.E001"], "not a dictionary"),
        ({"one": ECHO | {"OPTIONS": []}}, ["backends.E001"], "OPTIONS"),
        ({"one": {}}, ["backends.E002"], "'one'"),
        ({"one": {"BACKEND": "tests.fakes.Ecko"}}, ["backends.E002"], "Ecko"),
        ({"one": {"BACKEND": "uuid.UUID"}}, ["backends.E003"], "uuid.UUID"),
        ({"one": ECHO | {"OPTIONS": {"dellay": 1}}}, ["backends.E004"], "Did you mean 'delay'?"),
        ({"one": {"BACKEND": f"{__name__}.NeedyBackend"}}, ["backends.E005"], "'model'"),
        (
            {"one": {"BACKEND": f"{__name__}.NeedyBackend", "OPTIONS": {"model": "x", "limit": -1}}},
            ["backends.E005"],
            "negative",
        ),
        ({"one": {"BACKEND": f"{__name__}.NeedyBackend", "OPTIONS": {"model": "x"}}}, ["backends.E099"], "content"),
        ({"one": ECHO | {"LABLE": "One"}}, ["backends.W001"], "Did you mean 'LABEL'?"),
    ],
)
def test_checks(settings, configured, ids, words):
    settings.CHAT_BACKENDS = configured
    found = check_chat_backends()
    assert [message.id for message in found] == ids
    assert words in " ".join(f"{message.msg} {message.hint}" for message in found)
