"""The benchmark: its timing with a clock of the test's own, its pairs, its verdicts, and one real worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import benchmark
import numpy as np
import pytest
from benchmarks import agree, pairs, processes, worker, workloads

ROOT = Path(__file__).parents[2]
FIGURES = {"elbo": {"reconstruction": 592.0, "kl": 6.6, "gradient_norm": 202.0, "step": 0.448}}


class Machine:
    """A clock, and a loop that takes a fixed time per cycle on it."""

    def __init__(self, seconds_per_cycle: float, multiple: int = 1) -> None:
        self.now, self.calls, self._each, self._multiple = 0.0, [], seconds_per_cycle, multiple

    def run(self, cycles: int) -> int:
        done = -(-cycles // self._multiple) * self._multiple
        self.calls.append(done)
        self.now += done * self._each
        return done

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("each", [0.001, 0.3, 2.5])
def test_measure_gives_the_rate_after_a_warm_second(each: float) -> None:
    machine = Machine(each)
    rate, cycles = worker.measure(machine.run, 6.0, machine.clock)
    assert rate == pytest.approx(1 / each)
    assert cycles * each >= 6.0 - 1e-9
    assert (sum(machine.calls) - cycles) * each >= worker.WARM_SECONDS


def test_measure_counts_what_a_loop_really_did() -> None:
    machine = Machine(0.01, multiple=512)
    rate, cycles = worker.measure(machine.run, 6.0, machine.clock)
    assert rate == pytest.approx(100.0) and cycles % 512 == 0


def test_measure_takes_the_median_over_chunks() -> None:
    machine = Machine(0.01)

    def run(cycles: int) -> int:
        machine.now += 3.0 if len(machine.calls) == 6 else 0.0  # a neighbour's hiccup, once
        return machine.run(cycles)

    assert worker.measure(run, 12.0, machine.clock)[0] == pytest.approx(100.0)


def _result(rate: float) -> dict[str, float]:
    return {"cycles_per_second": rate, "setup_seconds": 2.0, "peak_memory_bytes": 2**20}


def test_pairs_alternate_and_the_ratio_is_taken_pair_by_pair() -> None:
    order, ours, peer = [], iter([10.0, 20.0, 30.0]), iter([5.0, 5.0, 30.0])

    def timed(name: str, rates: object) -> dict[str, float]:
        order.append(name)
        return _result(next(rates))

    made = pairs.run_pairs(lambda: timed("ours", ours), lambda: timed("peer", peer), 3, lambda *told: None)
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    row = pairs.summary("vae", "keras", {"jit": False, "steps": 32, "threads": None}, made)
    assert row["ratio"] == {"median": 2.0, "min": 1.0, "max": 4.0}
    text = pairs.table([row, {"workload": "vae", "peer": "torch", "missing": "not installed"}])
    assert "2.00 (1.00..4.00)" in text and "jit=no steps=32 " in text and "threads" not in text
    assert "not installed" in text.splitlines()[-1]


def test_the_time_left_follows_from_the_time_spent() -> None:
    said, machine = [], Machine(1.0)
    clock = pairs.Clock(8, machine.clock, said.append)
    machine.now = 60.0
    clock.tell("vae")
    assert said == ["[2/8] vae; about 3 min left"]


def test_rounding_agrees_and_other_mathematics_does_not() -> None:
    near = {"elbo": {name: value * (1 + 3e-6) for name, value in FIGURES["elbo"].items()}}
    assert agree.difference(FIGURES, near) == (pytest.approx(3e-6, rel=1e-3), [])
    _, faults = agree.difference(FIGURES, {"elbo": {**FIGURES["elbo"], "kl": 6.61}})
    assert faults == ["elbo/kl is 6.61 and must be 6.6"]
    assert len(agree.difference(FIGURES, {"elbo": {**FIGURES["elbo"], "kl": float("nan")}})[1]) == 1
    assert len(agree.difference(FIGURES, {})[1]) == 4


class Workers:
    """Contestants that do nothing, and say so fast."""

    figures = FIGURES

    def __init__(self, data: Path, torch_python: str) -> None:
        self.data = data

    def prepare(self, names: list[str]) -> None:
        pass

    def torch_version(self) -> None:
        return None

    def run(self, contestant: str, workload: str, *options: str, settings: object = None) -> dict[str, object]:
        if "--verify" in options:
            return {"figures": FIGURES if contestant == "ours" else self.figures}
        return {**_result(100.0 if contestant == "ours" else 50.0), "settings": settings or {"jit": True}}


def _main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> int:
    monkeypatch.setattr(benchmark, "Workers", Workers)
    path = str(tmp_path / "new" / "figures.json")
    return benchmark.main(benchmark.options().parse_args(["--workload", "vae", "--json", path, *arguments]))


def test_a_table_and_a_file_come_out_and_torch_is_named_as_missing(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(monkeypatch, tmp_path) == 0
    assert "not installed: pip install" in capsys.readouterr().out
    written = json.loads((tmp_path / "new" / "figures.json").read_text())
    assert [row["peer"] for row in written["rows"]] == list(processes.PEERS)
    keras = written["rows"][0]
    assert keras["settings"] == {"jit": True} and len(keras["pairs"]) == 5 and keras["ratio"]["median"] == 2.0
    assert written["machine"]["torch"] == "not installed"
    assert set(written["verified"]["vae"]) == {"keras", "notes", "bare"}


def test_other_mathematics_ends_the_benchmark(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Workers, "figures", {"elbo": {**FIGURES["elbo"], "kl": 7.0}})
    assert _main(monkeypatch, tmp_path, "--against", "bare") == 1
    assert "error: vae, bare against ours: elbo/kl is 7 and must be 6.6" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("arguments", "text"), [
    (["--pairs", "0"], "must be an integer of at least 1"), (["--threads", "none"], "must be an integer"),
    (["--against", "jax"], "jax")])
def test_bad_options_are_one_line(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.options().parse_args(arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and text in error and error.count("\n") == 1


def test_a_worker_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(processes.Failed, match=r"benchmarks\.notes --workload vae ended with 1: FileNotFoundError"):
        processes.Workers(tmp_path).run("notes", "vae")


def test_draws_are_those_of_the_phase() -> None:
    workload = workloads.WORKLOADS["wgan-gp-64"]
    assert workloads.draw_shapes(workload, "critic") == {"z": (64, 100), "mix": (64,)}
    assert workloads.draw_shapes(workload, "generator") == {"z": (64, 100)}
    assert workload.batches == 5 and workloads.WORKLOADS["vae"].batches == 1


@pytest.mark.slow
def test_ours_and_bare_compute_the_same_and_can_be_timed(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, [256, 28, 28, 1], np.uint8)
    np.save(tmp_path / "vae.npy", images)
    workers = processes.Workers(tmp_path)
    differences, faults = agree.check(workers, "vae", ["bare"], None)
    assert faults == [] and differences["bare"] < agree.RTOL
    timed = workers.run("ours", "vae", "--seconds", "0.1")
    assert timed["cycles_per_second"] > 0 and timed["peak_memory_bytes"] > 2**20 and timed["cycles"] >= 1


def test_the_orchestrator_imports_no_framework() -> None:
    script = "import benchmark, sys; assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
