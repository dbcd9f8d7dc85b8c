"""The questions of the corpus that are nearest to what somebody asked, by TF-IDF over words and letters."""

from __future__ import annotations

import heapq
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from guide.augmentation import flatten
from guide.corpus import Answer, Corpus, load_corpus, normalise

Vector = Mapping[str, float]

UNSURE = {
    "en": "I am not sure that I understood. Perhaps you meant one of these:",
    "ko": "질문을 제대로 이해했는지 잘 모르겠습니다. 혹시 이 중 하나를 물어보셨나요?",
}
LEAST_SIMILARITY = {"en": 0.15, "ko": 0.09}
"""Below this a question has hardly a word in common with an answer's; so have 1-2 % of the development questions."""
SHARPNESS = 20.0
"""By how much a difference in similarity makes an answer likelier than another: exp(20 x 0.1) is 7 times."""
MOST_CHARACTERS = 1000
"""What is read of a question; more would cost time and say nothing new."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """An answer with how near its questions are, 0 to 1."""

    title: str
    text: str
    similarity: float


class Index:
    """The questions of one language, one vector for each answer."""

    def __init__(self, corpus: Corpus, language: str) -> None:
        self._least = LEAST_SIMILARITY[language]
        topics = [answer for section in corpus.sections for answer in section.answers]
        counts = [_count(answer, language) for answer in topics]
        answers_with = Counter(feature for count in counts for feature in count)
        self._wordings = [answer.wordings[language] for answer in topics]
        self._weights = {feature: math.log(1 + len(topics) / n) for feature, n in answers_with.items()}
        self._vectors = [self._vector(count) for count in counts]
        self._by_title = {normalise(wording.title): wording.text for wording in self._wordings}

    def nearest(self, question: str, most: int = 3) -> list[Nearest]:
        """Return the nearest answers, nearest first; none where even that has hardly a word in common with it."""
        best = heapq.nlargest(most, self._compare(question), key=lambda found: found.similarity)
        return best if best[0].similarity >= self._least else []

    def likelihoods(self, question: str) -> dict[str, float]:
        """Return how likely each answer's text is, as far as its words tell; together 1."""
        weights = {found.text: math.exp(SHARPNESS * found.similarity) for found in self._compare(question)}
        total = sum(weights.values())
        return {text: weight / total for text, weight in weights.items()}

    def titled(self, question: str) -> str:
        """Return the answer that has this very question for its title; empty if none has."""
        return self._by_title.get(normalise(question), "")

    def _compare(self, question: str) -> list[Nearest]:
        asked = self._vector(Counter(_features(question[:MOST_CHARACTERS])))
        return [
            Nearest(wording.title, wording.text, sum(weight * vector.get(f, 0.0) for f, weight in asked.items()))
            for wording, vector in zip(self._wordings, self._vectors, strict=True)
        ]

    def _vector(self, counts: Counter[str]) -> Vector:
        # Features that no answer has count for the length: a question full of strange words is near to nothing.
        strange = math.log(1 + len(self._wordings))
        vector = {f: (1 + math.log(n)) * self._weights.get(f, strange) for f, n in counts.items()}
        length = math.sqrt(sum(weight * weight for weight in vector.values())) or 1.0
        return {feature: weight / length for feature, weight in vector.items()}


def language_of(question: str) -> str:
    """Return the language to answer in: Korean if there is a Korean letter, else English."""
    return "ko" if re.search(r"[ᄀ-ᇿ㄰-㆏가-힣]", question) else "en"


def unsure_answer(question: str) -> str:
    """Return what to say where nothing is likely enough: the nearest questions, or the refusal where none is near."""
    language = language_of(question)
    near = index(language).nearest(question)
    if not near:
        return refusal(language)
    return "\n".join([UNSURE[language], "", *(f"- {found.title}" for found in near)])


@cache
def refusal(language: str) -> str:
    """Return what is said to a question about something else."""
    return load_corpus().off_topic.wordings[language].text


@cache
def index(language: str) -> Index:
    """Return the index of the site's own corpus, made at the first call."""
    return Index(load_corpus(), language)


def words_of(question: str) -> list[str]:
    """Return the words of a question, as they are compared."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", question).casefold())


def _count(answer: Answer, language: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for question in answer.wordings[language].questions:
        # Once per question: a word that many questions of an answer have is typical of it.
        counts.update(set(_features(flatten(question))))
    return counts


def _features(question: str) -> Iterator[str]:
    for word in words_of(question):
        yield word
        yield from _runs(word)


def _runs(word: str) -> Iterator[str]:
    """Yield the runs of two to four letters, by which words of one stem are alike whatever follows."""
    padded = f"<{word}>"
    for size in (2, 3) if not word.isascii() else (3, 4):
        yield from (padded[i : i + size] for i in range(len(padded) - size + 1))
