from __future__ import annotations

from pathlib import Path

import pytest

from guide.augmentation import CHOICE, count
from guide.corpus import LANGUAGES, CorpusError, load_corpus, normalise
from guide.faq import FAQ_FILE, faq
from guide.train import Plan, Rows, build_tokenizer

ENTRY = """
title = {{ en = "Title", ko = "제목" }}
[[answer]]
name = "{name}"
[answer.en]
text = "Yes."
questions = ["{name} one?"]
development = ["{name} three?"]
held_out = ["{held_out}"]
[answer.ko]
text = "네."
questions = ["{name} 하나?"]
development = ["{name} 셋?"]
held_out = ["{name} 둘?"]
"""


def write(folder: Path, name: str, held_out: str) -> None:
    (folder / f"{name}.toml").write_text(ENTRY.format(name=name, held_out=held_out), encoding="utf-8")


def test_it_works():
    corpus = load_corpus()

    assert len(corpus.answers) >= 75
    assert corpus.off_topic not in [answer for section in corpus.sections for answer in section.answers]


def test_the_splits_are_disjoint():
    corpus = load_corpus()
    training, development, held_out = (
        {normalise(example.question) for example in split}
        for split in (corpus.training(), corpus.development(), corpus.held_out())
    )

    assert not training & held_out
    assert not training & development
    assert not development & held_out


def test_training_never_sees_a_question_of_the_other_splits():
    corpus = load_corpus()
    kept_back = {normalise(example.question) for example in (*corpus.development(), *corpus.held_out())}
    rows = Rows(corpus, build_tokenizer(corpus, Plan()), Plan())

    assert not {normalise(rows.question(example)) for _ in range(3) for example in corpus.training()} & kept_back


def test_a_question_belongs_to_one_answer():
    corpus = load_corpus()
    examples = (*corpus.training(), *corpus.development(), *corpus.held_out())
    questions = [normalise(example.question) for example in examples]

    assert len(questions) == len(set(questions))


def test_every_answer_is_there_in_both_languages():
    for answer in load_corpus().answers:
        assert set(answer.wordings) == set(LANGUAGES)
        for wording in answer.wordings.values():
            assert sum(min(4, count(question)) for question in wording.questions) >= 20, answer.name
            assert len(wording.development) >= 2, answer.name
            assert len(wording.held_out) >= 3, answer.name


def test_titles_are_plain_and_alternatives_complete():
    for example in load_corpus().training():
        assert not set(CHOICE.sub("", example.question)) & set("[]|"), example
    for answer in load_corpus().answers:
        for wording in answer.wordings.values():
            assert count(wording.title) == 1, wording.title


def test_many_off_topic_questions_are_held_out():
    for wording in load_corpus().off_topic.wordings.values():
        assert len(wording.held_out) >= 30
        assert len(wording.development) >= 30


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
