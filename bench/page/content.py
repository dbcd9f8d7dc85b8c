"""Markdown as models write it: sentences, lists, code, tables and Korean, from a seed and as long as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

_ENGLISH = (
    "a queue keeps each request in order while the server reads what the client wrote and the worker sends one answer "
    "back as soon as there is enough memory for it so that nobody waits longer than the slowest of their own readers"
)
_KOREAN = (
    "서버는 요청을 받은 순서대로 처리하고 답변을 기다리는 동안 화면에 지금까지의 글을 보여 줍니다 사용자가 창을 닫아도 "
    "작업은 계속되며 데이터베이스에 저장된 내용은 언제든지 다시 볼 수 있습니다"
)
WORDS, KOREAN_WORDS = _ENGLISH.split(), _KOREAN.split()
CODE = '''def take(queue, limit={number}):
    """Return up to ``limit`` requests, the oldest first."""
    taken = []
    while queue and len(taken) < limit:
        request = queue.popleft()
        if not request.is_cancelled:
            taken.append(request)
    return taken
'''
SQL = "SELECT owner_id, count(*) AS answers\nFROM message\nWHERE id > {number}\nGROUP BY owner_id;\n"


def _sentence(random: Random, words: list[str], length: int) -> str:
    chosen = random.choices(words, k=length)
    chosen[length // 2] = random.choice(("**{}**", "`{}`", "*{}*", "{}")).format(chosen[length // 2])
    return (" ".join(chosen) + ".").capitalize()


def _paragraph(random: Random, words: list[str]) -> str:
    return " ".join(_sentence(random, words, random.randint(8, 16)) for _ in range(random.randint(2, 4)))


def _list(random: Random, words: list[str]) -> str:
    mark = random.choice(("- ", "1. "))
    return "\n".join(mark + _sentence(random, words, 7) for _ in range(random.randint(3, 6)))


def _table(random: Random, words: list[str]) -> str:
    rows = [f"| {random.choice(words)} | {random.random():.3f} | {_sentence(random, words, 4)} |" for _ in range(5)]
    return "\n".join(["| name | share | what it is |", "| --- | ---: | --- |", *rows])


def _code(random: Random, words: list[str]) -> str:
    language, text = random.choice((("python", CODE), ("sql", SQL)))
    return f"```{language}\n{text.format(number=random.randint(1, 999))}```"


def question(random: Random) -> str:
    """Return what a person may ask; every fourth one in Korean."""
    return _sentence(random, KOREAN_WORDS if random.random() < 0.25 else WORDS, random.randint(6, 20))


def answer(random: Random, size: int) -> str:
    """Return an answer of about so many bytes."""
    words = KOREAN_WORDS if random.random() < 0.25 else WORDS
    parts = [_paragraph(random, words)]
    written = len(parts[0].encode())
    while written < size:
        kinds = (_paragraph, _paragraph, _list, _table, _code)
        part = random.choice(kinds)(random, words)
        if random.random() < 0.2:
            part = f"## {_sentence(random, words, 4)}\n\n{part}"
        parts.append(part)
        written += len(part.encode()) + 2
    return "\n\n".join(parts)


def dialogue(messages: int, size: int, seed: int = 5) -> Iterator[str]:
    """Yield so many messages of about so many bytes in all: a question, its answer, a question…"""
    random = Random(seed)
    pairs = messages // 2
    written = 0
    for number in range(pairs):
        asked = question(random)
        yield asked
        written += len(asked.encode())
        # What earlier ones had too much, later ones have less.
        wanted = max((size * (number + 1)) // pairs - written, 200)
        said = answer(random, int(wanted * 0.82))
        yield said
        written += len(said.encode())
