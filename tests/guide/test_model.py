from __future__ import annotations

import pytest
import torch

from guide.corpus import LANGUAGES, load_corpus
from guide.evaluate import MODEL_DIR, Report, evaluate, load_guide

FLOOR = 0.70
OFF_TOPIC_FLOOR = 0.80


@pytest.fixture(scope="module")
def guide():
    return load_guide()


@pytest.fixture(scope="module")
def report(guide) -> Report:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return evaluate(guide, load_corpus())
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
    assert report.on_topic(language).share >= FLOOR, report.table()


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_refuses_other_questions(report, language):
    assert report.off_topic(language).share >= OFF_TOPIC_FLOOR, report.table()


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


def test_it_writes_its_answer_and_stops(guide):
    corpus = load_corpus()
    first = corpus.sections[0].answers[0].wordings["en"]

    assert guide.answer([first.title]) == [first.text]
