"""What was promised, and what follows from the figures."""

from __future__ import annotations

from collections.abc import Iterator

from bench.engine.results import Results, Target
from bench.streaming.plan import WAYS_OF_SITE

Found = tuple[str, float | None, float | None, bool]
"""A name, what was reached, the limit, and whether that is the least or the most."""

FULL = 0.9
"""The part of its core at which a process is what holds the others up."""
INTRUDED = 0.15
"""The part of the server's core that others may use; some is the kernel's, for the connections."""


def compare(results: Results) -> list[Target]:
    """Return what this run can tell, each with its target, where it has one."""
    found = [
        *_compare_cpu(results),
        *_compare_speed(results),
        *_compare_lag(results),
        *_compare_open(results),
        *_compare_soak(results),
        *_compare_text(results),
    ]
    return [Target(name, value, limit, at_least) for name, value, limit, at_least in found if value is not None]


def limited_by(figures: dict[str, float], cores: int = 1) -> str:
    """Return who had no time left; where it was not the server, the figures are not the server's."""
    if figures["server_share"] >= FULL * cores:
        return "server"
    if figures["others_share"] > INTRUDED * cores:
        return "SOMEBODY ELSE"
    generator, upstream = figures["generator_share"], figures["upstream_share"]
    if generator + upstream < FULL:
        return "-"
    return "GENERATOR" if generator >= upstream else "UPSTREAM"


def _users(results: Results, scenario: str) -> list[str]:
    return list(dict.fromkeys(case for _, case in results.cases(scenario)))


def _compare_cpu(results: Results) -> Iterator[Found]:
    name = "cpu_per_1000"
    for users in _users(results, "throughput"):
        # For one user, what an answer costs at its beginning and end is nearly all.
        is_crowd = int(users) >= 50
        limit = 1.2 if is_crowd else None
        yield (
            f"CPU per token, {users} users, ours / bare",
            results.ratio("throughput", users, name, "ours", "bare"),
            limit,
            False,
        )
        tokens = [_tokens_alone(results, way, users) for way in ("ours", "bare")]
        ratio = tokens[0] / tokens[1] if tokens[0] and tokens[1] else None
        yield f"  its tokens alone, {users} users, ours / bare", ratio, None, False
        yield (
            f"CPU per token, {users} users, flask / bare",
            results.ratio("throughput", users, name, "flask", "bare"),
            None,
            False,
        )
        ratio = results.ratio("throughput", users, name, "ours-openai", "bare-openai")
        yield f"CPU per token, {users} users, ours-openai / bare-openai", ratio, None, False
        reached = results.median("throughput", "ours-openai", users, name)
        yield f"CPU s per 1,000 tokens, {users} users, ours-openai", reached, 0.12 if is_crowd else None, False


def _tokens_alone(results: Results, way: str, users: str) -> float | None:
    """Return the CPU per 1,000 tokens without what their answers cost, which are read from answers of one token."""
    whole, tokens = (results.median("throughput", way, users, name) for name in ("cpu_per_1000", "tokens_per_answer"))
    answers = next((case for name, case in results.cases("answers") if name == way), "")
    answer = results.median("answers", way, answers, "cpu_per_answer_ms")
    return None if whole is None or not tokens or answer is None else whole - answer / tokens


def _compare_speed(results: Results) -> Iterator[Found]:
    """The most of a core is what 500 users got, who wanted more; without a pace, joining makes text cheap."""
    name = "tokens_per_s"
    for scenario, users in (("throughput", "500"), *(("most", users) for users in _users(results, "most"))):
        words = f"tokens/s, {users} users " + ("at 30 each" if scenario == "throughput" else "without a pace")
        yield f"{words}, ours-openai", results.median(scenario, "ours-openai", users, name), 6_500, True
        yield (
            f"{words}, ours-openai / bare-openai",
            results.ratio(scenario, users, name, "ours-openai", "bare-openai"),
            None,
            True,
        )
        yield f"{words}, ours / bare", results.ratio(scenario, users, name, "ours", "bare"), None, True


def _compare_lag(results: Results) -> Iterator[Found]:
    for way, users in results.cases("steady"):
        limit = 250 if way == "ours" else None
        yield (
            f"lag p99 ms, {users} steady users, {way}",
            results.median("steady", way, users, "lag_p99_ms"),
            limit,
            False,
        )
        if way == "ours":
            offered = results.median("steady", way, users, "offered_per_s")
            reached = results.median("steady", way, users, "tokens_per_s")
            yield f"delivered / offered, {users} steady users, {way}", (reached or 0) / (offered or 1), 0.98, True


def _compare_open(results: Results) -> Iterator[Found]:
    for way, streams in results.cases("open"):
        is_ours = way == "ours"
        words = f"{streams} open streams, {way}"
        yield f"kB each, {words}", results.median("open", way, streams, "kb_each"), 40 if is_ours else None, False
        # The pool of a process may grow to what it may have; what must not be is one for each stream.
        for name, what in (("threads_more", "threads"), ("databases_more", "database handles")):
            yield f"{what} more, {words}", results.median("open", way, streams, name), 10 if is_ours else None, False


def _compare_soak(results: Results) -> Iterator[Found]:
    for way, users in results.cases("soak"):
        growth = results.median("soak", way, users, "growth_share_per_10_min")
        yield f"memory growth in 10 minutes / memory, {users} users, {way}", growth, 0.02, False


def _compare_text(results: Results) -> Iterator[Found]:
    for name in ("lost", "doubled"):
        values = [
            max(figures[name])
            for (_, way, _), figures in results.figures.items()
            if way in WAYS_OF_SITE and name in figures
        ]
        yield f"{name} characters, ours, at most in any case", max(values, default=None), 0, False
