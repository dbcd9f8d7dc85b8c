from __future__ import annotations

import random

import pytest

from guide.augmentation import vary


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
