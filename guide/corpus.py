"""The questions and answers the guide is trained on, read from guide/corpus/*.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS_DIR = Path(__file__).parent / "corpus"
LANGUAGES = ("en", "ko")

OFF_TOPIC = "off-topic"
"""Name of the answer that refuses; it stands alone in off-topic.toml and is left out of the FAQ."""


class CorpusError(ValueError):
    """A corpus file says something the guide cannot be trained on."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One answer in one language, with the questions that lead to it."""

    text: str
    questions: tuple[str, ...]
    """What training sees. ``[the|a|]`` in a question stands for one of these; the first question has none of that."""
    development: tuple[str, ...]
    """Paraphrases that training never sees; the least confidence is chosen by them."""
    held_out: tuple[str, ...]
    """Paraphrases that neither training nor any choice sees; only the evaluation asks them."""

    @property
    def title(self) -> str:
        """Return the question that stands above this answer in the FAQ."""
        return self.questions[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing the guide knows, in every language."""

    name: str
    wordings: Mapping[str, Wording]


@dataclass(frozen=True, slots=True)
class Section:
    """The answers of one corpus file, under one heading of the FAQ."""

    name: str
    titles: Mapping[str, str]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the answer it should get, and where it belongs."""

    language: str
    answer: str
    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything the guide is trained and evaluated on."""

    sections: tuple[Section, ...]
    off_topic: Answer

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Return every answer, the refusal last."""
        return (*(answer for section in self.sections for answer in section.answers), self.off_topic)

    def training(self) -> tuple[Example, ...]:
        """Return the questions the model may learn from."""
        return tuple(self._examples("questions"))

    def development(self) -> tuple[Example, ...]:
        """Return the questions by which the least confidence is chosen."""
        return tuple(self._examples("development"))

    def held_out(self) -> tuple[Example, ...]:
        """Return the questions that only the evaluation asks."""
        return tuple(self._examples("held_out"))

    def _examples(self, field: str) -> Iterator[Example]:
        for answer in self.answers:
            for language, wording in answer.wordings.items():
                for question in getattr(wording, field):
                    yield Example(language, answer.name, question, wording.text)


def normalise(question: str) -> str:
    """Return the question without what paraphrases may differ in trivially: case, spacing and punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", question).casefold())


def load_corpus(folder: Path = CORPUS_DIR) -> Corpus:
    """Return the corpus in the folder, checked: no question is written twice, whichever split or answer it is in."""
    sections = tuple(_read_section(path) for path in sorted(folder.glob("*.toml")))
    refusals = [section for section in sections if section.name.endswith(OFF_TOPIC)]
    if len(refusals) != 1 or len(refusals[0].answers) != 1:
        raise CorpusError(f"{folder}: expected one file named {OFF_TOPIC}.toml with one answer")
    topics = tuple(section for section in sections if section is not refusals[0])
    corpus = Corpus(sections=topics, off_topic=refusals[0].answers[0])
    _check_unique(corpus)
    return corpus


def _read_section(path: Path) -> Section:
    with path.open("rb") as file:
        data = tomllib.load(file)
    answers = tuple(_read_answer(path, entry) for entry in data["answer"])
    return Section(name=path.stem, titles={lang: data["title"][lang] for lang in LANGUAGES}, answers=answers)


def _read_answer(path: Path, entry: dict[str, Any]) -> Answer:
    try:
        wordings = {
            lang: Wording(
                text=entry[lang]["text"],
                questions=tuple(entry[lang]["questions"]),
                development=tuple(entry[lang]["development"]),
                held_out=tuple(entry[lang]["held_out"]),
            )
            for lang in LANGUAGES
        }
    except KeyError as e:
        raise CorpusError(f"{path.name}: the answer {entry.get('name')!r} lacks {e}") from e
    return Answer(name=entry["name"], wordings=wordings)


def _check_unique(corpus: Corpus) -> None:
    seen: dict[str, str] = {}
    for example in (*corpus.training(), *corpus.development(), *corpus.held_out()):
        key = normalise(example.question)
        if key in seen:
            raise CorpusError(f"{example.question!r} is written twice: in {seen[key]} and in {example.answer}")
        seen[key] = example.answer
    names = [answer.name for answer in corpus.answers]
    if len(names) != len(set(names)):
        raise CorpusError("two answers have the same name")
