from __future__ import annotations

import pytest

from guide.certainty import ALWAYS, Certainty, guess, line_above, load_certainty, save_certainty
from guide.corpus import LANGUAGES, load_corpus
from guide.nearest import index, refusal

QUESTION = "which port does the site run on"


def text_of(name: str, language: str = "en") -> str:
    (known,) = [known for known in load_corpus().answers if known.name == name]
    return known.wordings[language].text


def test_it_works(tmp_path):
    certainty = Certainty(confidence_tokens=12, least={"en": 0.5, "ko": 0.25})
    save_certainty(certainty, tmp_path)
    sure = guess(QUESTION, text_of("port"), 1.0)

    assert load_certainty(tmp_path) == certainty
    assert (sure.text, sure.language) == (text_of("port"), "en")
    assert Certainty(least={"en": sure.certainty, "ko": 1.0}).suffices(sure)
    assert not Certainty(least={"en": sure.certainty + 0.001}).suffices(sure)


def test_without_a_file_everything_is_sure_enough(tmp_path):
    assert load_certainty(tmp_path) == ALWAYS
    assert ALWAYS.suffices(guess("", "", 0.0))


def test_a_sure_model_is_believed_against_the_words():
    second = index("en").nearest(QUESTION)[1].text

    assert guess(QUESTION, second[:30], 1.0).text == second


def test_an_unsure_model_is_not():
    assert guess(QUESTION, text_of("postgres")[:30], 0.1).text == text_of("port")


def test_a_beginning_of_no_answer_counts_for_nothing():
    assert guess(QUESTION, "Potatoes are", 0.9).text == text_of("port")
    assert guess(QUESTION, "", 0.9).text == text_of("port")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_refusal_can_be_the_likeliest(language):
    question = {"en": "Who painted the Mona Lisa?", "ko": "모나리자는 누가 그렸어?"}[language]

    assert guess(question, refusal(language), 0.99).text == refusal(language)


@pytest.mark.parametrize("confidence", [0.0, 0.3, 1.0])
def test_certainty_is_between_0_and_1(confidence):
    for question in ("", "?", "port", QUESTION, "포트 변경"):
        assert 0 <= guess(question, text_of("port")[:20], confidence).certainty <= 1


def test_the_line_is_above_what_strayed():
    assert 0.6 < line_above([0.2, 0.6, 0.1]) < 0.7
    assert line_above([]) == 0


def test_something_may_pass_the_line():
    assert line_above([1.0]) <= 1.0
