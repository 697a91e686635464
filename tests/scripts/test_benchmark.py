"""The benchmark: its timing with a clock of the test's own, its pairs, its verdicts, and one real worker."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import benchmark
import cli
import numpy as np
import pytest
from benchmarks import agree, bars, inputs, known, layouts, pairs, processes, trial, worker, workloads

from tests.scripts.running import run_module

ROOT = Path(__file__).parents[2]
METRICS = {"elbo": {"reconstruction": 592.0, "kl": 6.6, "gradient_norm": 202.0, "step": 0.448}}


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


def _result(rate: float) -> dict[str, object]:
    return {"cycles_per_second": rate, "setup_seconds": 2.0, "peak_memory_bytes": 2**20, "settings": {"plan": "xla"},
            "multiply_adds": 5e6}


def test_a_round_times_ours_between_the_peers_and_ratios_are_taken_round_by_round() -> None:
    order, rates = [], {"ours": iter([10.0, 20.0, 30.0]), "keras": iter([5.0, 5.0, 30.0]), "bare": iter([10.0] * 3)}

    def timed(name: str) -> dict[str, object]:
        order.append(name)
        return _result(next(rates[name]))

    timers = {name: lambda name=name: timed(name) for name in rates}
    told = []
    made = pairs.run_rounds(timers, 3, lambda *each: told.append(each))
    assert order == ["keras", "ours", "bare", "bare", "ours", "keras", "keras", "ours", "bare"]
    assert told[1] == (2, {"keras": 5.0, "ours": 20.0, "bare": 10.0})
    assert [pair["ratio"] for pair in made["bare"]] == [1.0, 2.0, 3.0]
    settings = {"jit": False, "steps": 32, "threads": None}
    row = pairs.summary("vae", "bfloat16", "keras", settings, made["keras"], ceiling=1.0)
    assert row["ratio"] == {"median": 2.0, "min": 1.0, "max": 4.0}
    assert row["fraction_of_ceiling"] == {"ours": pytest.approx(0.2), "peer": pytest.approx(0.05)}
    text = pairs.table([row, {"workload": "vae", "precision": "float32", "peer": "torch",
                              "missing": "not installed"}])
    assert "vae       bfloat16   plan=xla      keras" in text
    assert "2.00 (1.00..4.00)" in text and "jit=no steps=32 " in text and "threads" not in text
    assert "20 : 5" in text and "not installed" in text.splitlines()[-1]


def test_the_picture_has_a_bar_for_each_ratio(tmp_path: Path) -> None:
    from PIL import Image

    spread = {"median": 3.0, "min": 2.0, "max": 4.0}
    rows = [{"workload": "vae", "precision": "float32", "peer": "keras", "ratio": spread},
            {"workload": "vae", "peer": "torch", "missing": "not installed"}]
    bars.draw(rows, tmp_path / "new" / "bars.png")
    image = Image.open(tmp_path / "new" / "bars.png").convert("RGB")
    colour = tuple(bytes.fromhex(bars.COLOURS["keras"][1:]))
    across = [x for x in range(image.width) if image.getpixel((x, bars.TOP + 4)) == colour]
    inner = bars.WIDTH - bars.LEFT - bars.RIGHT
    bars.draw([rows[1]], tmp_path / "none.png")  # of missing peers alone: no bar, no error
    assert len(across) == pytest.approx(inner * np.log(3) / np.log(8), abs=3)  # of a scale from 0.5 to 4


def test_settings_are_kept_and_belong_to_a_machine(tmp_path: Path) -> None:
    path, machine = tmp_path / "new" / "settings.json", dict.fromkeys(known.SAME, 1)
    asked = []

    def find() -> dict[str, object]:
        asked.append(1)
        return {"settings": {"jit": True}}

    for _ in range(2):
        assert known.Known(path, machine).of("keras vae", find) == {"settings": {"jit": True}}
    assert len(asked) == 1
    known.Known(path, {**machine, "torch": "2.14"}).of("keras vae", find)
    assert len(asked) == 2
    path.write_text("{")
    known.Known(path, machine).of("keras vae", find)
    assert len(asked) == 3


def test_the_time_left_follows_from_the_time_spent() -> None:
    said, machine = [], Machine(1.0)
    clock = pairs.Clock(8, machine.clock, said.append)
    machine.now = 60.0
    clock.tell("vae")
    assert said == ["[2/8] vae; about 3 min left"]


def test_rounding_agrees_and_other_mathematics_does_not() -> None:
    near = {"elbo": {name: value * (1 + 3e-6) for name, value in METRICS["elbo"].items()}}
    assert agree.difference(METRICS, near) == (pytest.approx(3e-6, rel=1e-3), [])
    _, faults = agree.difference(METRICS, {"elbo": {**METRICS["elbo"], "kl": 6.61}})
    assert faults == ["elbo/kl is 6.61 and must be 6.6"]
    assert len(agree.difference(METRICS, {"elbo": {**METRICS["elbo"], "kl": float("nan")}})[1]) == 1
    assert len(agree.difference(METRICS, {})[1]) == 4


def test_a_check_is_wider_in_bfloat16_and_for_gradients_after_many_kinks() -> None:
    def faults(name: str, factor: float, workload: str, precision: str) -> int:
        other = {"elbo": {**METRICS["elbo"], name: METRICS["elbo"][name] * factor}}
        return len(agree.difference(METRICS, other, agree.tolerance(workload, "keras", precision))[1])

    assert faults("kl", 1.02, "vae", "bfloat16") == 0 and faults("kl", 1.02, "vae", "float32") == 1
    assert faults("kl", 1.04, "vae", "bfloat16") == 1 and faults("gradient_norm", 1.04, "vae", "bfloat16") == 1
    assert faults("gradient_norm", 1.002, "resnet18", "float32") == 0
    assert faults("gradient_norm", 1.002, "mlp", "float32") == 1
    assert faults("gradient_norm", 1.01, "resnet18", "float32") == 1 and faults("kl", 1.002, "resnet18", "float32") == 1
    assert faults("step", 1.002, "resnet18", "float32") == 1
    assert faults("step", 1.0015, "lstm", "float32") == 0 and faults("step", 1.0025, "lstm", "float32") == 1


TIMED = """
import json, sys, time
settings = json.loads(sys.argv[sys.argv.index("--settings") + 1])
if settings["jit"] == "never":
    time.sleep(60)
