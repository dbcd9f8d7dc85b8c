from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from backends.transformers.engine.waiting import WaitingRoom


@dataclass
class Asker:
    user: str


def room(*users):
    waiting = WaitingRoom()
    for key, user in enumerate(users):
        waiting.add(key, Asker(user))
    return waiting


def test_users_take_turns():
    assert room("a", "a", "a", "b", "c", "b").order({}) == [0, 3, 4, 1, 5, 2]


def test_who_has_none_in_hand_goes_first():
    assert room("a", "b").order({"a": 2}) == [1, 0]


def test_news_are_told_once():
    waiting = room("a", "b")
    assert waiting.news({}) == [(0, 1), (1, 2)]
    assert waiting.news({}) == []
    waiting.remove(0)
    assert waiting.news({}) == [(1, 1)]


def test_with_one_slot_users_take_turns_as_well():
    waiting = room("a", "a", "a", "b", "b")
    assert [waiting.serve({}).user for _ in range(5)] == ["a", "b", "a", "b", "a"]


@given(users=st.lists(st.sampled_from("abcd"), max_size=30), slots=st.integers(1, 4), ends=st.randoms())
def test_nobody_gets_another_one_while_somebody_has_fewer(users, slots, ends):
    waiting = room(*users)
    writing: list[str] = []
    while len(waiting):
        in_hand = Counter(writing)
        others = {users[key] for key in waiting.keys()}  # noqa: SIM118 - no dictionary
        served = waiting.serve(in_hand).user
        assert in_hand[served] == min(in_hand[user] for user in others)
        writing.append(served)
        if len(writing) >= slots:
            writing.pop(ends.randrange(len(writing)))


@given(users=st.lists(st.sampled_from("abc"), max_size=20))
def test_a_users_own_keep_their_order(users):
    order = room(*users).order({})
    for user in "abc":
        mine = [key for key in order if users[key] == user]
        assert mine == sorted(mine)
