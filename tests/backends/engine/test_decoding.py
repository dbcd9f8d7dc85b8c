from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.transformers.engine.decoding import AnswerText, Detokenizer
from backends.transformers.engine.stops import StopFilter
from tests.backends.tiny_models import make_tokenizer

TEXTS = ["안녕하세요 반갑습니다 🇰🇷", "👩‍👩‍👧‍👦 and 👋🏽!", "日本語のテキスト", "  def f(x):\n\treturn x\n"]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer().backend_tokenizer


def decode(tokenizer, ids):
    detokenizer = Detokenizer(tokenizer)
    return [*(detokenizer.push(id_) for id_ in ids), detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_it_works(tokenizer, text):
    pieces = decode(tokenizer, tokenizer.encode(text).ids)
    assert "".join(pieces) == text
    assert len([piece for piece in pieces if piece]) > 4  # it came in pieces
    assert not any("\ufffd" in piece for piece in pieces)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_any_text_comes_back(tokenizer, text):
    assert "".join(decode(tokenizer, tokenizer.encode(text).ids)) == text


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 299), max_size=60))
def test_any_tokens_give_whole_characters_with_little_delay(tokenizer, ids):
    pieces = decode(tokenizer, ids)
    assert not any("\ufffd" in piece for piece in pieces)
    for piece in pieces:
        piece.encode()


def test_an_answer_that_is_continued_goes_on_in_the_middle(tokenizer):
    ids = tokenizer.encode("Once upon a time there was").ids
    text = AnswerText(tokenizer, (), strip_start=False, begun=ids[:3])
    rest = "".join(text.push(id_) for id_ in ids[3:]) + text.finish()
    assert tokenizer.decode(ids[:3]) + rest == "Once upon a time there was"


def test_bytes_that_never_become_valid_do_not_silence_it(tokenizer):
    broken = tokenizer.encode("é").ids[:1] * 30
    pieces = decode(tokenizer, [*broken, *tokenizer.encode("still here").ids])
    assert "".join(pieces) == "still here"


def test_a_cut_character_at_the_end_is_left_out(tokenizer):
    ids = tokenizer.encode("ok 👋").ids
    assert "".join(decode(tokenizer, ids[:-1])) == "ok "


def test_special_tokens_are_not_shown(tokenizer):
    assert "".join(decode(tokenizer, [0, *tokenizer.encode("Hi").ids, 0])) == "Hi"


@given(data=st.data(), text=st.text("abUs:\n", max_size=40), stops=st.lists(st.text("abU:\n", min_size=1, max_size=5)))
def test_stops_that_straddle_pieces(data, text, stops):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    filter_ = StopFilter(stops)
    shown = "".join(filter_.feed(piece) for piece in pieces)
    whole = filter_.stopped
    shown += filter_.flush()
    first = min((text.find(stop) for stop in stops if stop in text), default=None)
    assert whole == (first is not None)
    if first is None:
        assert shown == text
    else:
        # A longer stop string that began earlier may have been cut off by a shorter one inside it.
        assert text.startswith(shown)
        assert not any(stop in shown for stop in stops)


def test_text_before_a_stop_is_held_no_longer_than_needed():
    filter_ = StopFilter(["\nUser:"])
    assert [filter_.feed(piece) for piece in ("Hello\n", "Us", "ed\nUse", "r: x", "y")] == [
        "Hello",
        "",
        "\nUsed",
        "",
        "",
    ]


def test_the_leading_space_of_the_plain_format_is_left_out(tokenizer):
    text = AnswerText(tokenizer, ["\nUser:"], strip_start=True)
    ids = tokenizer.encode(" \n Hi there\nUser: more").ids
    assert "".join(map(text.push, ids)) + text.finish() == "Hi there"
    assert text.stopped
