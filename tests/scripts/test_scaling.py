"""The program that says what many workers would cost: its messages are those of the engine's code, its clocks right."""

import dataclasses
import json

import numpy as np
import pytest
from benchmarks import program, scaling, scaling_tables, schedule
from benchmarks.processes import Failed
from benchmarks.schedule import Cost, Message

LINKS = Cost(1e-5, 1e9)


@pytest.mark.parametrize("count", [2, 4, 8, 16])
@pytest.mark.parametrize("numbers", [1, 4096, 4097, 10_001])
def test_the_schedule_of_a_sum_is_that_of_the_engines_code_on_every_worker(count, numbers):
    rounds = schedule.rounds_of_sum(count, numbers)
    data = np.ones(numbers, "float32")
    lists = [schedule.noted(lambda links: links.sum(data, "sum"), rank, count) for rank in range(count)]
    assert lists == [schedule.of_worker(rounds, rank) for rank in range(count)]
    np.testing.assert_allclose(schedule.played(lists, LINKS),
                               schedule.replayed(np.zeros(count), schedule.steps(rounds, LINKS)), rtol=1e-12)


@pytest.mark.parametrize("numbers", [3, 10_001])
def test_threads_that_run_the_engines_code_have_the_clocks_of_the_replay(numbers):
    scaling.proved(dataclasses.replace(LINKS, machine=2, message=2e-5, byte=1e-10), numbers)


def test_a_schedule_that_is_not_the_codes_is_told(monkeypatch):
    whole = schedule.rounds_of_sum
    monkeypatch.setattr(schedule, "rounds_of_sum", lambda *options: whole(*options)[1:])
    with pytest.raises(Failed, match="mend benchmarks/schedule"):
        scaling.proved(LINKS, 10_001)


def test_clocks_wait_for_the_later_of_two():
    found = schedule.replayed(np.array([5.0, 0.0]), [(np.array([1, 0]), np.array([0.5, 0.5]))])
    assert found.tolist() == [5.5, 5.5]
    lists = [[Message(1, 10**9, 0)], [Message(0, 0, 10**9), Message(2, 0, 0)], [Message(1, 0, 0)]]
    assert schedule.played(lists, LINKS) == pytest.approx([1.00001, 1.00002, 1.00002])
    with pytest.raises(RuntimeError, match="meets none"):
        schedule.played([[Message(1, 0, 0)], []], LINKS)
    with pytest.raises(RuntimeError, match="what is awaited"):
        schedule.played([[Message(1, 0, 0)], [Message(0, 4, 0)]], LINKS)


def test_each_way_by_hand():
    assert schedule.ring(4, 4e9, LINKS) == pytest.approx(6 * (1e-5 + 1))
    assert schedule.tree(4, 4e9, LINKS) == pytest.approx(4 * (1e-5 + 4))
    in_machines = dataclasses.replace(LINKS, machine=2)
    # halves of 4 GB inside; then a quarter of it each, two at once over one link
    assert schedule.hierarchical(4, 4e9, in_machines) == pytest.approx(2 * (1e-5 + 2) + 2 * (1e-5 + 2 * 1))


@pytest.mark.parametrize("count", [8, 64])
def test_ours_is_the_hierarchical_sum_where_workers_of_a_machine_are_neighbours_and_dearer_where_not(count):
    cost = Cost(1e-5, 1e9, machine=8)
    rounds = schedule.rounds_of_sum(count, 2**20)

    def ours(cost):
        return schedule.replayed(np.zeros(count), schedule.steps(rounds, cost)).max()

    assert ours(cost) == pytest.approx(schedule.hierarchical(count, 2**22, cost), rel=1e-9)
    scattered = ours(dataclasses.replace(cost, scattered=count // 8))
    assert scattered == ours(cost) if count == 8 else scattered > 2 * ours(cost)


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_exchanging_with_all_in_one_order_takes_twice_as_many_steps_as_there_are_workers(count):
    lists = [[] for _ in range(count)]
    for low in range(count):
        for high in range(low + 1, count):
            lists[low].append(Message(high, 0, 0))
            lists[high].append(Message(low, 0, 0))
    assert max(schedule.played(lists, Cost(1.0, 1e9))) == schedule.all_pairs(count)


def test_a_call_asks_for_the_clock_and_for_signals():
    assert scaling_tables.per_call(8, Cost(1.0, 1e30)) == pytest.approx(3 * 3 + 3)


RECORDED = {"workload": "vae", "batch": 128, "as": 8, "batch_bytes": 100_352, "seconds": [1.0, 2.0],
            "processor_seconds": [0.010, 0.012], "reading_seconds": 1e-4, "sums": [{"name": "update", "numbers": 1000}],
            "statistics": [{"name": "batch statistics", "numbers": 72}], "state_bytes": 12_000, "digest_seconds": 0.01,
            "copy_seconds": 0.01, "write_seconds": 0.1}


def chosen(**options):
    return dataclasses.replace(scaling.Options(), workload=("vae",), workers=(8, 64), **options)


def test_an_update_waits_for_the_slowest_and_statistics_grow_with_the_workers():
    cost = Cost(1e-9, 1e12)
    found = scaling_tables.of_update(RECORDED, 64, cost, chosen(updates=50))
    assert found["compute"] == pytest.approx(0.011)
    assert found["waiting"] == pytest.approx(0.001, abs=1e-5)  # of 64 one takes the longer time
    assert found["checkpoint"] == pytest.approx(0.02 / 60 * found["whole"], rel=1e-2)
    assert 0.9 < found["efficiency"] < 0.92 and found["batch"] == 64 * 128
    slow = [scaling_tables.of_update(RECORDED, count, Cost(0.0, 1e6), chosen(updates=2))["statistics"]
            for count in (8, 64)]
    assert slow == pytest.approx([3 * 72 * 4e-6, 6 * 72 * 8 * 4e-6])


def test_the_tables_of_what_was_recorded(tmp_path):
    path = tmp_path / "times.json"
    path.write_text(json.dumps({"workloads": {"vae": RECORDED}, "message": 4e-5, "byte": 1e-9}))
    result, text = scaling.work(chosen(recorded=path, updates=5))
    assert [row["sockets"] for row in result["limits"]] == [6, 12]
    assert [row["efficiency"] < 1 for row in result["updates"]] == [True] * 2
    assert "a message of ours takes 40 us" in text and text.count("vae") == 4


def test_what_is_shipped_was_recorded_of_every_workload():
    held = json.loads(scaling.RECORDED.read_text())
    assert set(held["workloads"]) == set(scaling.Options().workload)
    assert all(len(each["seconds"]) == len(each["processor_seconds"]) >= 20 for each in held["workloads"].values())


def test_an_update_is_recorded_with_the_sums_that_it_takes():
    found = program.run("scaling", {"workload": "mlp", "updates": 2, "warm": 1})
    assert len(found["seconds"]) == len(found["processor_seconds"]) == 2
    ((gradients,), others) = found["sums"], found["statistics"]
    assert gradients["numbers"] > 50_000 and others == [] and found["state_bytes"] > 8 * gradients["numbers"]
