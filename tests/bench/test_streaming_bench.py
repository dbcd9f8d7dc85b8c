"""The parts of ``bench.streaming`` that read, count and compare; what it measures is nobody's promise."""

import asyncio
import json

import pytest

from bench.engine.results import Results, Target
from bench.streaming.answers import Answer, Check, check, due_times
from bench.streaming.connections import request_bytes
from bench.streaming.meter import Meter
from bench.streaming.pace import Order, paced, paced_in_thread, seal, token
from bench.streaming.plan import QUICK_SIZES, WAYS, WAYS_OF_SCENARIO, Job, Sizes, list_jobs
from bench.streaming.plot import draw, read_lines
from bench.streaming.readers import PlainReader
from bench.streaming.report import format_report
from bench.streaming.results import compare, limited_by
from bench.streaming.scenarios import percentile, slope
from bench.streaming.wire import Event, Events, Response

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def make_pieces(tokens):
    pieces = [token(number, 5.0 + number) for number in range(tokens)]
    return [*pieces, seal(pieces)]


def make_results():
    results = Results()
    for way, cpu, lag in (("bare", 0.10, 20.0), ("ours", 0.11, 60.0), ("bare-openai", 0.26, 30.0)):
        for users in (1, 50):
            figures = {"cpu_per_1000": cpu, "tokens_per_s": 30.0 * users, "lag_p99_ms": lag, "lost": 0, "doubled": 0}
            figures["tokens_per_answer"] = 240
            shares = {"server_share": 0.95, "others_share": 0.0, "generator_share": 0.2, "upstream_share": 0.0}
            order = Order(240, 30)
            job = Job(scenario="throughput", way=way, users=users, order=order, seconds=1)
            results.add(job, {str(users): figures | shares})
    return results


def test_it_works():
    results = make_results()

    targets = {target.name: target for target in compare(results)}
    report = format_report(results, list(targets.values()), "the head", Sizes())

    crowd = targets["CPU per token, 50 users, ours / bare"]
    assert crowd.value == pytest.approx(1.1)
    assert (crowd.limit, crowd.at_least, crowd.holds) == (1.2, False, True)
    assert targets["CPU per token, 1 users, ours / bare"].holds is None
    assert targets["lost characters, ours, at most in any case"] == Target(
        "lost characters, ours, at most in any case", 0, 0, at_least=False
    )
    assert report.startswith("the head\n\nN users, 30 tokens/s each\nway")
    assert "0.1100" in report


def test_what_an_answer_costs_is_told_apart_from_its_tokens():
    results = make_results()
    for way, cost in (("bare", 2.4), ("ours", 4.8)):
        results.add(
            Job(scenario="answers", way=way, users=4, order=Order(1, 0), seconds=1), {"4": {"cpu_per_answer_ms": cost}}
        )

    targets = {target.name: target.value for target in compare(results)}

    assert targets["  its tokens alone, 50 users, ours / bare"] == pytest.approx((0.11 - 0.02) / (0.10 - 0.01))


def test_ways_take_turns_at_each_number_of_users():
    jobs = list_jobs(Sizes(users=(1, 50)), {"throughput": ("bare", "ours"), "soak": ("ours",)}, 2)

    one_round = [("bare", 1), ("ours", 1), ("bare", 50), ("ours", 50), ("ours", 50)]
    assert [(job.way, job.users) for job in jobs] == one_round * 2
    assert [job.round for job in jobs] == [0] * 5 + [1] * 5
    assert jobs[4].seconds == 1800


def test_only_a_shared_way_has_workers():
    jobs = list_jobs(QUICK_SIZES, WAYS_OF_SCENARIO, 1)

    assert {job.way for job in jobs if job.workers > 1} == {name for name, way in WAYS.items() if way.is_shared}


def test_an_order_is_a_message():
    assert Order.parse(str(Order(240, 30))) == Order(240, 30.0)
    assert Order.parse(str(Order(2, 0.0001))) == Order(2, 0.0001)


async def test_both_upstreams_write_what_can_be_checked():
    order = Order(20, 0)
    text = "".join([piece async for piece in paced(order)])
    text_of_thread = "".join(paced_in_thread(order))

    assert check(text, 20) == check(text_of_thread, 20) == Check()
    assert len(due_times(text)) == 20


def test_a_late_loop_does_not_slow_the_pace():
    order = Order(100, 50)

    assert [order.due(10.0, number) for number in (0, 1, 50)] == [10.0, 10.02, 11.0]


