"""What a model's server can do, and what becomes of the answer: the rows of docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HALF = "half"
TEXT = "Hello 안녕 👋🏽!"
SILENT = {"first_text_seconds": 0.6}


@dataclass(frozen=True, kw_only=True)
class Fault:
    script: str
    """Of the fake server."""
    server: str
    """What it does, in words."""
    status: str
    why: str
    """The finish reason, or the error code."""
    text: str = ""
    """All that is stored of the answer."""
    requests: int = 1
    hangs_up: bool = False
    """Whether we close the connection while the server would go on."""
    limits: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def complete(script: str, server: str, text: str = "ok", **more: Any) -> Fault:
    return Fault(script=script, server=server, status="completed", why="stop", text=text, **more)


def incomplete(script: str, server: str, why: str, **more: Any) -> Fault:
    return Fault(script=script, server=server, status="incomplete", why=why, **more)


def failed(script: str, server: str, why: str, text: str = "", **more: Any) -> Fault:
    return Fault(script=script, server=server, status="failed", why=why, text=text, **more)


REFUSED = [
    failed("echo_401", "answers 401, and quotes key and question", "authentication_failed"),
    failed("forbidden", "answers 403", "authentication_failed"),
    failed("not_found", "answers 404", "model_not_found"),
    failed("too_many", "answers 429", "rate_limited", requests=2, options={"max_retries": 1}),
    failed("too_many_110", "answers 429 with `Retry-After: 110`", "rate_limited", options={"max_retries": 1}),
    complete(
        "once_429", "answers 429 with a short `Retry-After`, then well", TEXT, requests=2, options={"max_retries": 1}
    ),
    failed("quota", "answers 429: the account is exhausted", "rate_limited", options={"max_retries": 1}),
    failed("too_long", "answers 400: the question is too long", "context_length_exceeded"),
    failed("bad_request", "answers 400", "request_rejected"),
    failed("broken", "answers 500", "backend_unavailable"),
    failed("unavailable", "answers 503", "backend_unavailable", requests=2, options={"max_retries": 1}),
    complete("once_503", "answers 503 once, then well", TEXT, requests=2, options={"max_retries": 1}),
    failed("html_502", "answers 502 with a page", "backend_unavailable"),
    failed("big_error", "answers 500 with a body of 8 MB", "backend_unavailable"),
    failed("redirect", "redirects to another origin", "backend_unavailable", options={"max_retries": 1}),
]

UNREACHABLE = [
    failed("refused", "refuses the connection", "backend_unavailable", requests=0),
    failed(
        "tls", "has a certificate that is not trusted", "backend_unavailable", requests=0, options={"max_retries": 1}
    ),
    failed("dropped", "resets the connection before it answers", "backend_unavailable"),
    complete(
        "once_dropped", "resets the connection once, then answers well", TEXT, requests=2, options={"max_retries": 1}
    ),
    failed("not_http", "speaks another protocol", "backend_unavailable"),
    failed(
        "stall", "accepts the request, and says nothing", "backend_timeout", hangs_up=True, options={"timeout": 0.6}
    ),
]

NO_STREAM = [
    failed("html", "answers 200 with a page", "backend_unavailable"),
    failed("json_answer", "answers with JSON, not with a stream", "backend_unavailable"),
    failed("json_error", "answers 200 with an error in JSON", "backend_unavailable"),
    failed("gzip", "packs the stream, unasked", "backend_unavailable"),
]

BROKEN = [
    failed("cut_before_text", "resets the connection before the first text", "stream_interrupted"),
    failed("cut", "resets the connection in the middle", "stream_interrupted", HALF),
    failed("cut_mid_line", "ends the stream in the middle of a line", "stream_interrupted", HALF),
    failed("truncated", "ends the stream in the middle", "stream_interrupted", HALF),
    failed("no_finish", "sends `[DONE]` without a finish reason", "stream_interrupted", HALF),
    failed("unknown_finish", "gives a finish reason that we do not know", "stream_interrupted", HALF),
    failed("tool_calls", "calls a tool", "request_rejected"),
    failed("empty", "sends an empty stream", "stream_interrupted"),
    failed("bad_utf8", "sends invalid UTF-8", "stream_interrupted", HALF),
    failed("bad_json", "sends a chunk that is no JSON", "stream_interrupted", HALF),
    failed("deep_json", "sends JSON that is nested 100,000 deep", "stream_interrupted"),
    failed("error_in_stream", "sends an error in the stream", "backend_unavailable", HALF),
    failed("rate_limit_in_stream", "sends a 429 in the stream", "rate_limited"),
    failed("huge_delta", "sends 10 MB in one delta", "stream_interrupted", HALF),
    failed("long_line", "sends a line of more than 1 MB", "stream_interrupted"),
]

ENDLESS = [
    failed("stall_after_headers", "begins a stream, and says nothing", "backend_timeout", hangs_up=True, limits=SILENT),
    failed(
        "stall_between",
        "falls silent between two deltas",
        "answer_timeout",
        HALF,
        hangs_up=True,
        limits={"idle_seconds": 0.3},
    ),
    failed("comments_for_ever", "sends keep-alive comments for ever", "backend_timeout", hangs_up=True, limits=SILENT),
    failed("drip", "sends empty deltas for ever", "backend_timeout", hangs_up=True, limits=SILENT),
    failed("line_for_ever", "sends a line byte by byte, for ever", "backend_timeout", hangs_up=True, limits=SILENT),
    failed(
        "endless", "writes slowly, for ever", "answer_timeout", "word …", hangs_up=True, limits={"total_seconds": 0.8}
    ),
    incomplete(
        "flood",
        "writes quickly, for ever",
        "length",
        text="word " * 20 + "word",
        hangs_up=True,
        limits={"characters": 104},
    ),
]

WELL = [
    complete("ok", "sends the usage in a last chunk without choices", TEXT),
    complete("empty_first", "sends chunks with empty choices"),
    complete("odd_chunks", "sends chunks without choices or delta"),
    complete("no_done", "leaves out `[DONE]`"),
    complete("after_done", "sends text and nonsense after `[DONE]`"),
    complete("after_finish", "sends text after the finish reason"),
    complete("error_after_finish", "sends an error after the finish reason"),
    complete("cut_after_finish", "resets the connection after the finish reason"),
    complete("comments", "sends comments, `id:`, `event:` and `retry:` lines"),
    complete("crlf", "ends lines with CRLF", TEXT),
    complete("dribble", "cuts UTF-8 between chunks", "안녕 👋🏽"),
    complete("slow", "sends byte by byte, slowly", "안녕 👋🏽"),
    complete("surrogates", "cuts an emoji in two, and sends half ones", "a😀bc\ufffdde\ufffd"),
    complete("nul", "sends NUL", "a\ufffdb"),
    incomplete("length", "stops at the token limit", "length", text="cut sho"),
    incomplete("content_filter", "withholds the rest", "content_filter", text="I must"),
]

GROUPS = {
    "It refuses": REFUSED,
    "It cannot be reached": UNREACHABLE,
    "It sends something else than a stream": NO_STREAM,
    "The stream breaks": BROKEN,
    "It goes on for ever": ENDLESS,
    "It is odd, or says that it stops": WELL,
}
FAULTS = [fault for faults in GROUPS.values() for fault in faults]
