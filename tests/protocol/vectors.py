"""The cases that every reader must pass: ``python -m tests.protocol.vectors`` writes them to vectors.json.

A step is an event (its name and data), ``ask`` (a snapshot is asked for), ``snapshot`` (the one that was asked for last
comes) or ``fail`` (it does not). After each step the file says which texts are shown, which answers are being written,
and whether the reader must fetch a snapshot.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.protocol.reader import Reader

FILE = Path(__file__).with_name("vectors.json")
ALPHABET = ["a", " ", "\n", "\r\n", "é", "e\u0301", "한", "\u2028", "😀", "👩\u200d👧"]

Step = tuple[str, Any]

ASK: Step = ("ask", None)
FAIL: Step = ("fail", None)
OPEN: Step = ("stream-open", None)
RESET: Step = ("stream-reset", {"channels": []})


def created(message: int, parent: int | None, generation: str | None = "queued") -> Step:
    role = "user" if generation is None else "assistant"
    return "message.created", {"message": message, "parent": parent, "role": role, "generation": generation}


def delta(offset: int, text: str, message: int = 2) -> Step:
    return "message.delta", {"message": message, "offset": offset, "text": text}


def finished(length: int, message: int = 2, status: str = "completed") -> Step:
    return "message.finished", {"message": message, "status": status, "length": length}


def continued(message: int = 2) -> Step:
    return "message.continued", {"message": message, "status": "queued"}


def deleted(message: int, parent: int | None) -> Step:
    return "message.deleted", {"message": message, "parent": parent}


def stage(message: int = 2) -> Step:
    return "generation.stage", {"message": message, "stage": "reading", "position": None, "progress": None}


def snapshot(*stored: tuple[int, int | None, str, str | None]) -> Step:
    names = ("id", "parent", "text", "status")
    return "snapshot", [dict(zip(names, values, strict=True)) for values in stored]


Q = (1, None, "Hi", None)


def page(text: str = "", status: str = "in_progress") -> list[Step]:
    """Return the steps of a page that was rendered with a question and this much of an answer."""
    return [ASK, snapshot(Q, (2, 1, text, status))]


CASES: dict[str, list[Step]] = {
    # Deltas
    "a delta at the end is appended": [*page("Good "), delta(5, "day")],
    "an empty delta changes nothing": [*page("Good"), delta(4, "")],
    "the first delta of an empty answer": [*page(), delta(0, "Good")],
    "a repeated delta is skipped": [*page("Good "), delta(5, "day"), delta(5, "day"), delta(0, "Good ")],
    "a delta that begins before the end gives what is new": [*page("Good "), delta(0, "Good day")],
    "a delta after a gap waits": [*page("Good"), delta(5, "day")],
    "a gap closes when the missing delta comes late": [*page("Good"), delta(8, "!"), delta(5, "day"), delta(4, " ")],
    "a gap closes by a delta that reaches over it": [*page("Good"), delta(5, "day"), delta(4, " day!")],
    "a gap closes by the snapshot": [*page("Good"), delta(5, "day"), *page("Good day")],
    "a gap that the snapshot does not close stays": [*page("Good"), ASK, delta(9, "!"), page("Good d")[1]],
    "deltas in the wrong order": [*page(), *(delta(number, str(number)) for number in (2, 4, 1, 3, 0))],
    # Code points
    "offsets count code points": [*page("😀😀"), delta(2, "한😀"), delta(4, "!")],
    "a repeat is cut between code points": [*page("a😀"), delta(0, "a😀b"), delta(1, "😀bc")],
    "a combining mark comes by itself": [*page("e"), delta(1, "\u0301"), finished(2)],
    "CR and LF are two code points": [*page("a\r"), delta(2, "\nb"), finished(4)],
    "line separators are text": [*page(), delta(0, "\u2028\u2029\x85"), finished(3)],
    "a joined emoji is as many as it has": [*page(), delta(0, "👩\u200d👧"), finished(3)],
    "fields of a frame are text": [*page(), delta(0, "data: x\n\nevent: stream-reset\ndata:\n\n"), finished(37)],
    # Ends
    "an answer ends": [*page("Good day"), finished(8)],
    "an answer without text ends": [*page(), finished(0, status="failed")],
    "an end is repeated": [*page("Good day"), finished(8), finished(8)],
    "a longer end asks for the snapshot": [*page("Good"), finished(8), *page("Good day", "completed")],
    "a longer end is closed by a late delta": [*page("Good "), finished(8, status="cancelled"), delta(5, "day")],
    "a shorter end asks for the snapshot": [*page("Good day"), finished(4), *page("Good day!")],
    "an end before all deltas": [*page(), finished(8), delta(4, " day"), delta(0, "Good")],
    "deltas are repeated after the end": [*page("Good day", "completed"), delta(0, "Good"), delta(4, " day")],
    # Continued answers
    "an answer is continued": [
        *page("Good", "incomplete"), continued(), delta(4, " day"), finished(8),
    ],
    "an answer is continued and ends with nothing new": [*page("Good", "incomplete"), continued(), finished(4)],
    "a page that missed the continuation hears its text": [*page("Good", "incomplete"), delta(4, " day"), finished(8)],
    "a page that missed the continuation has a gap": [*page("Good", "incomplete"), delta(5, "day"), *page("Good day")],
    "events before the continuation are repeated": [
        *page("Good day"), finished(4, status="cancelled"), continued(), delta(4, " day"), delta(8, "!"),
    ],
    "an old end is repeated while the answer goes on": [
        *page("Good day"), finished(4), delta(8, "!"), ASK, delta(9, "!"), page("Good day!")[1],
    ],
    "a continuation is repeated": [*page("Good"), continued(), continued(), delta(4, "!"), finished(5)],
    # Snapshots
    "a snapshot replaces what was heard before": [*page("Good evening"), *page("Good")],
    "an older snapshot takes nothing back": [*page("Good"), ASK, delta(4, " day"), page("Good")[1]],
    "an older snapshot of an empty answer takes nothing back": [*page(), ASK, delta(0, "Good"), page()[1]],
    "a newer snapshot is taken, and what it holds is heard again": [
        *page("Good"), ASK, delta(4, " "), page("Good day")[1], delta(5, "day"), delta(8, "!"),
    ],
    "a snapshot that contradicts what was heard since is asked for again": [
        *page("Good"), ASK, delta(4, " day"), page("Bad day")[1], *page("Bad day"),
    ],
    "an older snapshot does not undo the end": [
        *page("Good"), ASK, delta(4, " day"), finished(8), page("Good")[1], *page("Good day", "completed"),
    ],
    "a snapshot tells the end before its event": [
        *page("Good"), ASK, delta(4, " day"), page("Good day", "completed")[1], finished(8),
    ],
    "an older snapshot does not undo the continuation": [
        *page("Good", "incomplete"), ASK, continued(), page("Good", "incomplete")[1], *page("Good", "queued"),
    ],
    "a snapshot that does not come is asked for again": [*page("Good"), RESET, ASK, FAIL, *page("Good day")],
    "what is missed while a snapshot is on its way needs another": [
        *page("Good"), RESET, ASK, RESET, page("Good")[1], *page("Good day"),
    ],
    "a reset asks for the snapshot": [*page("Good"), RESET, *page("Good day", "completed")],
    "a snapshot continues an answer": [*page("Good", "incomplete"), RESET, *page("Good", "queued"), delta(4, "!")],
    # Connections
    "the first opening asks for nothing": [*page("Good"), OPEN],
    "an opening while an answer is written asks for the snapshot": [*page("Good"), OPEN, OPEN, *page("Good day")],
    "an opening when all is over asks for nothing": [*page("Good", "completed"), OPEN, OPEN],
    # Branches
    "a question and its answer": [
        *page("Good", "completed"), created(3, 2, None), created(4, 3), delta(0, "Yes", 4),
        ASK, snapshot(Q, (2, 1, "Good", "completed"), (3, 2, "So?", None), (4, 3, "Yes", "in_progress")),
    ],
    "a message is created again": [*page("Good"), created(1, None, None), created(2, 1), delta(4, "!")],
    "another answer takes the place": [*page("Good", "completed"), created(5, 1), delta(0, "Bad", 5), delta(4, "!", 2)],
    "an edited first question takes all places": [*page("Good"), created(5, None, None), created(6, 5)],
    "what was created before is heard again": [*page("Good"), created(5, 1), created(2, 1), delta(0, "Good", 2)],
    "what was created before is heard late": [*page("Good"), created(7, 1), created(5, 1), delta(0, "x", 5)],
    "a created message without its parent": [
        *page("Good", "completed"), created(4, 3),
        ASK, snapshot(Q, (2, 1, "Good", "completed"), (3, 2, "So?", None), (4, 3, "", "queued")), delta(0, "Yes", 4),
    ],
    "a delta of an unknown message asks once": [*page("Good"), delta(0, "x", 9), ASK, delta(1, "y", 9), page("Good")[1],
        delta(2, "z", 9), stage(9), finished(3, 9)],
    "an unknown message is on the branch": [
        *page("Good", "completed"), delta(0, "Yes", 4),
        ASK, snapshot(Q, (2, 1, "Good", "completed"), (3, 2, "So?", None), (4, 3, "Yes", "in_progress")),
        delta(3, "!", 4),
    ],
    "an unknown message is created after its first delta": [
        *page("Good", "completed"), delta(0, "Yes", 5), created(5, 1), delta(3, "!", 5),
        ASK, snapshot(Q, (5, 1, "Yes!", "in_progress")),
    ],
    "an unknown message is continued while the snapshot is on its way": [
        *page("Good", "completed"), finished(3, 5), ASK, continued(5), snapshot(Q, (5, 1, "Yes", "incomplete")),
        ASK, snapshot(Q, (5, 1, "Yes", "queued")),
    ],
    "a message of another branch is heard while the snapshot that shows it is on its way": [
        *page("Good"), created(5, 1), ASK, delta(4, " day"), finished(8), snapshot(Q, (2, 1, "Good", "in_progress")),
        ASK, snapshot(Q, (2, 1, "Good day", "completed")),
    ],
    "a snapshot shows another branch": [*page("Good"), ASK, snapshot(Q, (7, 1, "Bad", "completed")), delta(4, "!", 2)],
    "a snapshot is older than the branch": [
        *page("Good", "completed"), ASK, created(5, 1), page("Good", "completed")[1],
        ASK, snapshot(Q, (5, 1, "", "queued")),
    ],
    "a snapshot begins after the page": [
        *page("Good", "completed"),
        ASK, snapshot((2, 1, "Good", "completed"), (3, 2, "So?", None), (4, 3, "", "queued")),
    ],
    "a snapshot has nothing of the page": [*page("Good"), ASK, snapshot((70, 69, "So?", None), (71, 70, "", "queued"))],
    "a message is gone": [*page("Good", "completed"), ASK, snapshot(Q)],
    # Deletions
    "a message is deleted with what follows it": [
        *page("Good", "completed"), created(3, 2, None), created(4, 3), finished(0, 4), deleted(2, 1), ASK, snapshot(Q),
    ],
    "a deletion shows another version": [
        *page("Good", "completed"), deleted(2, 1), ASK, snapshot(Q, (7, 1, "Bad", "in_progress")), delta(3, "!", 7),
    ],
    "the first message is deleted": [*page("Good", "completed"), deleted(1, None), ASK, snapshot()],
    "a deletion while a snapshot is on its way needs another": [
        *page("Good", "completed"), RESET, ASK, deleted(2, 1), page("Good", "completed")[1], ASK, snapshot(Q),
    ],
    "a deletion is repeated": [*page("Good", "completed"), deleted(9, 1), *page("Good", "completed"), deleted(9, 1)],
    "a late piece of a deleted message": [
        *page("Good"), deleted(2, 1), ASK, snapshot(Q), delta(4, " day"), finished(8),
    ],
    "a stage is no text": [*page(), stage(), stage(), delta(0, "Good")],
    "an event of another version is passed over": [*page("Good"), ("message.rated", {"message": 2}), delta(4, "!")],
    "the list is no message": [
        *page("Good"), ("conversation.updated", {"conversation": "x", "title": "Hi", "running": True}),
    ],
}  # fmt: skip


def wandering(seed: int) -> list[Step]:
    """Return an answer on a bad way: repeated, lost, late, with snapshots that take their time."""
    chance = random.Random(seed)
    stored, steps, heard, asked = "", page(), [], None
    for _ in range(14):
        piece = "".join(chance.choices(ALPHABET, k=chance.randrange(4)))
        heard.append(delta(len(stored), piece))
        stored += piece
        steps += chance.choice([heard[-1:], heard[-1:], heard[-3:], chance.sample(heard, min(3, len(heard))), []])
        if asked is None and chance.random() < 0.2:
            steps.append(ASK)
            asked = stored if chance.random() < 0.5 else ""
        elif asked is not None and chance.random() < 0.5:
            steps.append(page(asked or stored)[1])
            asked = None
    return [*steps, finished(len(stored)), *page(stored, "completed")]


def play(steps: list[Step]) -> list[dict[str, Any]]:
    """Return the steps with what holds after each."""
    reader, asked_at, played = Reader(), 0, []
    for kind, data in steps:
        match kind:
            case "ask":
                asked_at = reader.ask()
            case "fail":
                reader.fail()
            case "snapshot":
                reader.take(data, asked_at)
            case _:
                reader.hear(kind, data)
        then = {"texts": list(map(list, reader.texts.items())), "running": reader.running}
        played.append({"step": kind, "data": data, **then, "needs_snapshot": reader.needs_snapshot})
    return played


def vectors() -> list[dict[str, Any]]:
    cases = CASES | {f"a bad way, {seed}": wandering(seed) for seed in range(6)}
    return [{"name": name, "steps": play(steps)} for name, steps in cases.items()]


def as_json() -> str:
    """Return the file: one step a line, so that a change of the rule shows where it changes what."""
    cases = []
    for case in vectors():
        steps = ",\n".join(f"    {json.dumps(step)}" for step in case["steps"])
        cases.append(f'  {{"name": {json.dumps(case["name"])}, "steps": [\n{steps}\n  ]}}')
    return "[\n" + ",\n".join(cases) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(as_json(), encoding="utf-8")
