"""Whether a question sounds like one about the site: naive Bayes over its words (Maron, Journal of the ACM 8, 1961)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

from guide.augmentation import flatten
from guide.corpus import Corpus, load_corpus
from guide.nearest import MOST_CHARACTERS, words_of

WEIGHT = 0.45
"""What the evidence of a word counts: less than 1, because words come together and say the same several times."""
UNKNOWN = -1.0
"""The evidence of a word that no question has: it speaks for another subject, or is a typing error."""


class Familiarity:
    """What the training questions of one language, those about the site and the foreign ones, say of a word."""

    def __init__(self, corpus: Corpus, language: str) -> None:
        answers = (answer for section in corpus.sections for answer in section.answers)
        ours = [question for answer in answers for question in answer.wordings[language].questions]
        foreign = corpus.off_topic.wordings[language].questions
        with_ours, with_foreign = _count(ours), _count(foreign)
        share = len(ours) / (len(ours) + len(foreign))

        def evidence(word: str) -> float:
            # As if one question more had the word, which nobody knows from which side it is.
            likely_ours = (with_ours[word] + share) / len(ours)
            likely_foreign = (with_foreign[word] + 1 - share) / len(foreign)
            return math.log(likely_ours / likely_foreign)

        self._evidence = {word: evidence(word) for word in with_ours | with_foreign}

    def of(self, question: str) -> float:
        """Return how much it sounds like a question about the site, 0 to 1; 0.5 where its words say nothing."""
        evidence = sum(self._evidence.get(word, UNKNOWN) for word in set(words_of(question[:MOST_CHARACTERS])))
        return (1 + math.tanh(WEIGHT * evidence / 2)) / 2


@cache
def familiarity(language: str) -> Familiarity:
    """Return what is known of the site's own corpus, made at the first call."""
    return Familiarity(load_corpus(), language)


def _count(questions: Sequence[str]) -> Counter[str]:
    """Return how many of the questions have each word, in any of their alternatives."""
    return Counter(word for question in questions for word in set(words_of(flatten(question))))
