"""What a follow-up need not read again."""

from __future__ import annotations

from dataclasses import replace

import torch

from backends import ChatMessage
from backends.transformers.engine.prefixes import WORTHWHILE, PrefixStore
from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps
from tests.backends.engine.conftest import Bench, ask, generate


def talk(bench, *, turns, user="alice"):
    """Return what the answers of a conversation cost to read, and its last request."""
    messages, read = [], []
    for turn in range(turns):
        messages.append(ChatMessage("user", f"Question {turn}?"))
        request = replace(ask(max_output_tokens=8, user=user), messages=tuple(messages))
        id_ = bench.submit(request)
        while "writing" not in bench.stages.get(id_, ()):
            bench.step()
        read.append((bench.answers[id_]._input_tokens, reads_of(bench)))
        bench.run()
        messages.append(ChatMessage("assistant", bench.texts[id_].strip() or "…"))
    return read, id_, request


def reads_of(bench):
    tokens, bench.steps.tokens_read = bench.steps.tokens_read, 0
    return tokens


class CountingSteps(Steps):
    tokens_read = 0

    def read(self, first, pieces, starts):
        self.tokens_read += sum(map(len, pieces))
        return super().read(first, pieces, starts)


def test_a_follow_up_reads_only_what_is_new(llama):
    bench = Bench(llama, steps=CountingSteps)
    read, id_, request = talk(bench, turns=5)
    whole, now = read[-1]
    assert now < whole / 2
    assert bench.written(id_) == generate(llama, request)


def test_without_memory_everything_is_read_again(llama):
    bench = Bench(llama, steps=CountingSteps, prefix_cache_mb=0)
    read, *_ = talk(bench, turns=4)
    assert all(whole == now for whole, now in read)


def test_users_share_nothing(llama):
    bench = Bench(llama, steps=CountingSteps)
    talk(bench, turns=3)
    read, *_ = talk(bench, turns=1, user="bob")
    assert read[0][0] == read[0][1]


def test_the_one_unused_for_longest_goes(gpt2):
    slots = Slots(gpt2.network, count=1, context=64)
    store = PrefixStore(slots, most_bytes=70 * slots.token_bytes)
    texts = [list(range(start, start + 30)) for start in (0, 100, 200)]
    store.save("a", texts[0], 0)
    store.save("a", texts[1], 0)
    assert store.restore("a", [*texts[0], 1], 0) == 30  # used again, so the other one is older
    store.save("a", texts[2], 0)
    assert [store.restore("a", [*text, 1], 0) for text in texts] == [30, 0, 30]
    assert store.bytes == 60 * slots.token_bytes


def test_what_is_continued_is_kept_once(gpt2):
    slots = Slots(gpt2.network, count=1, context=64)
    store = PrefixStore(slots, most_bytes=2**20)
    store.save("a", list(range(20)), 0)
    store.save("a", list(range(40)), 0)
    store.save("a", list(range(30)), 0)
    assert len(store) == 1
    assert store.restore("a", list(range(40)), 0) == 39  # the last token must be read


def test_little_and_too_much_are_not_kept(gpt2):
    slots = Slots(gpt2.network, count=1, context=64)
    store = PrefixStore(slots, most_bytes=20 * slots.token_bytes)
    store.save("a", list(range(WORTHWHILE - 1)), 0)
    store.save("a", list(range(21)), 0)
    assert len(store) == 0


def test_rows_come_back_as_they_were(gpt2):
    slots = Slots(gpt2.network, count=3, context=64)
    for layer in slots.cache.layers:
        layer.keys.normal_()
        layer.values.normal_()
    before = slots.save(0, 64), slots.save(1, 64)
    slots.swap(0, 1, 64)
    slots.move(0, 2, 64)
    for index, expected in ((1, before[0]), (0, before[1]), (2, before[1])):
        for (keys, values), (old_keys, old_values) in zip(slots.save(index, 64), expected, strict=True):
            assert torch.equal(keys, old_keys)
            assert torch.equal(values, old_values)
