"""Messages as people and models write them: half English, half Korean with English words, most short and some long."""

# ruff: noqa: SIM905 - words are easier to read without their quotes

from __future__ import annotations

import random
from itertools import accumulate

ENGLISH = """
the of and to a in is that it for you with as on be are this can or by not have from an at your if which will more
use one all when there was has we but how what so about out up they other into some could time no make data code
file value function class error server database query message index table column user search program system
""".split()
KOREAN = """
이 그 저 것 수 등 및 기록 저장 검색 생성 대화 사용 서버 데이터 오류 함수 값 코드 파일 시간 문제 방법 설정 질문 답변
전문검색 목록 화면 사용자 결과 문서
""".split()
PARTICLES = "은 는 이 가 을 를 에 에서 으로 로 의 와 과 도 만 하고 합니다 했습니다 하는 하면".split()
ONSETS = "b c d f g h j k l m n p r s t v w st tr pr ch sh pl br gr cl".split()
VOWELS = "a e i o u ai ea ou io".split()
CODAS = ["", "", "n", "r", "s", "t", "l", "m", "nd", "st", "ck", "ng"]


class Writer:
    """Writes messages, the same ones for the same seed; words are as unequally common as in a language."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._english = [*ENGLISH, *self._words(30_000, self._english_syllable, (1, 2, 2, 3, 3, 4))]
        syllables = [chr(0xAC00 + number) for number in self._random.sample(range(11_172), 900)]
        common = syllables[:300]
        self._korean = [
            *KOREAN,
            *self._words(
                20_000,
                lambda: self._random.choice(common if self._random.random() < 0.8 else syllables),
                (1, 2, 2, 2, 3, 3, 4),
            ),
        ]
        self._english_weights = _weights(len(self._english))
        self._korean_weights = _weights(len(self._korean))

    def message(self) -> str:
        """Return a message: 50 words in the middle, 4,000 at most."""
        return self._text(int(min(4000, max(3, self._random.lognormvariate(3.9, 1.0)))))

    def title(self) -> str:
        return self._text(self._random.randint(2, 8))[:60]

    def _text(self, length: int) -> str:
        if self._random.random() < 0.5:
            return " ".join(self._random.choices(self._english, cum_weights=self._english_weights, k=length))
        words = [
            word + (self._random.choice(PARTICLES) if self._random.random() < 0.6 else "")
            for word in self._random.choices(self._korean, cum_weights=self._korean_weights, k=length)
        ]
        for _ in range(length // 12):
            at = self._random.randrange(length)
            words[at] = self._random.choices(self._english, cum_weights=self._english_weights)[0]
        return " ".join(words)

    def _words(self, count, syllable, lengths) -> list[str]:
        words: dict[str, None] = {}
        while len(words) < count:
            words["".join(syllable() for _ in range(self._random.choice(lengths)))] = None
        return list(words)

    def _english_syllable(self) -> str:
        return self._random.choice(ONSETS) + self._random.choice(VOWELS) + self._random.choice(CODAS)


def _weights(count: int) -> list[float]:
    """Return Zipf's law, added up."""
    return list(accumulate(1 / (rank + 2.7) ** 1.05 for rank in range(count)))