if settings["jit"] == "fails":
    sys.exit("ValueError: it does not compile")
print(json.dumps({"cycles_per_second": settings["rate"], "settings": settings}))
"""


def test_a_trial_finds_the_fastest_and_says_what_it_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    candidates = [{"jit": "no", "rate": 3.0}, {"jit": "fails"}, {"jit": "yes", "rate": 5.0}, {"jit": "never"}]
    found = trial.best("keras", candidates, [sys.executable, "-c", TIMED], limit=2.0)
    assert found["settings"] == candidates[2] and found["cycles_per_second"] == 5.0
    assert [list(each.values())[1] for each in found["tried"]] == [
        3.0, "ValueError: it does not compile", 5.0, "not done in 2 s"]
    assert 'keras {"jit": "fails"}: left out: ValueError' in capfd.readouterr().err
    with pytest.raises(SystemExit, match="no candidate of keras could be timed"):
        trial.best("keras", candidates[1:2] * 2, [sys.executable, "-c", TIMED], limit=5.0)


def test_a_single_candidate_is_not_timed_and_threads_make_candidates_equal() -> None:
    candidates = trial.fixed([{"steps": 1, "threads": None}, {"steps": 1, "threads": 1}], 2)
    assert trial.best("bare", candidates, ["/no/such/program"], 1.0)["settings"] == {"steps": 1, "threads": 2}


class Workers:
    """Contestants that do nothing, and say so fast; keras gives other metrics at the settings that win."""

    metrics = METRICS
    metrics_of_winner = METRICS
    asked: ClassVar[list[str]] = []

    def __init__(self, data: Path, torch_python: str, precision: str) -> None:
        self.data, self.precision = data, precision
        self.asked.clear()

    def prepare(self, names: list[str]) -> None:
        pass

    def torch_version(self) -> None:
        return None

    def run(self, contestant: str, workload: str, *options: str, settings: object = None) -> dict[str, object]:
        self.asked.append(f"{contestant} {options[0]}")
        if "--verify" in options:
            theirs = self.metrics_of_winner if settings else self.metrics
            return {"metrics": METRICS if contestant == "ours" else theirs}
        return {**_result(100.0 if contestant == "ours" else 50.0), "settings": settings or {"jit": True}}


def _main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> int:
    monkeypatch.setattr(benchmark, "Workers", Workers)
    monkeypatch.setattr(benchmark, "ceilings", lambda: {"matmul": {"float32": {"gflops": 400.0}}})
    places = [f"--{name}={tmp_path / place}" for name, place in (
        ("json", "new/metrics.json"), ("settings", "settings.json"), ("picture", "bars.png"))]
    return benchmark.main(cli.Command(benchmark.Options(), None).parse(["--workload", "vae", *places, *arguments]))


def test_a_table_and_a_file_come_out_and_torch_is_named_as_missing(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(monkeypatch, tmp_path) == 0
    assert "not installed: pip install" in capsys.readouterr().out
    written = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert [row["peer"] for row in written["rows"]] == list(processes.PEERS)
    keras = written["rows"][0]
    assert keras["settings"] == {"jit": True} and len(keras["pairs"]) == 3 and keras["ratio"]["median"] == 2.0
    assert written["machine"]["torch"] == "not installed"
    assert set(written["verified"]["vae"]) == {"keras", "notes", "bare"}


def test_other_mathematics_at_the_settings_that_win_ends_the_benchmark(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Workers, "metrics_of_winner", {"elbo": {**METRICS["elbo"], "kl": 7.0}})
    assert _main(monkeypatch, tmp_path, "--against", "keras") == 1
    assert "error: vae, keras against ours: elbo/kl is 7 and must be 6.6" in capsys.readouterr().err
    assert "keras --trial" in Workers.asked and "keras --seconds" not in Workers.asked
    assert not (tmp_path / "new").exists()
    assert "keras vae float32" in json.loads((tmp_path / "settings.json").read_text())["trials"]


def test_verify_only_names_every_fault_and_times_nothing(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--verify-only", "--workload", "vae", "lstm", "--precision", "bfloat16")
    assert _main(monkeypatch, tmp_path, *both) == 0
    assert "lstm, bfloat16: one update agrees with ours" in capsys.readouterr().out
    assert all(asked.endswith("--verify") for asked in Workers.asked) and not (tmp_path / "new").exists()
    monkeypatch.setattr(Workers, "metrics", {"elbo": {**METRICS["elbo"], "kl": 7.0}})
    assert _main(monkeypatch, tmp_path, *both) == 1
    assert capsys.readouterr().err.count("error: ") == 6


@pytest.mark.parametrize(("arguments", "text"), [
    (["--pairs", "0"], "must be an integer of at least 1"), (["--threads", "none"], "must be an integer"),
    (["--against", "jax"], "jax"), (["--precision", "float16"], "must be one of float32, bfloat16")])
def test_bad_options_are_one_line(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.Command(benchmark.Options(), None).parse(arguments)
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


def test_what_a_workload_reads_and_moves() -> None:
    lstm, wgan = workloads.WORKLOADS["lstm"], workloads.WORKLOADS["wgan-gp-28"]
    assert {name: each.file for name, each in lstm.inputs.items()} == {"tokens": "tokens.npy",
                                                                       "label": "sentiments.npy"}
    assert wgan.moves == {"critic": "critic", "generator": "generator"} and wgan.repeats["critic"] == 5
    assert workloads.draw_shapes(lstm, "classifier") == {}
    assert dataclasses.replace(wgan, precision="bfloat16").batches == 5


def test_inputs_are_of_the_shapes_and_types_that_workloads_name(tmp_path: Path) -> None:
    inputs.prepare(tmp_path, ["mlp", "lstm"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images-28.npy", "labels.npy", "sentiments.npy",
                                                                "tokens.npy"]
    for name in ("mlp", "lstm"):
        workload = workloads.WORKLOADS[name]
        for key, array in inputs.read(tmp_path, workload).items():
            each = workload.inputs[key]
            assert array.shape == (9000, *each.shape) and array.dtype == each.dtype
    tokens = inputs.read(tmp_path, workloads.WORKLOADS["lstm"])["tokens"]
    assert tokens.min() == 1 and tokens.max() == inputs.VOCABULARY - 1  # 0 would be padding
    small = inputs.resized(np.full([2, 28, 28, 1], 7, np.uint8), (32, 32, 3))
    assert small.shape == (2, 32, 32, 3) and (small == 7).all()


def test_a_dense_layer_between_feature_maps_is_turned() -> None:
    random = np.random.default_rng(0)
    x, kernel, bias = random.normal(size=[5, 3, 2, 4]), random.normal(size=[24, 30]), random.normal(size=30)
    keras_map = (x.reshape(5, 24) @ kernel + bias).reshape(5, 2, 3, 5)  # height, width, channels
    flat = x.transpose(0, 3, 1, 2).reshape(5, 24)
    weight = layouts.dense(kernel, inputs=(4, 3, 2), outputs=(5, 2, 3))
    torch_map = (flat @ weight.T + layouts.units(bias, (5, 2, 3))).reshape(5, 5, 2, 3)
    np.testing.assert_allclose(torch_map, keras_map.transpose(0, 3, 1, 2), rtol=1e-12)
    assert (layouts.dense(kernel, 24, 30) == kernel.T).all() and (layouts.units(bias, 30) == bias).all()


def test_kernels_are_turned() -> None:
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # height, width, in, out
    assert layouts.convolution(kernel)[4, 3, 1, 2] == kernel[1, 2, 3, 4]
    assert layouts.feature_map(kernel[..., 0])[3, 1, 2] == kernel[1, 2, 3, 0]
    assert layouts.gates(kernel[0, 0])[4, 3] == kernel[0, 0, 3, 4]


def test_layers_take_keras_weights_in_order() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.torch_layers import load_weights
    from benchmarks.torch_nets import make_nets

    workload = workloads.WORKLOADS["lstm"]
    nets = make_nets(workload, False)
    arrays = [[20_000, 100], [100, 256], [64, 256], [256], [64, 256], [64, 256], [256], [64, 1], [1]]
    held = {f"net.classifier.{i:03}": np.full(shape, i, np.float32) for i, shape in enumerate(arrays)}
    load_weights(nets, held)
    lstm = nets["classifier"].lstm
    assert lstm.bias_ih_l1.mean().item() == 6 and not lstm.bias_hh_l1.any() and not lstm.bias_hh_l1.requires_grad
    assert nets["classifier"](torch.ones(2, 100, dtype=torch.int32)).shape == (2,)


class Here(processes.Workers):
    """Contestants in the process of the tests, one after another."""

    def _run(self, command: list[str], show: bool = False) -> str:
        done = run_module(*command[2:], cwd=self.data)
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_ours_and_bare_compute_the_same_and_can_be_timed(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for each in workloads.WORKLOADS["mlp"].inputs.values():  # those of vae too
        np.save(tmp_path / each.file, random.integers(0, 10, [256, *each.shape]).astype(each.dtype))
    workers = Here(tmp_path)
    assert agree.Check(workers, "vae").of("bare") < 1e-5
    timed = workers.run("ours", "mlp", "--seconds", "0.1")
    assert timed["cycles_per_second"] > 0 and timed["peak_memory_bytes"] > 2**20 and timed["cycles"] >= 1
    assert timed["precision"] == "float32"


def test_the_orchestrator_imports_no_framework() -> None:
    script = "import benchmark, sys; assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
