"""Write docs/faq.md, the guide's questions and answers for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from guide.corpus import LANGUAGES, Corpus, load_corpus

FAQ_FILE = Path(__file__).parent.parent / "docs" / "faq.md"

TITLES = {"en": "Frequently asked questions", "ko": "자주 묻는 질문"}


def faq(corpus: Corpus) -> str:
    """Return the FAQ as markdown: English first, then Korean, by section."""
    lines = ["<!-- Generated from guide/corpus by `make guide`; edit there. -->", ""]
    for language in LANGUAGES:
        lines += _faq_in(corpus, language)
    return "\n".join(lines)


def _faq_in(corpus: Corpus, language: str) -> Iterator[str]:
    yield from (f"# {TITLES[language]}", "")
    if language == "en":
        yield from ("Generated from `guide/corpus` by `make guide`. 한국어는 아래에 있습니다.", "")
    for section in corpus.sections:
        yield from (f"## {section.titles[language]}", "")
        for answer in section.answers:
            wording = answer.wordings[language]
            yield from (f"**{wording.title}**", "", wording.text, "")


def write_faq(corpus: Corpus) -> None:
    """Write the FAQ of the corpus to docs/faq.md."""
    FAQ_FILE.write_text(faq(corpus), encoding="utf-8")


if __name__ == "__main__":
    write_faq(load_corpus())
