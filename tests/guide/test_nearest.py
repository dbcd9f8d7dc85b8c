from __future__ import annotations

import pytest

from guide.corpus import LANGUAGES, load_corpus
from guide.nearest import index, language_of, unsure_answer


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_works(language):
    corpus = load_corpus()
    topics = {answer.name: answer for section in corpus.sections for answer in section.answers}
    examples = [e for e in corpus.development() if e.language == language and e.answer in topics]
    found = [
        topics[e.answer].wordings[language].title in [near.title for near in index(language).nearest(e.question)]
        for e in examples
    ]

    assert sum(found) / len(found) > 0.9


def test_the_nearest_comes_first():
    near = index("en").nearest("which port does the site run on")

    assert near[0].title == "How do I change the port?"
    assert [found.similarity for found in near] == sorted((found.similarity for found in near), reverse=True)
    assert len({found.title for found in near}) == len(near)


@pytest.mark.parametrize("question", ["", "?!", "🐙", "zzyzx"])
def test_nothing_is_near_to_nothing(question):
    assert index("en").nearest(question) == []


def test_a_very_long_question_takes_no_longer():
    assert index("en").nearest("port " * 20_000)


@pytest.mark.parametrize(
    ("question", "language"), [("Is there a port?", "en"), ("port 바꾸기", "ko"), ("ㅎㅇ", "ko"), ("", "en")]
)
def test_it_knows_the_language(question, language):
    assert language_of(question) == language


def test_it_lists_questions_as_markdown():
    lines = unsure_answer("port").splitlines()

    assert lines[1] == ""
    assert all(line.startswith("- ") for line in lines[2:])


@pytest.mark.parametrize("language", LANGUAGES)
def test_likelihoods_add_up_and_favour_the_nearest(language):
    for section in load_corpus().sections:
        for answer in section.answers:
            wording = answer.wordings[language]
            likelihoods = index(language).likelihoods(wording.title)
            assert sum(likelihoods.values()) == pytest.approx(1)
            assert max(likelihoods, key=likelihoods.get) == index(language).nearest(wording.title)[0].text
