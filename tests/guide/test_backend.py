from __future__ import annotations

import pytest

from backends.base import ChatMessage, ChatRequest, Finish, Stage, TextDelta, Usage
from backends.transformers.backend import TransformersBackend
from backends.transformers.events import Confidence
from guide.backend import GuideBackend
from guide.certainty import Certainty
from guide.corpus import load_corpus
from guide.evaluate import MODEL_DIR
from guide.nearest import UNSURE

QUESTION = "How do I run the site?"
PARAPHRASE = "how does one run the site locally"


def ask(*messages: tuple[str, str]) -> ChatRequest:
    return ChatRequest(messages=tuple(ChatMessage(*message) for message in messages))


class Script:
    """Takes the place of the base's stream: says these events, and remembers whether it was closed."""

    def __init__(self, *events) -> None:
        self.events = events
        self.said = []
        self.is_closed = False

    async def __call__(self, backend, request):
        try:
            for event in self.events:
                self.said.append(event)
                yield event
        finally:
            self.is_closed = True


@pytest.fixture
def backend() -> GuideBackend:
    return GuideBackend(model=MODEL_DIR, device="cpu", temperature=0.0)


@pytest.fixture
def script(monkeypatch):
    def install(*events) -> Script:
        script = Script(*events)
        monkeypatch.setattr(TransformersBackend, "stream", lambda self, request: script(self, request))
        return script

    return install


def text_of(name: str) -> str:
    (known,) = [known for known in load_corpus().answers if known.name == name]
    return known.wordings["en"].text


async def answer(backend, request) -> list:
    return [event async for event in backend.stream(request)]


@pytest.fixture
def line(backend) -> Certainty:
    """A line that the tests know, whatever the newest training drew."""
    backend.certainty = Certainty(confidence_tokens=12, least={"en": 0.001, "ko": 0.001})
    return backend.certainty


async def test_it_works(backend, script, line):
    text = text_of("run")
    said = [Stage("reading"), TextDelta(text[:5]), TextDelta(text[5:]), Finish("stop", Usage(9, 30))]
    script(Confidence(0.99), *said)

    assert await answer(backend, ask(("user", QUESTION))) == said


@pytest.mark.parametrize("slip", [TextDelta(" in the poject folder."), Finish("stop", Usage(9, 14))])
async def test_where_the_model_slips_the_rest_is_taken_from_the_corpus(backend, script, line, slip):
    beginning = "Type `make run`"
    base = script(Confidence(0.99), TextDelta(beginning), slip, TextDelta("Worse."), Finish("stop"))

    *deltas, finish = await answer(backend, ask(("user", QUESTION)))

    assert deltas == [TextDelta(beginning), TextDelta(text_of("run").removeprefix(beginning))]
    assert finish.reason == "stop"
    assert finish.usage.output_tokens >= backend.certainty.confidence_tokens
    assert base.is_closed
    assert TextDelta("Worse.") not in base.said


async def test_what_ends_at_its_longest_stays_so(backend, script, line):
    said = [TextDelta("Type `make run`"), Finish("length", Usage(9, 14))]
    script(Confidence(0.99), *said)

    assert await answer(backend, ask(("user", QUESTION))) == said


async def test_a_model_that_says_nothing_is_helped_out(backend, script, line):
    script(Confidence(0.9), Finish("stop"))

    assert (await answer(backend, ask(("user", QUESTION))))[0] == TextDelta(text_of("run"))


async def test_below_the_line_it_lists_the_nearest_questions(backend, script):
    backend.certainty = Certainty(confidence_tokens=12, least={"en": 1.0})
    base = script(Stage("reading"), Confidence(0.4), TextDelta("Wrong."), TextDelta("Worse."), Finish("stop"))

    events = await answer(backend, ask(("user", "hi"), ("assistant", "Hello!"), ("user", PARAPHRASE)))

    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text.startswith(UNSURE["en"] + "\n\n- ")
    assert f"\n- {QUESTION}" in text
    assert text.count("\n- ") == 3
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "stop"
    assert events[-1].usage.input_tokens > 0
    assert events[-1].usage.output_tokens == backend.certainty.confidence_tokens
    assert base.is_closed
    assert TextDelta("Worse.") not in base.said


async def test_it_says_what_the_words_of_the_question_say_where_the_model_is_unsure(backend, script, line):
    base = script(Confidence(0.05), TextDelta("Press the moon button"), TextDelta("."), Finish("stop"))

    events = await answer(backend, ask(("user", "which port does the site run on")))

    assert events[0] == TextDelta(text_of("port"))
    assert isinstance(events[1], Finish)
    assert len(events) == 2
    assert base.is_closed


async def test_an_answer_that_goes_on_is_not_judged_again(backend, script, line):
    rest = [TextDelta("project folder."), Finish("stop")]
    script(*rest)
    request = ask(("user", QUESTION), ("assistant", "Type `make run` in the "))

    assert backend._complete(request).confidence_tokens == 0
    assert await answer(backend, request) == rest


async def test_a_question_off_its_list_is_answered_however_unsure(backend, script):
    backend.certainty = Certainty(confidence_tokens=12, least={"en": 1.0})
    script(Confidence(0.0), TextDelta("Wrong."), Finish("stop"))

    events = await answer(backend, ask(("user", QUESTION)))

    assert events[0] == TextDelta(text_of("run"))


async def test_it_may_refuse(backend, script):
    backend.certainty = Certainty(confidence_tokens=12)
    refusal = TextDelta(load_corpus().off_topic.wordings["en"].text)
    script(Confidence(0.999), refusal, Finish("stop"))

    assert await answer(backend, ask(("user", "Who painted the Mona Lisa?"))) == [refusal, Finish("stop")]


async def test_it_is_unsure_in_the_language_of_the_question(backend, script):
    backend.certainty = Certainty(confidence_tokens=12, least={"ko": 1.0})
    script(Confidence(0.0), TextDelta("Wrong."), Finish("stop"))

    events = await answer(backend, ask(("user", "사이트 실행은 어떻게")))

    assert events[0].text.startswith(UNSURE["ko"] + "\n\n- ")


async def test_where_nothing_is_near_it_refuses(backend, script, line):
    script(Confidence(0.2), TextDelta("Wrong."), Finish("stop"))

    events = await answer(backend, ask(("user", "zzyzx qwrtp")))

    assert events[0] == TextDelta(load_corpus().off_topic.wordings["en"].text)


async def test_closing_it_closes_the_base(backend, script):
    base = script(Confidence(1.0), TextDelta("Type `make run`"), TextDelta(" in"), Finish("stop"))

    stream = backend.stream(ask(("user", QUESTION)))
    assert await anext(stream) == TextDelta("Type `make run`")
    await stream.aclose()

    assert base.is_closed


def test_it_asks_for_the_confidence(backend):
    assert backend._complete(ask(("user", "hi"))).confidence_tokens == backend.certainty.confidence_tokens > 0


async def test_a_model_without_a_line_is_never_unsure(tmp_path, script):
    script(Confidence(0.0), TextDelta("Hello!"), Finish("stop"))
    backend = GuideBackend(model=tmp_path)

    assert backend._complete(ask(("user", "hi"))).confidence_tokens == 0
    assert await answer(backend, ask(("user", "hi"))) == [TextDelta("Hello!"), Finish("stop")]