def test_lost_and_doubled_tokens_are_counted():
    pieces = make_pieces(12)

    assert check("".join(pieces), 12) == Check()
    assert check("".join(pieces[:3] + pieces[4:]), 12).lost == len(token(11, 16.0))
    assert check("".join(pieces[:4] + pieces[3:]), 12) == Check(doubled=len(pieces[3]))
    assert check("".join(pieces[:-1]), 12).lost == len(pieces[-1])
    assert check("", 12).lost > 0


def test_what_is_neither_lost_nor_doubled_is_not_right_either():
    pieces = make_pieces(4)

    assert check("".join([pieces[1], pieces[0], *pieces[2:]]), 4) != Check()
    assert check("".join(pieces[:2]) + "?" + "".join(pieces[2:]), 4) != Check()
    assert check("".join(make_pieces(5)), 4) != Check()


def test_the_resume_rule():
    answer = Answer()

    assert answer.add(0, "🙂one ") == "🙂one "
    assert answer.add(3, "e two") == "two"
    assert answer.add(0, "🙂one") == ""
    assert (answer.text, answer.length, answer.repeated) == ("🙂one two", 8, 6)
    assert not answer.has_gap


def test_a_gap_waits_for_a_snapshot():
    answer = Answer()
    answer.add(0, "one ")

    assert answer.add(8, "three") == ""
    assert answer.has_gap
    answer.replace("on")
    assert answer.text == "one "
    answer.replace("one two three")
    assert not answer.has_gap
    answer.end(14)
    assert answer.has_gap


def test_a_response_comes_in_pieces_of_any_size():
    wire = CHUNKED + b"5\r\nhello\r\n" + b"b\r\n world\r\n\r\n!\r\n" + b"0\r\n\r\n"
    for size in (1, 2, 7, len(wire)):
        response = Response()
        body = b"".join(response.feed(wire[place : place + size]) for place in range(0, len(wire), size))
        assert (response.status, body, response.is_over) == (200, b"hello world\r\n\r\n!", True)


def test_a_response_without_chunks():
    response = Response()

    assert response.feed(b"HTTP/1.0 404 Not Found\r\n") == b""
    assert response.feed(b"Server: x\r\n\r\nno") == b"no"
    assert response.feed(b"thing") == b"thing"
    assert response.status == 404


def test_events():
    events = Events()

    assert events.feed(b"retry: 1000\n\nid: a:1\nevent: message.delta\nda") == [Event()]
    assert events.feed(b'ta: {"offset": 0}\n\n') == [Event(b"message.delta", b' {"offset": 0}', b"a:1")]


def test_a_request():
    assert request_bytes("POST", "/", {"A": "b"}, "c=d").endswith(b"\r\nA: b\r\nContent-Length: 3\r\n\r\nc=d")


def test_a_meter_counts_while_it_is_open():
    meter = Meter()
    text = "".join(make_pieces(3))

    meter.take(text, 0.0, is_first=True)
    meter.is_open = True
    meter.take(text, 0.0, is_first=True)
    meter.take(text[3:], 0.0, is_first=False)

    assert (meter.tokens, meter.events, len(meter.lags), len(meter.firsts)) == (3, 2, 3, 1)


async def test_a_reader_reads_an_answer():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = b"".join(b"data: %b\n\n" % json.dumps({"text": piece}).encode() for piece in make_pieces(9))
        body += b"event: done\ndata: {}\n\n"
        writer.write(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        await writer.drain()
        writer.close()

    meter = Meter(is_open=True)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await PlainReader(port, "/stream", meter).ask(Order(9, 0))

    assert (meter.tokens, meter.answers, meter.lost, meter.doubled) == (9, 1, 0, 0)


@pytest.mark.parametrize(
    ("server", "others", "generator", "upstream", "who"),
    [
        (0.95, 0.03, 0.95, 0, "server"),
        (0.5, 0.1, 0.3, 0.2, "-"),
        (0.5, 0.4, 0.3, 0.2, "SOMEBODY ELSE"),
        (0.5, 0.1, 0.7, 0.25, "GENERATOR"),
        (0.5, 0.1, 0.3, 0.65, "UPSTREAM"),
    ],
)
def test_it_says_who_had_no_time_left(server, others, generator, upstream, who):
    shares = {"server": server, "others": others, "generator": generator, "upstream": upstream}
    assert limited_by({f"{name}_share": share for name, share in shares.items()}) == who


def test_growth_and_percentiles():
    assert slope([(0, 10), (1, 12), (2, 14)]) == 2
    assert slope([(0, 10)]) == 0
    assert percentile(range(100), 0.99) == 99


def test_the_plot_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    results = make_results()

    draw(results, tmp_path / "plot.png", "a title")

    assert read_lines(results, "cpu_per_1000")["ours"] == {1: 0.11, 50: 0.11}
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
