"""The two moderators that come with the site keep the contract; wrong settings are found by ``manage.py check``."""

from __future__ import annotations

import json
import os

import pytest

from backends.moderation import ModerationRequest, moderators
from backends.moderation.checks import check_moderation
from backends.moderation.openai import OpenAIModerator
from backends.moderation.testing import ModeratorConformance
from backends.moderation.words import Rule, WordListModerator, compile_rules, read_rules

FILE = """# words of our own
refuse forbidden
flag /\\b\\d{6}-\\d{7}\\b/

flag 비밀
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(FILE, encoding="utf-8")
    return path


class TestWordList(ModeratorConformance):
    flagged = "This is FORBIDDEN, is it not?"

    @pytest.fixture(autouse=True)
    def _file(self, file):
        self.file = file

    def make_moderator(self):
        return WordListModerator(file=str(self.file))

    def make_broken_moderator(self):
        return WordListModerator(file="/does/not/exist")

    def test_a_change_is_seen(self, file):
        moderator = self.make_moderator()
        moderator.refresh()
        file.write_text("flag other")
        os.utime(file, (1, 1))
        moderator.refresh()
        assert moderator._compiled.search("forbidden").action == "allow"
        assert moderator._compiled.search("Other").action == "flag"


def found(text: str, **rule) -> bool:
    return compile_rules([Rule(**rule)]).search(text).action == "flag"


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("cat", "A CAT sat.", True),
        ("cat", "concatenate", False),
        ("cat", "cat", True),
        ("cat", "(cat)", True),
        ("cat", "cat_food", False),
        ("grüße", "GRÜSSE Grüße", True),
        ("two words", "these two\n  words", True),
        ("a.b", "axb", False),
        ("비밀", "그것은 비밀입니다", True),
        ("机密", "这是机密文件", True),
        ("cafe\u0301", "a caf\u00e9 here", True),
    ],
)
def test_words(pattern, text, is_found):
    assert found(text, pattern=pattern) is is_found


def test_patterns_take_no_long_time():
    """What brings a backtracking engine to its knees."""
    for pattern in (r"(a+)+$", r"(a|aa)+$", r"(.*a){20}", r"(\w+\s?)+!"):
        compiled = compile_rules([Rule(pattern=pattern, is_regex=True)])
        compiled.search("a" * 50_000 + "b")


@pytest.mark.parametrize("pattern", ["(", "a{2000}{2000}", "x*", "", "(?=a)", r"(a)\1"])
def test_wrong_patterns(pattern):
    with pytest.raises(ValueError, match=r"cannot be used|every text"):
        compile_rules([Rule(pattern=pattern, is_regex=True)])


def test_the_strongest_wins():
    rules = [Rule(pattern="a"), Rule(pattern="b", action="refuse", words="No."), Rule(pattern="c")]
    verdict = compile_rules(rules).search("a b c")
    assert (verdict.action, verdict.rule, verdict.words) == ("refuse", "b", "No.")


@pytest.mark.parametrize(("text", "line"), [("flag a\nforbid b", 2), ("refuse", 1), ("flag /(/", 1)])
def test_wrong_files(text, line):
    with pytest.raises(ValueError, match=f"line {line}"):
        read_rules(text)


def openai_server(respond):
    """Return what makes an HTTP client that is answered by the function."""
    import httpx2

    return lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(respond))


def moderated(request):
    import httpx2

    text = json.loads(request.content)["input"]
    scores = {"violence": 0.9 if "blood" in text else 0.01, "hate": 0.3, "self-harm": 0.0}
    categories = {name: score > 0.5 for name, score in scores.items()}
    result = {"flagged": any(categories.values()), "categories": categories, "category_scores": scores}
    body = {"id": "m", "model": "omni", "results": [{**result, "category_applied_input_types": {}}]}
    return httpx2.Response(200, json=body)


def refused(request):
    import httpx2

    return httpx2.Response(401, json={"error": {"message": f"no: {request.content.decode()}"}})


class TestOpenAI(ModeratorConformance):
    flagged = "blood"

    def make_moderator(self, **options):
        return OpenAIModerator(api_key="k", transport=openai_server(moderated), **options)

    def make_broken_moderator(self):
        return OpenAIModerator(api_key="k", transport=openai_server(refused))

    @pytest.mark.parametrize(
        ("options", "action", "rule"),
        [
            ({}, "flag", "violence"),
            ({"refuse": ["violence"]}, "refuse", "violence"),
            ({"refuse": ["*"]}, "refuse", "violence"),
            ({"refuse": ["hate"]}, "flag", "violence"),
            ({"thresholds": {"violence": 0.95}}, "allow", ""),
            ({"thresholds": {"hate": 0.2}}, "flag", "violence, hate"),
            ({"thresholds": {"hate": 0.2}, "refuse": ["hate"]}, "refuse", "hate"),
        ],
    )
    def test_what_is_done(self, options, action, rule):
        moderator = self.make_moderator(**options)
        verdict = self._run(moderator.check(ModerationRequest(text="blood")))
        assert (verdict.action, verdict.rule) == (action, rule)


WORDS = "backends.moderation.words.WordListModerator"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("x", "E020"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "FILE"}, "WHEN": 1}, "E020"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "FILE"}, "CHECKS": "question"}, "E020"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "FILE"}, "CHECKS": ["all"]}, "E020"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "FILE"}, "ON_FAILURE": "panic"}, "E020"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "FILE"}, "TIMEOUT": 0}, "E020"),
        ({"BACKEND": "nowhere.Nothing"}, "E021"),
        ({"BACKEND": "backends.BaseChatBackend"}, "E021"),
        ({"BACKEND": WORDS}, "E022"),
        ({"BACKEND": WORDS, "OPTIONS": {"file": "/does/not/exist"}}, "E023"),
        ({"BACKEND": "backends.moderation.openai.OpenAIModerator"}, "E024"),
    ],
)
def test_wrong_settings(settings, file, entry, code):
    if isinstance(entry, dict) and entry.get("OPTIONS", {}).get("file") == "FILE":
        entry["OPTIONS"] = {"file": str(file)}
    settings.CHAT_MODERATION = {"mine": entry}
    assert [message.id for message in check_moderation()] == [f"backends.{code}"]


def test_right_settings(settings, file):
    options = {"file": str(file)}
    settings.CHAT_MODERATION = {"words": {"BACKEND": WORDS, "OPTIONS": options, "CHECKS": ["answer"], "TIMEOUT": 2}}
    assert check_moderation() == []
    assert [entry.alias for entry in moderators.looking_at("answer")] == ["words"]
    assert moderators.looking_at("question") == []
