"""Train the guide from its corpus on the CPU, evaluate it, and write guide/model and docs/faq.md."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging

from guide.augmentation import count, expand, vary
from guide.certainty import Certainty, line_above, save_certainty
from guide.corpus import LANGUAGES, OFF_TOPIC, Corpus, Example, load_corpus, normalise
from guide.evaluate import MODEL_DIR, Guide, evaluate
from guide.faq import write_faq

USER, ASSISTANT, END = "<|user|>", "<|assistant|>", "<|end|>"

TEMPLATE = (
    "{%- for message in messages if message['role'] == 'user' -%}"
    "{%- if loop.last -%}<|user|>{{ message['content'] | trim }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
"""Single-turn by design: only the newest user message reaches the model, without system prompt and earlier turns."""

IGNORED = -100
"""The label that torch's cross-entropy leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the guide is trained; the defaults give the shipped checkpoint."""

    vocabulary: int = 2560
    answers_weight: int = 16
    """How often the tokenizer reads an answer: in few tokens they are written sooner, and told apart."""
    width: int = 256
    layers: int = 4
    heads: int = 4
    positions: int = 512
    steps: int = 1800
    batch: int = 64
    peak: float = 2e-3
    warm_up: int = 60
    dropout: float = 0.12
    off_topic_share: float = 0.2
    most_weight: int = 4
    """How often a question with alternatives may come for each time that one without does."""
    short_share: float = 0.55
    """Part of the examples that end after SHORT answer tokens: which answer it is, is decided there."""
    split_share: float = 0.3
    """Part of the questions that are cut into other tokens than the tokenizer's, so that typos look less strange."""
    seed: int = 20
    threads: int = 2


SHORT = 12
DECIDING = 4
"""Tokens at the beginning of an answer that nearly always tell it from all others."""
DECIDING_WEIGHT = 4.0
"""How much more they count than the rest, which follows from them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training sequence: a prompt the loss skips, and the answer."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def build_tokenizer(corpus: Corpus, plan: Plan) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer learnt from the training questions and the answers."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=plan.vocabulary,
        special_tokens=[END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = random.Random(plan.seed)
    questions = [
        expand(example.question, rng)
        for example in corpus.training()
        for _ in range(min(plan.most_weight, count(example.question)))
    ]
    texts = [wording.text for answer in corpus.answers for wording in answer.wordings.values()]
    backend.train_from_iterator([*questions, *(q.lower() for q in questions), *texts * plan.answers_weight], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=plan.positions,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build_model(tokenizer: PreTrainedTokenizerFast, plan: Plan) -> GPT2LMHeadModel:
    """Return an untrained GPT-2 of the planned size."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=plan.positions,
        n_embd=plan.width,
        n_layer=plan.layers,
        n_head=plan.heads,
        embd_pdrop=plan.dropout,
        attn_pdrop=plan.dropout,
        resid_pdrop=plan.dropout,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = GPT2LMHeadModel(config)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=end)
    return model


class Rows:
    """An endless supply of training sequences; no question of the other splits is among them, however varied."""

    def __init__(self, corpus: Corpus, tokenizer: PreTrainedTokenizerFast, plan: Plan) -> None:
        self._plan = plan
        self._tokenizer: Tokenizer = tokenizer.backend_tokenizer
        self._rng = random.Random(plan.seed)
        self._kept_back = {normalise(example.question) for example in (*corpus.development(), *corpus.held_out())}
        self._by_answer: dict[tuple[str, str], list[Example]] = {}
        for example in corpus.training():
            # A question with alternatives stands for many, and comes more often.
            weight = min(plan.most_weight, math.isqrt(count(example.question)))
            self._by_answer.setdefault((example.answer, example.language), []).extend([example] * weight)
        self._user, self._assistant, self._end = (tokenizer.convert_tokens_to_ids(t) for t in (USER, ASSISTANT, END))

    def batches(self) -> Iterator[list[Row]]:
        """Yield batches of similar length, for ever."""
        size = self._plan.batch
        while True:
            pool = sorted((self._row(example) for example in self._examples(size * 16)), key=len)
            chunks = [pool[i : i + size] for i in range(0, len(pool), size)]
            self._rng.shuffle(chunks)
            yield from chunks

    def _examples(self, count: int) -> Iterator[Example]:
        topics = [key for key in self._by_answer if key[0] != OFF_TOPIC]
        others = [key for key in self._by_answer if key[0] == OFF_TOPIC]
        # An answer with more to ask about comes more often, but far from as often as it has questions.
        weights = [math.sqrt(len(self._by_answer[key])) for key in topics]
        for _ in range(count):
            is_off_topic = self._rng.random() < self._plan.off_topic_share
            key = self._rng.choice(others) if is_off_topic else self._rng.choices(topics, weights)[0]
            yield self._rng.choice(self._by_answer[key])

    def _row(self, example: Example) -> Row:
        question = self.question(example)
        answer = [*self._tokenizer.encode(example.text).ids, self._end]
        if self._rng.random() < self._plan.short_share:
            answer = answer[:SHORT]
        return Row([self._user, *self._encode(question), self._assistant], answer)

    def question(self, example: Example) -> str:
        """Return the example's question as it is trained this time."""
        while True:
            question = vary(expand(example.question, self._rng), example.language, self._rng)
            if question and normalise(question) not in self._kept_back:
                return question

    def _encode(self, question: str) -> list[int]:
        if self._rng.random() >= self._plan.split_share:
            return list(self._tokenizer.encode(question).ids)
        cuts = [i for i in range(1, len(question)) if self._rng.random() < 0.12]
        pieces = [question[a:b] for a, b in zip([0, *cuts], [*cuts, len(question)], strict=True)]
        return [id_ for piece in pieces for id_ in self._tokenizer.encode(piece).ids]


