from __future__ import annotations

from pathlib import Path

import pytest

from guide.corpus import LANGUAGES, CorpusError, load_corpus, normalise
from guide.faq import FAQ_FILE, faq

ENTRY = """
title = {{ en = "Title", ko = "제목" }}
[[answer]]
name = "{name}"
[answer.en]
text = "Yes."
questions = ["{name} one?"]
held_out = ["{held_out}"]
[answer.ko]
text = "네."
questions = ["{name} 하나?"]
held_out = ["{name} 둘?"]
"""


def write(folder: Path, name: str, held_out: str) -> None:
    (folder / f"{name}.toml").write_text(ENTRY.format(name=name, held_out=held_out), encoding="utf-8")


def test_it_works():
    corpus = load_corpus()

    assert len(corpus.answers) >= 60
    assert corpus.off_topic not in [answer for section in corpus.sections for answer in section.answers]


def test_training_and_held_out_questions_are_disjoint():
    corpus = load_corpus()
    training = {normalise(example.question) for example in corpus.training()}
    held_out = {normalise(example.question) for example in corpus.held_out()}

    assert not training & held_out


def test_a_question_belongs_to_one_answer():
    corpus = load_corpus()
    questions = [normalise(example.question) for example in (*corpus.training(), *corpus.held_out())]

    assert len(questions) == len(set(questions))


def test_every_answer_is_there_in_both_languages():
    for answer in load_corpus().answers:
        assert set(answer.wordings) == set(LANGUAGES)
        for wording in answer.wordings.values():
            assert len(wording.questions) >= 10, answer.name
            assert len(wording.held_out) >= 2, answer.name


def test_many_off_topic_questions_are_held_out():
    for wording in load_corpus().off_topic.wordings.values():
        assert len(wording.held_out) >= 30


def test_korean_answers_are_korean():
    for answer in load_corpus().answers:
        assert any("가" <= letter <= "힣" for letter in answer.wordings["ko"].text), answer.name
        assert not any("가" <= letter <= "힣" for letter in answer.wordings["en"].text), answer.name


def test_the_faq_is_in_sync():
    assert FAQ_FILE.read_text(encoding="utf-8") == faq(load_corpus()), "run `python -m guide.faq`"


def test_it_rejects_a_held_out_question_that_is_trained(tmp_path):
    write(tmp_path, "off-topic", held_out="Other?")
    write(tmp_path, "topic", held_out="  TOPIC one")

    with pytest.raises(CorpusError, match="written twice"):
        load_corpus(tmp_path)


def test_it_rejects_a_missing_language(tmp_path):
    write(tmp_path, "off-topic", held_out="Other?")
    (tmp_path / "half.toml").write_text('title = {en = "a", ko = "b"}\n[[answer]]\nname = "half"\n', encoding="utf-8")

    with pytest.raises(CorpusError, match="half"):
        load_corpus(tmp_path)
