"""Ask the guide the held-out questions and count the answers that are right to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from guide.corpus import LANGUAGES, OFF_TOPIC, Corpus, Example, load_corpus

MODEL_DIR = Path(__file__).parent / "model"
MAX_ANSWER_TOKENS = 110
BATCH = 64


@dataclass(frozen=True, slots=True)
class Guide:
    """A checkpoint that can be asked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def answer(self, questions: Sequence[str]) -> list[str]:
        """Return the greedy answer to each question, in the order asked."""
        order = sorted(range(len(questions)), key=lambda i: len(questions[i].encode()))
        answers = [""] * len(questions)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for i, text in zip(chosen, self._answer_batch([questions[i] for i in chosen]), strict=True):
                answers[i] = text
        return answers

    def _answer_batch(self, questions: Sequence[str]) -> list[str]:
        prompts = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
            )
            for question in questions
        ]
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        with torch.inference_mode():
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=MAX_ANSWER_TOKENS)
        new = output[:, inputs["input_ids"].shape[1] :]
        decoded: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return decoded


@dataclass(frozen=True, slots=True)
class Outcome:
    """A held-out question with what the guide said to it."""

    example: Example
    said: str

    @property
    def right(self) -> bool:
        """Tell whether the answer is the expected one, to the letter."""
        return self.said == self.example.text


@dataclass(frozen=True, slots=True)
class Score:
    """How many of how many were right."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        """Return the right ones as a part of 1."""
        return self.right / self.asked if self.asked else 0.0

    def __str__(self) -> str:
        return f"{self.right}/{self.asked} ({self.share:.1%})"


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of an evaluation."""

    outcomes: tuple[Outcome, ...]

    def on_topic(self, language: str) -> Score:
        """Return the score of the questions about the site."""
        return self._score([o for o in self.outcomes if o.example.language == language and not _is_off_topic(o)])

    def off_topic(self, language: str) -> Score:
        """Return how many of the other questions were refused."""
        return self._score([o for o in self.outcomes if o.example.language == language and _is_off_topic(o)])

    def mistakes(self) -> tuple[Outcome, ...]:
        """Return the wrong answers."""
        return tuple(outcome for outcome in self.outcomes if not outcome.right)

    def table(self) -> str:
        """Return the scores as lines to print."""
        rows = [f"{'language':<10}{'held-out questions':<22}off-topic refused"]
        rows += [f"{lang:<10}{self.on_topic(lang)!s:<22}{self.off_topic(lang)}" for lang in LANGUAGES]
        return "\n".join(rows)

    @staticmethod
    def _score(outcomes: Sequence[Outcome]) -> Score:
        return Score(right=sum(outcome.right for outcome in outcomes), asked=len(outcomes))


def load_guide(folder: Path = MODEL_DIR) -> Guide:
    """Return the checkpoint in the folder, in float32, without touching the network."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    return Guide(model=model, tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True))


def evaluate(guide: Guide, corpus: Corpus) -> Report:
    """Return the guide's answers to every held-out question of the corpus."""
    examples = corpus.held_out()
    said = guide.answer([example.question for example in examples])
    return Report(tuple(Outcome(example, text) for example, text in zip(examples, said, strict=True)))


def _is_off_topic(outcome: Outcome) -> bool:
    return outcome.example.answer == OFF_TOPIC


def main() -> None:
    """Print the mistakes and the scores of the shipped checkpoint."""
    report = evaluate(load_guide(), load_corpus())
    for outcome in report.mistakes():
        print(f"[{outcome.example.answer}] {outcome.example.question}\n    {outcome.said}")
    print(report.table())


if __name__ == "__main__":
    main()
