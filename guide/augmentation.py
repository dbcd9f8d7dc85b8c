"""Small changes to a question that leave its meaning alone, so that training hardly sees the same line twice."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence

Swap = tuple[re.Pattern[str], Sequence[str]]


def _swap(pattern: str, *others: str) -> Swap:
    return re.compile(pattern, re.IGNORECASE), others


OPENERS = {
    "en": (
        "please ",
        "hey, ",
        "hi, ",
        "hello, ",
        "quick question: ",
        "sorry, ",
        "ok, ",
        "so ",
        "and ",
        "please tell me: ",
        "I have a question: ",
        "I am new here. ",
        "I'm wondering, ",
        "can you help me? ",
        "one more thing: ",
        "my boss asks: ",
        "sorry to bother you, ",
        "I don't understand, ",
    ),
    "ko": (
        "질문인데 ",
        "저기요, ",
        "혹시 ",
        "안녕하세요, ",
        "그런데 ",
        "저 ",
        "음 ",
        "궁금한 게 있는데 ",
        "잠깐만요 ",
        "그럼 ",
        "처음 써 보는데 ",
        "잘 몰라서 그러는데 ",
        "하나만 더요, ",
        "죄송하지만 ",
        "도와주세요, ",
        "회사에서 쓰는데 ",
        "급한데 ",
        "아무리 찾아도 없네요. ",
    ),
}
ENDINGS = {
    "en": (" please", " thanks", " here", ", can you help?", ", I don't know how", ", any idea?"),
    "ko": (" 알려줘", " 알려 주세요", " 궁금해요", " 부탁드려요", " 잘 모르겠어요", " 아시나요?", " 도와주세요"),
}

SWAPS: dict[str, tuple[Swap, ...]] = {
    "en": (
        _swap(
            r"^(how (do|can|could|would|should) (i|we|you)|how to|can (i|we|you)|is there a way to|what do i do to)\b",
            "how do I",
            "how can I",
            "how do you",
            "how to",
            "can I",
            "how could we",
            "is there a way to",
            "I want to",
            "I would like to",
            "what is the way to",
            "what must I do to",
            "show me how to",
            "is it possible to",
            "we need to",
            "explain how to",
            "tell me how to",
            "what steps are needed to",
            "i need to",
            "could you tell me how to",
        ),
        _swap(
            r"^(where (is|are)|where do i find|where can i find)\b",
            "where is",
            "where do I find",
            "where can I see",
            "how do I find",
        ),
        _swap(
            r"^(what is|what's|what are|what does)\b",
            "what is",
            "what's",
            "explain",
            "tell me about",
            "what exactly is",
        ),
        _swap(r"\b(site|website)\b", "site", "website", "web site", "app"),
        _swap(r"\banswer\b", "answer", "reply", "response"),
        _swap(r"\bconversation\b", "conversation", "chat"),
        _swap(r"\b(change|modify)\b", "change", "modify", "set", "edit", "switch"),
        _swap(r"\b(delete|remove)\b", "delete", "remove", "erase"),
        _swap(r"\b(create|make(?! (run|test|check|guide|help|target|command))|add)\b", "create", "make", "add"),
        _swap(r"\b(admin|administrator)\b", "admin", "administrator"),
        _swap(r"\b(launch|start|(?<!make )run)\b", "run", "start", "launch"),
        _swap(r"\b(show|see|view)\b", "show", "see", "view"),
        _swap(r"\b(set up|configure)\b", "set up", "configure"),
        _swap(r"\b(does not|doesn't|isn't)\b", "doesn't", "does not", "doesnt"),
    ),
    "ko": (
        _swap(
            r"(은|는|을|를|이|가)? ?어떻게 (하나요|해요|하죠|합니까|해)\??$",
            " 어떻게 하나요?",
            " 어떻게 해요",
            "는 어떻게 하죠?",
            " 어떻게 해",
            "는 법",
            " 방법",
            " 방법이 뭔가요?",
            "는 방법 알려줘",
            " 어떻게 해야 하나요?",
            " 어떻게 해야 돼?",
        ),
        _swap(
            r"(하는|하려는)? ?(법|방법)( 알려 ?줘| 알려 주세요)?$",
            "하는 법",
            " 방법",
            "하는 방법 알려 주세요",
            " 방법이 뭐예요?",
            " 방법 좀",
        ),
        _swap(
            r"(하려면|려면)\??$",
            "려면?",
            "려면 어떻게 해요?",
            "려면 어떻게 하나요?",
            "려면 뭘 해야 하나요?",
            "고 싶어요",
        ),
        _swap(
            r"(뭔가요|뭐예요|뭐야|무엇인가요|뭐죠)\??$",
            "뭔가요?",
            "뭐예요",
            "뭐야?",
            "무엇인가요?",
            "뭐죠",
            "무엇입니까?",
            "뭐에요?",
        ),
        _swap(
            r"할 수 있(나요|어요|어|습니까)\??$",
            "할 수 있나요?",
            "할 수 있어요?",
            "할 수 있어?",
            "할 수 있는지 궁금해요",
            " 가능한가요?",
            " 가능해?",
        ),
        _swap(r"고 싶(어요|습니다|어)$", "고 싶어요", "고 싶습니다", "고 싶은데요", "려면?", "고 싶어", "려고 해요"),
        _swap(r"나요\??$", "나요?", "나요", "는지 궁금합니다", "는지 알려 주세요", "니?", "는지요?"),
        _swap(
            r"(고 싶(?:어요|습니다|은데요|어)|려면\??)$",
            "고 싶은데 어떻게 해요?",
            "고 싶은데요",
            "려고 하는데요",
            "려면요?",
        ),
        _swap(r"되나요\??$", "되나요?", "되나", "될까요?", "돼요?", "됩니까?", "되는지 알고 싶어요"),
        _swap(r"있(나요|어요|어)\??$", "있나요?", "있어요?", "있을까요?", "있습니까?", "있어?", "있죠?"),
        _swap(r"하나요\??$", "하나요?", "하죠?", "해야 하죠?", "할까요?", "합니까?", "하면 되나요?"),
        _swap(r"어떻게", "어떻게", "어케", "어떻게"),
        _swap(r"어디(에서|서|에)", "어디서", "어디에서", "어디에"),
        _swap(r"(웹)?사이트", "사이트", "웹사이트", "홈페이지"),
        _swap(r"비밀번호|비번", "비밀번호", "비번", "패스워드", "암호"),
        _swap(r"답변|답(?=[을이은 ])", "답변", "답", "응답"),
        _swap(r"관리자", "관리자", "어드민"),
        _swap(r"어시스턴트", "어시스턴트", "assistant", "어시스턴트"),
        _swap(r"(변경|수정)", "변경", "수정"),
        _swap(r"삭제", "삭제", "제거"),
        _swap(r"(가이드|안내 도우미)", "가이드", "안내 도우미", "도우미"),
    ),
}
PARTICLES = re.compile(r"(?<=[가-힣])(은|는|을|를|이|가|에서|에|으로|로|의)(?= )")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


CHOICE = re.compile(r"\[([^\[\]]*)\]")
"""``[the|a|]`` in a question: one of these, or nothing."""


def expand(question: str, rng: random.Random) -> str:
    """Return the question with one of the alternatives wherever it has ``[these|or those]``."""
    return _tidy(CHOICE.sub(lambda match: rng.choice(match[1].split("|")), question))


def flatten(question: str) -> str:
    """Return the words of the question, those of all its alternatives included."""
    return _tidy(CHOICE.sub(lambda match: match[1].replace("|", " "), question))


def count(question: str) -> int:
    """Return how many questions ``expand`` can make of this one."""
    return math.prod(match.count("|") + 1 for match in CHOICE.findall(question))


def vary(question: str, language: str, rng: random.Random) -> str:
    """Return the question as another person could have typed it; about one time in eight, as it stands."""
    if rng.random() < 0.12:
        return question
    for pattern, others in SWAPS[language]:
        if rng.random() < 0.4:
            question = pattern.sub(rng.choice(others), question, count=1)
    question = _frame(question, language, rng)
    if language == "ko":
        question = _loosen_korean(question, rng)
    elif rng.random() < 0.12:
        question = _drop_word(question, rng)
    if rng.random() < 0.35:
        question = _thin_out(question, rng)
    if rng.random() < 0.15:
        question = _mistype(question, rng)
    return _punctuate(question, rng)


def _tidy(question: str) -> str:
    return re.sub(r"\s+([,?!.])", r"\1", " ".join(question.split()))


def _frame(question: str, language: str, rng: random.Random) -> str:
    if rng.random() < 0.2:
        question = rng.choice(OPENERS[language]) + question
    if rng.random() < 0.1:
        question = question.rstrip(" ?!.") + rng.choice(ENDINGS[language])
    return question


def _loosen_korean(question: str, rng: random.Random) -> str:
    if rng.random() < 0.25:
        question = PARTICLES.sub(lambda match: "" if rng.random() < 0.5 else match[0], question)
    if rng.random() < 0.15:
        question = re.sub(r"(?<=[가-힣]) (?=[가-힣])", lambda _: "" if rng.random() < 0.4 else " ", question)
    return question


def _drop_word(question: str, rng: random.Random) -> str:
    words = question.split(" ")
    small = [
        i for i, word in enumerate(words) if word.lower() in {"the", "a", "an", "my", "this", "do", "of", "is", "i"}
    ]
    if small and len(words) > 2:
        del words[rng.choice(small)]
    return " ".join(words)


def _thin_out(question: str, rng: random.Random) -> str:
    """Leave out some of the words: which answer it is must not hang on one of them."""
    words = question.split(" ")
    share = rng.choice((0.1, 0.2, 0.35))
    return " ".join([word for word in words if rng.random() >= share] or [rng.choice(words)])


def _mistype(question: str, rng: random.Random) -> str:
    if len(question) < 5:
        return question
    at = rng.randrange(1, len(question) - 1)
    before, here, after = question[:at], question[at], question[at + 1 :]
    kind = rng.randrange(4)
    if kind == 0:
        return before + after
    if kind == 1:
        return before + after[0] + here + after[1:]
    if kind == 2:
        return before + here + here + after
    return before + (rng.choice(LETTERS) if here.isascii() else here) + after


def _punctuate(question: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        question = question.lower() if rng.random() < 0.7 else question[:1].upper() + question[1:]
    if rng.random() < 0.5:
        question = question.rstrip(" ?!.") + rng.choice(("", "", "?", "?", ".", "!", "??", " ?"))
    return question.strip()
