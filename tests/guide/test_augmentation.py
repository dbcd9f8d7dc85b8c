from __future__ import annotations

import random

import pytest

from guide.augmentation import count, expand, flatten, vary


@pytest.mark.parametrize(("language", "question"), [("en", "How do I run the site?"), ("ko", "서버는 어떻게 끄나요?")])
def test_it_works(language, question):
    rng = random.Random(1)
    varied = {vary(question, language, rng) for _ in range(200)}

    assert question in varied
    assert len(varied) > 80
    assert all(varied)


def test_the_same_seed_gives_the_same_variations():
    assert [vary("how to stop it", "en", random.Random(3)) for _ in range(3)] == [
        vary("how to stop it", "en", random.Random(3)) for _ in range(3)
    ]


def test_it_chooses_one_of_the_alternatives():
    question = "[stop|end] the [|running ]site[, please|]"
    expanded = {expand(question, random.Random(seed)) for seed in range(200)}

    assert len(expanded) == count(question) == 8
    assert "stop the site" in expanded
    assert "end the running site, please" in expanded


def test_a_question_without_alternatives_stays_as_it_is():
    assert expand("How do I stop it?", random.Random(1)) == flatten("How do I stop it?") == "How do I stop it?"
    assert count("How do I stop it?") == 1


def test_it_lists_the_words_of_all_alternatives():
    assert flatten("[stop|end] the site") == "stop end the site"
