"""Ask the guide the questions that training never saw, and count right, unsure and wrong answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from guide.certainty import Certainty, Guess, guess, load_certainty
from guide.corpus import LANGUAGES, OFF_TOPIC, Example, load_corpus
from guide.nearest import UNSURE, unsure_answer

MODEL_DIR = Path(__file__).parent / "model"
BATCH = 256


@dataclass(frozen=True, slots=True)
class Beginning:
    """How the model begins its answer, and how sure it is of that."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Guide:
    """A checkpoint that can be asked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    certainty: Certainty

    def begin(self, questions: Sequence[str]) -> list[Beginning]:
        """Return the greedy beginning of the answer to each question, as far as it decides, in the order asked."""
        order = sorted(range(len(questions)), key=lambda i: len(questions[i].encode()))
        beginnings: dict[int, Beginning] = {}
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            begun = self._begin_batch([questions[i] for i in chosen])
            beginnings.update(zip(chosen, begun, strict=True))
        return [beginnings[i] for i in range(len(questions))]

    def _begin_batch(self, questions: Sequence[str]) -> list[Beginning]:
        prompts = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
            )
            for question in questions
        ]
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        with torch.inference_mode():
            output = self.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self.certainty.confidence_tokens,
                return_dict_in_generate=True,
                output_logits=True,
            )
        new = output.sequences[:, inputs["input_ids"].shape[1] :]
        # Without the part of a character that the next token completes, as the engine says it.
        texts = [text.rstrip("\ufffd") for text in self.tokenizer.batch_decode(new, skip_special_tokens=True)]
        return [Beginning(*begun) for begun in zip(texts, self._confidences(new, output.logits), strict=True)]

    def _confidences(self, new: Tensor, logits: Sequence[Tensor]) -> list[float]:
        """Return the product of the probabilities of each answer's first tokens, its end included."""
        chances = torch.stack(tuple(logits), dim=1).softmax(-1).gather(-1, new.unsqueeze(-1)).squeeze(-1)
        is_end = new == self.tokenizer.eos_token_id
        is_after_end = is_end.cumsum(1) - is_end.long() > 0
        confidences: list[float] = chances.masked_fill(is_after_end, 1.0).prod(1).tolist()
        return confidences


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question with what the guide said to it."""

    example: Example
    best: Guess
    """The likeliest answer, which the site would give if it were never unsure."""
    certainty: Certainty

    @property
    def is_exact(self) -> bool:
        """Tell whether that is the expected one."""
        return self.best.text == self.example.text

    @property
    def reply(self) -> str:
        """Return what the site says."""
        return self.best.text if self.certainty.suffices(self.best) else unsure_answer(self.example.question)

    @property
    def is_right(self) -> bool:
        """Tell whether the site says what was expected."""
        return self.reply == self.example.text

    @property
    def is_unsure(self) -> bool:
        """Tell whether the site lists the nearest questions."""
        return not self.is_right and self.reply.startswith(tuple(UNSURE.values()))


@dataclass(frozen=True, slots=True)
class Score:
    """How many of the questions were answered rightly (or refused, as they ought to be), left open, or wrongly."""

    right: int
    unsure: int
    wrong: int
    exact: int
    """Right if the likeliest answer were always given, however unsure."""

    @property
    def asked(self) -> int:
        """Return the number of questions."""
        return self.right + self.unsure + self.wrong

    @property
    def share(self) -> float:
        """Return the right ones as a part of 1."""
        return self.right / self.asked if self.asked else 0.0

    def cells(self) -> list[str]:
        """Return the figures as texts."""
        shares = (self.right, self.unsure, self.wrong, self.exact)
        return [str(self.asked), *(f"{n} ({n / self.asked:.1%})" if self.asked else "0" for n in shares)]


COLUMNS = ("", "asked", "right", "unsure", "wrong", "right if always given")


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of an evaluation."""

    outcomes: tuple[Outcome, ...]

    def on_topic(self, language: str) -> Score:
        """Return the score of the questions about the site."""
        return _score([o for o in self.outcomes if o.example.language == language and not _is_off_topic(o)])

    def off_topic(self, language: str) -> Score:
        """Return the score of the other questions, which are to be refused."""
        return _score([o for o in self.outcomes if o.example.language == language and _is_off_topic(o)])

    def mistakes(self) -> tuple[Outcome, ...]:
        """Return the questions that were not answered rightly."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_right)

    def table(self) -> str:
        """Return the scores as lines to print."""
        rows = [list(COLUMNS)]
        rows += [[f"{lang}, about the site", *self.on_topic(lang).cells()] for lang in LANGUAGES]
        rows += [[f"{lang}, about other things", *self.off_topic(lang).cells()] for lang in LANGUAGES]
        widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
        return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def load_guide(folder: Path = MODEL_DIR) -> Guide:
    """Return the checkpoint in the folder, in float32, without touching the network."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Guide(model=model, tokenizer=tokenizer, certainty=load_certainty(folder))


def evaluate(guide: Guide, examples: Sequence[Example]) -> Report:
    """Return the guide's answers to these questions."""
    begun = guide.begin([example.question for example in examples])
    best = [guess(e.question, b.text, b.confidence) for e, b in zip(examples, begun, strict=True)]
    return Report(tuple(Outcome(*each, guide.certainty) for each in zip(examples, best, strict=True)))


def _score(outcomes: Sequence[Outcome]) -> Score:
    right = sum(outcome.is_right for outcome in outcomes)
    unsure = sum(outcome.is_unsure for outcome in outcomes)
    exact = sum(outcome.is_exact for outcome in outcomes)
    return Score(right=right, unsure=unsure, wrong=len(outcomes) - right - unsure, exact=exact)


def _is_off_topic(outcome: Outcome) -> bool:
    return outcome.example.answer == OFF_TOPIC


def main() -> None:
    """Print the mistakes on the development questions, and the scores of the shipped checkpoint.

    What went wrong with held-out questions is not shown: who reads it cannot help writing training questions for it.
    """
    guide, corpus = load_guide(), load_corpus()
    development = evaluate(guide, corpus.development())
    for outcome in development.mistakes():
        doubt = "unsure: " if outcome.is_unsure else ""
        print(f"[{outcome.example.answer}] {outcome.example.question}\n    {doubt}{outcome.best.text}")
    print(f"\ndevelopment\n{development.table()}\n\nheld out\n{evaluate(guide, corpus.held_out()).table()}")


if __name__ == "__main__":
    main()