def collate(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return the padded inputs and, for each position, the next token of the answer or IGNORED."""
    width = max(map(len, rows))
    inputs = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for i, row in enumerate(rows):
        inputs[i, : len(row)] = torch.tensor(row.prompt + row.answer)
        start = len(row.prompt) - 1
        labels[i, start : start + len(row.answer)] = torch.tensor(row.answer)
    return inputs, labels


def answer_loss(model: GPT2LMHeadModel, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of the answers' tokens, scoring the vocabulary nowhere else."""
    hidden = model.transformer(inputs).last_hidden_state
    chosen = labels != IGNORED
    losses = torch.nn.functional.cross_entropy(model.lm_head(hidden[chosen]), labels[chosen], reduction="none")
    weights = torch.where(chosen.cumsum(1)[chosen] <= DECIDING, DECIDING_WEIGHT, 1.0)
    return (losses * weights).sum() / weights.sum()


def rate(step: int, plan: Plan) -> float:
    """Return the learning rate as a part of its peak: a linear warm-up, then a cosine."""
    if step < plan.warm_up:
        return (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def build_optimizers(model: GPT2LMHeadModel, plan: Plan) -> tuple[Optimizer, Optimizer]:
    """Return Muon for the matrices of the layers, which learns in far fewer steps, and AdamW for the rest."""
    layers = [p for p in model.transformer.h.parameters() if p.dim() == 2]
    embeddings = [model.transformer.wte.weight, model.transformer.wpe.weight]
    plain = [p for p in model.parameters() if p.dim() < 2]
    muon = torch.optim.Muon(layers, lr=plan.peak, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": embeddings, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return muon, torch.optim.AdamW(groups, lr=plan.peak, betas=(0.9, 0.98))


def train(corpus: Corpus, plan: Plan) -> Guide:
    """Return a guide trained by the plan; the same plan, corpus and machine give the same guide."""
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    tokenizer = build_tokenizer(corpus, plan)
    model = build_model(tokenizer, plan).train()
    optimizers = build_optimizers(model, plan)
    schedules = [LambdaLR(optimizer, lambda step: rate(step, plan)) for optimizer in optimizers]
    started = time.monotonic()
    batches = Rows(corpus, tokenizer, plan).batches()
    # Where the processor has instructions for it, bfloat16 halves the time; elsewhere it would multiply it.
    is_fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    for step in range(plan.steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_fast):
            loss = answer_loss(model, *collate(next(batches)))
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for step_once in (*optimizers, *schedules):
            step_once.step()
        if step % 50 == 0 or step == plan.steps - 1:
            print(f"step {step:>5}  loss {loss.item():.3f}  {time.monotonic() - started:.0f} s", flush=True)
    return Guide(model.eval(), tokenizer, Certainty(confidence_tokens=SHORT))


def save(guide: Guide, folder: Path) -> None:
    """Write the checkpoint in half precision, as transformers loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    guide.model.half().save_pretrained(folder)
    guide.model.float()
    guide.tokenizer.save_pretrained(folder)


def draw_line(guide: Guide, corpus: Corpus) -> Guide:
    """Return the guide with lines above all that it would say to the foreign questions for development."""
    foreign = [o for o in evaluate(guide, corpus.development()).outcomes if o.example.answer == OFF_TOPIC]
    least = {
        language: line_above(o.best.certainty for o in foreign if o.best.language == language and not o.is_exact)
        for language in LANGUAGES
    }
    return replace(guide, certainty=replace(guide.certainty, least=least))


def main(output: Path = MODEL_DIR) -> None:
    """Train with the default plan, write the checkpoint and the FAQ, and print the evaluation."""
    logging.set_verbosity_error()
    corpus = load_corpus()
    guide = train(corpus, Plan())
    save(guide, output)
    # After save, the weights are the rounded ones, so this evaluates what was written.
    guide = draw_line(guide, corpus)
    save_certainty(guide.certainty, output)
    print(f"development\n{evaluate(guide, corpus.development()).table()}\n")
    print(f"held out\n{evaluate(guide, corpus.held_out()).table()}\n")
    print(f"least certainty {guide.certainty.least}")
    print(f"{guide.model.num_parameters():,} parameters; {(output / 'model.safetensors').stat().st_size:,} bytes")
    write_faq(corpus)


if __name__ == "__main__":
    main()
