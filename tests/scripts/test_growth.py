"""The program that says how cost grows: its exponents and marks, and its points at tiny sizes."""

import json

import cli
import numpy as np
import pytest
from benchmarks import growth, growth_points, program


def test_an_exponent_is_that_of_the_power_law():
    small, large = {"size": 4, "cost": 3.0}, {"size": 16, "cost": 24.0}
    assert growth.exponent(small, large, "size", "cost") == pytest.approx(1.5)


def row(axis, size, cost, plan="graph"):
    """A point's numbers."""
    return {"axis": axis, "plan": plan, "size": size, "seconds_per_update": cost, "startup_seconds": 2.0,
            "variables": 4, "own_bytes": 2**20}


def test_growth_is_told_within_an_axis_and_marked_where_it_is_steep():
    rows = [row("batch", 16, 1e-4), row("batch", 64, 2e-4), row("depth", 1, 1e-4), row("depth", 2, 3e-4)]
    lines = [line.split() for line in growth.update_table(rows).splitlines()[2:]]
    assert lines[0] == ["batch", "graph", "16", "100", "2.0", "4", "1"]
    assert lines[1][:6] == ["batch", "graph", "64", "200", "0.50", "2.0"]
    assert lines[3][:6] == ["depth", "graph", "2", "300", "1.58", "!"]


def test_memory_and_start_up_that_grow_with_the_data_are_marked():
    def point(examples, own, startup):
        return {"source": "array", "examples": examples, "own_bytes": own, "startup_seconds": startup,
                "data_bytes": 32 * examples, "source_seconds": 0.01, "seconds_per_batch": 1e-4,
                "peak_memory_bytes": 2**28}

    text = growth.data_table([point(10, 2**27, 2.0), point(10**6, 2**27 + 2**24, 2.5), point(10**7, 2**29, 4.0)])
    assert [line.count("!") for line in text.splitlines()[2:]] == [0, 0, 2]


def test_rows_are_a_npy_file_of_so_many_examples(tmp_path):
    path = tmp_path / "rows.npy"
    growth_points.write_rows({"path": str(path), "examples": 25}, at_once=10)
    rows = np.load(path, mmap_mode="r")
    assert rows.shape == (25, 32) and rows.dtype == np.uint8 and len(np.unique(rows)) > 200
    assert path.stat().st_size % 64 == (25 * 32) % 64  # the data begin where memory is aligned


@pytest.mark.parametrize("source", growth.SOURCES)
def test_both_sources_give_every_row_once_per_epoch(source, tmp_path):
    path = tmp_path / "rows.npy"
    growth_points.write_rows({"path": str(path), "examples": 2 * growth_points.BATCH})
    rows = np.load(path, mmap_mode="r")
    made = getattr(growth_points, f"_{source}_source")(rows)
    reader = made.open(0)
    seen = np.concatenate([made.transform(made.batch(number, reader), None)["row"].numpy() for number in range(2)])
    found = np.round(seen * 255).astype(np.uint8)
    assert sorted(map(bytes, found)) == sorted(map(bytes, rows))


def test_variables_follow_from_phases_depth_and_pieces():
    point = {"batch": 8, "phases": 2, "depth": 2, "pieces": 4, "plan": "graph", "seconds": 0.01}
    found = growth_points.update(point)
    assert found["variables"] == 2 * 2 * 4 * 2  # phases, layers, pieces; kernel and bias
    assert found["seconds_per_update"] > 0 and found["own_bytes"] > 2**20


def test_each_point_is_a_process_and_all_of_them_make_a_table(monkeypatch):
    asked = []

    def run(name, point):
        asked.append(point)
        return {"seconds_per_update": 1e-4, "startup_seconds": 2.0, "variables": 4, "own_bytes": 2**20}

    monkeypatch.setattr(program, "run", run)
    chosen = cli.Command(growth.Options(), None).parse(["--part", "updates", "--axis", "depth", "--plan", "xla"])
    result, text = growth.work(chosen)
    assert [each["update"]["depth"] for each in asked] == list(growth.AXES["depth"])
    assert {(each["update"]["batch"], each["update"]["plan"]) for each in asked} == {(128, "xla")}
    assert list(result) == ["updates"] and len(text.splitlines()) == 2 + len(asked)


def test_the_data_part_measures_every_size_and_writes_what_it_found(tmp_path, monkeypatch, capsys):
    """With its points in this process; tests/faults/test_growth.py types it."""
    monkeypatch.setattr(program, "run", lambda name, point: growth_points.measured(point))
    path = tmp_path / "new" / "growth.json"
    chosen = cli.Command(growth.Options(), None).parse(["--quick", "--part", "data", "--source", "array", "--json",
                                                        str(path)])
    assert program.main(chosen, growth.work, growth.measured) == 0
    written = json.loads(path.read_text())["data"]
    assert [each["examples"] for each in written] == [1_000, 100_000]
    assert all(each["data_bytes"] == 32 * each["examples"] and each["seconds_per_batch"] > 0 for each in written)
    shown = capsys.readouterr().out
    assert "own memory, MiB" in shown and shown.endswith(f"{path}\n")
