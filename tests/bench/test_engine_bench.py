"""The parts of ``bench.engine`` that calculate and draw; what it measures is nobody's promise."""

import json
from xml.etree import ElementTree as ET

import pytest

from bench.engine.floor import floor_ms, read_shapes, values_per_token, weights_per_step
from bench.engine.plan import CPU_SIZES, QUICK_SIZES, Job, list_jobs
from bench.engine.plot import HEIGHT, draw, nice_ticks, spread_out
from bench.engine.readers import Reading, step_seconds, tokens_per_second
from bench.engine.report import format_report, format_table
from bench.engine.results import Results, Target, compare

GPT2 = {"n_layer": 12, "n_head": 12, "n_embd": 768}


def make_results():
    results = Results()
    for way, speed in (("seed", 20.0), ("ours", 200.0)):
        job = Job(scenario="throughput", sizes=CPU_SIZES, way=way)
        for factor in (0.9, 1.0, 3.0):
            figures = {"tokens_per_s": speed * factor, "last_first_s": 100 / speed, "short_answers": 0.0}
            results.add(job, {"8": figures})
    return results


def test_it_works():
    results = make_results()

    targets = compare(results, "cpu", (1, 8))
    report = format_report(results, targets, "the head")

    assert targets == [
        Target("tokens/s, 8 streams, ours / seed", 10.0, 9.0),
        Target("first text of the last of 8, ours / seed", 0.1, 0.4, at_least=False),
    ]
    assert report.startswith("the head\n\nway")
    assert "200.0 (180.0-600.0)" in report
    assert "10.00" in report


def test_a_job_survives_the_way_to_its_process():
    job = Job(scenario="gap", sizes=QUICK_SIZES, way="ours", model="/m", round=2)

    assert Job.decode(job.encode()) == job


def test_ways_take_turns():
    jobs = list_jobs(Job(scenario="", sizes=CPU_SIZES), ("seed", "cb", "ours"), ("throughput", "gap", "reuse"), 2)

    one_round = [
        ("bandwidth", ""),
        ("throughput", "seed"),
        ("throughput", "cb"),
        ("throughput", "ours"),
        ("gap", "cb"),
        ("gap", "ours"),
        ("reuse", "ours"),
        ("reuse", "ours-forgetful"),
    ]
    assert [(job.scenario, job.way) for job in jobs] == one_round * 2
    assert [job.round for job in jobs] == [0] * 8 + [1] * 8


def test_a_target_can_be_a_ceiling():
    assert Target("", 4, 5).holds is False
    assert Target("", 4, 5, at_least=False).holds is True
    assert Target("", 4).holds is None


def test_a_way_without_figures_is_said_with_its_reason():
    results = make_results()
    results.failures["throughput", "ours-fp32"] = "has an unknown dtype"

    assert "ours-fp32 has no throughput: has an unknown dtype" in format_report(results, [], "")


def test_answers_that_ended_early_are_said():
    results = make_results()
    results.figures["throughput", "ours", "8"]["short_answers"] = [0, 2, 1]

    assert "before they had all their tokens: ours at 8: 3" in format_report(results, [], "")


def test_columns_stand_under_each_other():
    assert format_table(("a", "bb"), [("ccc", "1"), ("d", "22.5")]) == "a      bb\n---  ----\nccc     1\nd    22.5"


def test_figures_become_json():
    [seed, _] = json.loads(json.dumps(make_results().as_json()))

    assert seed["way"] == "seed"
    assert seed["figures"]["tokens_per_s"] == {"median": 20, "min": 18, "max": 60, "all": [18, 20, 60]}


def test_the_floor_of_gpt2():
    shapes = {"transformer.wte.weight": [50257, 768], "transformer.wpe.weight": [1024, 768], "h.0.weight": [1000, 1000]}
    weights = weights_per_step(shapes)

    assert weights == 50257 * 768 + 1_000_000
    assert values_per_token(GPT2) == 18432
    # 247 MB of bf16 weights and a hundred tokens of 36.9 kB at 28.4 GB/s
    floor = floor_ms(weights=123_500_000, values=18432, bytes_per_weight=2, streams=1, context=100, bytes_per_s=28.4e9)
    assert floor == pytest.approx(8.83, abs=0.01)


def test_an_embedding_that_is_not_the_head_is_not_read_whole():
    shapes = {"model.embed_tokens.weight": [100, 10], "lm_head.weight": [100, 10], "model.layers.0.weight": [5, 5]}

    assert weights_per_step(shapes) == 1025


def test_grouped_heads_leave_less_behind():
    config = {"num_hidden_layers": 2, "num_attention_heads": 8, "hidden_size": 64, "num_key_value_heads": 2}

    assert values_per_token(config) == 2 * 2 * 2 * 8


def test_shapes_come_from_the_head_of_the_file(tmp_path):
    head = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(24))

    assert read_shapes(tmp_path) == {"w": [2, 3]}


def test_the_pace_is_that_of_all_together():
    early = Reading(begun=0, stamps=[1, 2, 3, 5, 7, 9], ended=9, tokens=6)
    late = Reading(begun=0, stamps=[4, 6, 8, 10, 10.5, 11], ended=11, tokens=6)

    assert step_seconds([early, late]) == 2
    assert tokens_per_second([early, late]) == pytest.approx(12 / 11)


def test_the_plot_is_an_svg_with_a_line_for_each_way():
    svg = draw({"ours": {1: 47.0, 8: 262.0}, "a & b": {1: 23.8, 8: 24.0}}, "Tokens a second, <GPT-2>")

    root = ET.fromstring(svg)
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Tokens a second, <GPT-2>"
    assert {"ours", "a & b", "1", "8", "300"} <= set(texts)
    assert svg.count("<circle") == 4
    assert "prefers-color-scheme:dark" in svg


def test_more_lines_than_colours_are_dashed():
    svg = draw({f"way {number}": {1: number} for number in range(5)}, "")

    ET.fromstring(svg)
    assert svg.count("stroke-dasharray") == 2  # the line and the sample beside its name


def test_ticks_are_round():
    assert nice_ticks(262) == [0, 100, 200, 300]
    assert nice_ticks(24) == [0, 5, 10, 15, 20, 25]
    assert nice_ticks(0)[0] == 0


def test_names_keep_their_distance_and_stay_on_the_ground():
    assert spread_out([100, 102, 50], 16) == [100, 116, 50]
    low = spread_out([HEIGHT, HEIGHT, HEIGHT - 1], 16)
    assert max(low) < HEIGHT
    assert sorted(low) == [low[2], low[2] + 16, low[2] + 32]


@pytest.mark.parametrize("streams", [(1,), (1, 8, 32)])
def test_nothing_measured_is_nothing_compared(streams):
    assert compare(Results(), "cuda", streams) == []
