from __future__ import annotations

from guide.certainty import ALWAYS, Certainty, line_above, load_certainty, save_certainty


def test_it_works(tmp_path):
    certainty = Certainty(confidence_tokens=12, least_confidence=0.75)
    save_certainty(certainty, tmp_path)

    assert load_certainty(tmp_path) == certainty
    assert certainty.suffices(0.75)
    assert not certainty.suffices(0.74)


def test_without_a_file_everything_is_sure_enough(tmp_path):
    assert load_certainty(tmp_path) == ALWAYS
    assert ALWAYS.suffices(0.0)


def test_the_line_is_above_what_strayed():
    assert 0.6 < line_above([0.2, 0.6, 0.1]) < 0.7


def test_something_must_pass_the_line():
    assert line_above([1.0]) < 1.0
