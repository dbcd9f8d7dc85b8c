"""Continuous batching: all answers are written together, one token each a step; they join and leave between steps.

The rows of ``Slots`` in use are those at the beginning: first the writing ones, then those whose prompts are being
read, oldest first. So writing looks at one block of memory, whoever comes and goes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from backends.exceptions import BackendFull, BackendUnavailable, ChatBackendError
from backends.transformers.engine.answers import Answer, Key
from backends.transformers.engine.model import LoadedModel
from backends.transformers.engine.pace import Pace
from backends.transformers.engine.prefixes import PrefixStore
from backends.transformers.engine.report import Report
from backends.transformers.engine.sampling import Chosen, Sampler
from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps
from backends.transformers.engine.waiting import WaitingRoom
from backends.transformers.protocol import EngineOptions

NO_NUMBERS = BackendUnavailable(
    "The model calculated values that are no numbers.",
    hint="Try the backend option dtype='float32'; if that does not help, the model's files are damaged.",
)


class Scheduler:
    """Writes answers side by side; everything outside knows submit, cancel, forget, step and status only.

    An error ends the answers that it happened to and no others; only a device that is broken for this process
    (``torch.AcceleratorError``) gets through.
    """

    def __init__(self, model: LoadedModel, steps: Steps, options: EngineOptions) -> None:
        self._model = model
        self._steps = steps
        self._slots: Slots = steps.slots
        self._sampler = Sampler(slots=self._slots.count, vocabulary=model.vocabulary, device=model.device)
        self._prefixes = PrefixStore(self._slots, most_bytes=options.prefix_cache_mb * 2**20)
        self._waiting: WaitingRoom[Key, Answer] = WaitingRoom()
        self._max_waiting = options.max_waiting
        self._rows: list[Answer] = []
        self._writing = 0
        """How many of the rows write; the others are being read."""
        self._has_just_read = False
        self._joined = 0
        self._pace = Pace()
        self._report = Report()

    @property
    def is_idle(self) -> bool:
        return not self._rows and not len(self._waiting) and self._report.is_empty

    def submit(self, answer: Answer) -> None:
        """Let an answer wait for its turn; one too many is refused."""
        free = self._slots.count - len(self._rows)
        if len(self._waiting) >= self._max_waiting + free:
            error = BackendFull(
                f"The engine's queue is full: {self._max_waiting} answers wait for {self._slots.count} slots.",
                hint="Ask again in a moment; more 'slots' write more answers at once, 'max_waiting' lets more wait.",
            )
            self._report.error(answer.key, error)
        else:
            self._waiting.add(answer.key, answer)

    def refuse(self, key: Key, error: ChatBackendError) -> None:
        """Tell with the next step's report why a request cannot be answered."""
        self._report.error(key, error)

    def cancel(self, key: Key) -> None:
        """Forget an answer and free its slot. Says nothing about it any more; unknown keys are over already."""
        if self._waiting.remove(key) is None:
            for answer in [answer for answer in self._rows if answer.key == key]:
                self._leave(answer)

    def forget(self, connection: int) -> None:
        """Cancel all that this connection asked."""
        keys = [answer.key for answer in self._rows] + list(self._waiting.keys())
        for key in keys:
            if key[0] == connection:
                self.cancel(key)

    def step(self) -> Report:
        """Take in those whose turn it is; then read of prompts or write one token of each answer, in turn."""
        if self._admit():
            return self._take_report()  # that a prompt is being read is told before it is, not after
        reads = len(self._rows) > self._writing and (self._writing == 0 or not self._has_just_read)
        self._has_just_read = reads
        if reads:
            self._read()
        else:
            self._write()
        return self._take_report()

    def _take_report(self) -> Report:
        report, self._report = self._report, Report()
        return report

    def status(self) -> dict[str, Any]:
        model = self._model
        return {
            "device": str(model.device),
            "dtype": model.dtype,
            "tuning": [*model.tuning, *self._steps.tuning],
            "context": model.context,
            "slots": self._slots.count,
            "active": len(self._rows),
            "waiting": len(self._waiting),
            "tokens_per_second": round(self._pace.tokens_per_second(), 1),
            "slot_bytes": self._slots.bytes,
            "device_bytes": torch.cuda.memory_reserved(model.device) if model.device.type == "cuda" else None,
            "prefix_bytes": self._prefixes.bytes,
            "prefix_entries": len(self._prefixes),
            "prefix_reused_tokens": self._prefixes.reused_tokens,
        }

    # --- who comes and goes ---------------------------------------------------------------------------------------

    def _admit(self) -> bool:
        """Give free slots to those whose turn it is; return whether there is anything to tell those who waited."""
        if not len(self._waiting):
            return False
        while len(self._rows) < self._slots.count and len(self._waiting):
            answer = self._waiting.serve(self._in_hand())
            answer.row = len(self._rows)
            self._rows.append(answer)
            answer.filled = self._prefixes.restore(answer.user, answer.tokens, answer.row)
            self._sampler.begin(answer.row, answer.choice, answer.tokens)
            self._report.stage(answer.key, "reading")
        for waiting, place in self._waiting.news(self._in_hand()):
            self._report.stage(waiting, "queued", place)
        return not self._report.is_empty

    def _in_hand(self) -> Counter[str]:
        return Counter(answer.user for answer in self._rows)

    def _leave(self, answer: Answer, *, is_sound: bool = True) -> None:
        """Free the answer's row; those behind move up, and what it read is kept for a follow-up."""
        if is_sound:
            self._prefixes.save(answer.user, answer.tokens[: answer.filled], answer.row)
        else:
            self._slots.clear(answer.row)
        gap = answer.row
        if gap < self._writing:
            self._writing -= 1
            gap = self._fill(gap, self._writing)
        self._fill(gap, len(self._rows) - 1)
        self._rows.pop()

    def _fill(self, gap: int, source: int) -> int:
        """Move a row into the gap; return where the gap is now."""
        if source != gap:
            moved = self._rows[source]
            self._slots.move(source, gap, moved.filled)
            self._sampler.move(source, gap)
            self._rows[gap] = moved
            moved.row = gap
        return source

    # --- reading --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        reading = self._rows[self._writing :]
        budget = self._pace.tokens_to_read(reading=len(reading), writing=self._writing)
        self._read_together(_group(reading, budget), budget)

    def _read_together(self, group: Sequence[Answer], budget: int) -> None:
        """Read up to ``budget`` tokens of each; those that are read whole begin to write."""
        pieces = [answer.tokens[answer.filled : answer.filled + budget] for answer in group]
        began = time.perf_counter()
        try:
            logits = self._steps.read(group[0].row, pieces, [answer.filled for answer in group])
            self._steps.wait()
        except torch.AcceleratorError:
            raise  # the device is unusable for this process; a new one is started
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to whoever sent the request that brings it
            if len(group) == 1:
                return self._fail(group[0], error)
            for answer in group:
                self._read_together([answer], budget)
            return None
        self._pace.has_read(len(pieces) * max(map(len, pieces)), time.perf_counter() - began)
        for answer, piece in zip(group, pieces, strict=True):
            answer.filled += len(piece)
        if not group[0].unread:
            for answer in group:
                self._begin_to_write(answer)
            choices = [answer.choice for answer in group]
            self._take(group, self._sampler.choose(logits, choices, group[0].row))
        return None

    def _begin_to_write(self, answer: Answer) -> None:
        """Put the answer behind those that write."""
        other = self._rows[self._writing]
        if other is not answer:
            self._slots.swap(answer.row, other.row, max(answer.filled, other.filled))
            self._sampler.swap(answer.row, other.row)
            self._rows[answer.row], self._rows[other.row] = other, answer
            answer.row, other.row = other.row, answer.row
        self._writing += 1
        self._joined += 1
        answer.joined = self._joined
        self._report.stage(answer.key, "writing")

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while writing := self._rows[: self._writing]:
            began = time.perf_counter()
            try:
                logits = self._steps.write(
                    [answer.tokens[-1] for answer in writing], [answer.filled for answer in writing]
                )
                chosen = self._sampler.choose(logits, [answer.choice for answer in writing], 0)
            except torch.AcceleratorError:
                raise
            except Exception as error:  # noqa: BLE001 - whoever came last most likely brought it; the others try again
                self._fail(max(writing, key=lambda answer: answer.joined), error)
                continue
            self._pace.has_written(len(writing), time.perf_counter() - began)
            for answer in writing:
                answer.filled += 1
            return self._take(writing, chosen)
        return None

    def _take(self, answers: Sequence[Answer], chosen: Sequence[Chosen]) -> None:
        for answer, token in zip(answers, chosen, strict=True):
            if not token.is_sound:
                self._report.error(answer.key, NO_NUMBERS)
                self._leave(answer, is_sound=False)
                continue
            progress = answer.take(token)
            self._report.progress(answer.key, progress)
            if progress.finish:
                self._leave(answer)

    def _fail(self, answer: Answer, error: Exception) -> None:
        self._report.error(answer.key, _as_backend_error(error))
        self._leave(answer, is_sound=False)


def _group(reading: Sequence[Answer], budget: int) -> list[Answer]:
    """Return those to be read together: the oldest, and who fits whole beside it, padded to the longest of them."""
    group = [reading[0]]
    longest = reading[0].unread
    for answer in reading[1:] if longest <= budget else ():
        longest = max(longest, answer.unread)
        if (len(group) + 1) * longest > budget:
            break
        group.append(answer)
    return group


def _as_backend_error(error: Exception) -> ChatBackendError:
    if isinstance(error, ChatBackendError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return BackendUnavailable(
            "The device has no memory left for another answer.",
            hint="Use a smaller model, fewer 'slots', dtype='bfloat16' or a smaller 'context_window'.",
        )
    return BackendUnavailable(f"The model failed at this request: {type(error).__name__}: {error}"[:500])
