from __future__ import annotations

import statistics

import pytest

from guide.corpus import LANGUAGES, OFF_TOPIC, load_corpus
from guide.familiarity import familiarity


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_tells_questions_about_the_site_from_foreign_ones(language):
    """By questions that it has not seen."""
    known = familiarity(language)
    examples = [example for example in load_corpus().development() if example.language == language]
    ours = [known.of(example.question) for example in examples if example.answer != OFF_TOPIC]
    foreign = [known.of(example.question) for example in examples if example.answer == OFF_TOPIC]

    assert statistics.median(ours) > 0.75
    assert statistics.median(foreign) < 0.25


def test_what_says_nothing_is_between():
    assert familiarity("en").of("?!") == 0.5


def test_strange_words_speak_for_another_subject():
    known = familiarity("en")

    assert known.of("change the port of the zyzzyva quokka") < known.of("change the port")


def test_however_much_is_said_it_stays_between_0_and_1():
    assert 0 <= familiarity("en").of("quokka " * 5_000) < familiarity("en").of("port server assistant " * 5_000) <= 1
