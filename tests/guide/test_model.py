from __future__ import annotations

import pytest
import torch

from guide.certainty import load_certainty
from guide.corpus import LANGUAGES, Example, load_corpus
from guide.evaluate import MODEL_DIR, Report, evaluate, load_guide

FLOOR = 0.85
"""Of the held-out questions about the site, in each language: the likeliest answer is the expected one, to the letter.
"""
GIVEN_FLOOR = 0.55
"""Of the same questions: it is sure enough to be given."""
WRONG_CEILING = 0.10
"""Of the same questions: a wrong one is."""


@pytest.fixture(scope="module")
def guide():
    return load_guide()


@pytest.fixture(scope="module")
def report(guide) -> Report:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return evaluate(guide, load_corpus().held_out())
    finally:
        torch.set_num_threads(threads)


def render(guide, *messages: tuple[str, str], prompt: bool = True) -> str:
    dialogue = [{"role": role, "content": content} for role, content in messages]
    return guide.tokenizer.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=prompt)


def test_the_weights_are_small_halves():
    assert (MODEL_DIR / "model.safetensors").stat().st_size <= 8_000_000


def test_it_is_a_gpt2_that_ends_with_its_own_token(guide):
    config = guide.model.config

    assert config.architectures == ["GPT2LMHeadModel"]
    assert config.n_positions == 512
    assert guide.tokenizer.eos_token == "<|end|>"
    assert config.eos_token_id == guide.model.generation_config.eos_token_id == guide.tokenizer.eos_token_id


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_answers_paraphrases_it_never_saw(report, language):
    score = report.on_topic(language)

    assert score.exact / score.asked >= FLOOR, report.table()
    assert score.share >= GIVEN_FLOOR, report.table()
    assert score.wrong / score.asked <= WRONG_CEILING, report.table()


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_answers_no_foreign_question_for_sure(report, language):
    score = report.off_topic(language)

    assert score.asked >= 30
    assert score.wrong == 0, report.table()


def test_its_line_is_beside_its_weights(guide):
    assert guide.certainty == load_certainty(MODEL_DIR)
    assert all(0 < guide.certainty.least[language] < 1 for language in LANGUAGES)


def test_answers_differ_within_the_tokens_that_decide(guide):
    texts = [wording.text for answer in load_corpus().answers for wording in answer.wordings.values()]
    beginnings = {tuple(guide.tokenizer.encode(text)[: guide.certainty.confidence_tokens]) for text in texts}

    assert len(beginnings) == len(texts)


def test_the_template_renders_the_newest_user_message_alone(guide):
    text = render(guide, ("system", "Be brief."), ("user", "hi"), ("assistant", "Hello!"), ("user", "How do I run it?"))

    assert text == "<|user|>How do I run it?<|assistant|>"


def test_the_template_leaves_the_answer_open_only_when_asked(guide):
    assert render(guide, ("user", "hi"), prompt=False) == "<|user|>hi"


def test_it_says_how_large_it_is(guide):
    millions = f"{guide.model.num_parameters() / 1e6:.1f}"
    texts = {answer.name: answer.wordings for answer in load_corpus().answers}["who"]

    assert f"{millions} million" in texts["en"].text
    assert f"{round(float(millions) * 100)}만 개" in texts["ko"].text


def test_answers_are_short(guide):
    texts = [wording.text for answer in load_corpus().answers for wording in answer.wordings.values()]

    assert max(len(guide.tokenizer.encode(text)) for text in texts) <= 75


def test_it_answers_the_questions_that_it_lists_when_it_is_unsure(guide):
    examples = [
        Example(language, answer.name, wording.title, wording.text)
        for answer in load_corpus().answers
        for language, wording in answer.wordings.items()
    ]

    missed = [outcome.example.question for outcome in evaluate(guide, examples).mistakes()]
    assert len(missed) <= 5, missed


def test_its_confidence_is_the_product_of_the_first_probabilities(guide):
    question = "which port"
    (begun,) = guide.begin([question])
    ids = guide.tokenizer.encode(render(guide, ("user", question)))
    first = guide.tokenizer.encode(begun.text)
    with torch.inference_mode():
        chances = guide.model(torch.tensor([ids + first])).logits[0].softmax(-1)
    expected = torch.stack([chances[len(ids) - 1 + i, token] for i, token in enumerate(first)]).prod().item()

    assert len(first) == guide.certainty.confidence_tokens
    assert begun.confidence == pytest.approx(expected, abs=1e-3)
