"""sweep.py as a person runs it; the trials are of a stub that trains nothing, or of a small regression."""

import json
import math
import signal
import subprocess
import sys
import time

import brackets
import numpy as np
import pytest
import search_space
import sweep_options
import trials
from brackets import Bracket, climb, halving, hyperband
from search_space import Listed, Range, cell, drawn, vary

from tests.scripts.running import ENVIRONMENT, ROOT, run

# A train script whose squared error falls with the epochs, and is least at a rate of 0.1.
STUB = '''
import json, math, signal, sys, time
from pathlib import Path
sys.path.append({scripts!r})
import dataclasses
import cli
from fields import option
from rules import Choice, net_option, positive, whole

@dataclasses.dataclass(frozen=True)
class Options:
    rate: float = option(0.1, "", positive)
    net: str = option("small", "", Choice("small", "large"))
    flip: bool = option(False, "", bool)
    net_option: tuple = option((), "", net_option, nargs="append")
    plan: str = option("auto", "")
    decay: str = option("none", "", Choice("none", "cosine"))
    decay_cycles: int = option(None, "", whole)
    on_bad_update: str = option("stop", "")
    patience: float = option(None, "", positive)
    evaluate_every: float = option(1.0, "", positive)
    data_dir: Path = option(None, "", Path)
    refuse: float = option(math.inf, "", float)
    check: bool = option(False, "", bool)
    epochs: float = option(None, "", positive)
    cycles: int = option(None, "", whole)
    goal: str = option(None, "")
    better: str = option(None, "")
    run_dir: str = option(None, "")

def main():
    chosen = cli.Command(Options(), None, files=True).parse()
    if chosen.check:
        print("check passed")
        return 0
    if chosen.goal != "eval/error":
        print(f"error: `--goal` ({{chosen.goal}}) must be one of eval/error")
        return 2
    if chosen.rate > chosen.refuse:
        print("error: `--rate` must be smaller: there is no memory")
        return 2
    folder, epochs = Path(chosen.run_dir), chosen.epochs or chosen.cycles
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{{}}")
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Path({calls!r}).open("a") as file:
        file.write(json.dumps([folder.name, epochs, sys.argv[1:]]) + "\\n")
    print("trains", flush=True)
    while Path("hold").exists() and chosen.rate == 0.2:
        print("waits", flush=True)  # a line that nobody reads ends it, as wiring's standard error does
        time.sleep(0.1)
    value = math.log10(chosen.rate / 0.1) ** 2 + 1 / epochs
    if chosen.rate > 2:
        (folder / "summary.json").write_text(json.dumps({{"stopped": "bad", "cycles": 3, "seconds": 1.0}}))
        print("error: stopped by the health watch at step 3")
        print("the same command with --autopsy ...")
        return 3
    rows = [f"{{i}},{{i}},{{i}},{{i}},{{value + 1 / i}}" for i in range(1, int(epochs) + 1)]
    (folder / "metrics.csv").write_text("\\n".join(["cycle,batches,epoch,seconds,eval/error", *rows]) + "\\n")
    (folder / "summary.json").write_text(json.dumps({{
        "metrics": {{"error": value}}, "cycles": int(epochs), "seconds": epochs,
        "best": {{"metric": "eval/error", "better": "lower", "value": value}}}}))
    (folder / "report.html").write_text("")
    return 0

if __name__ == "__main__":
    raise SystemExit(main())
'''


class Stub:
    """The folder with the stub; ``calls`` are those that trained."""

    def __init__(self, folder):
        self.folder, self._calls = folder, folder / "calls"
        (folder / "train_stub.py").write_text(STUB.format(scripts=str(ROOT / "scripts"), calls=str(self._calls)))

    @property
    def calls(self):
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [tuple(json.loads(line)[:2]) for line in lines]

    def words(self, name):
        return next(json.loads(line)[2] for line in self._calls.read_text().splitlines() if f'"{name}"' in line)

    def sweep(self, *options, folder="s", goal="eval/error"):
        before, sign, after = " ".join(map(str, options)).partition(" -- ")
        return run("sweep.py", "train-stub", *before.split(), "--goal", goal, "--run-dir", self.folder / folder,
                   *([sign.strip(), *after.split()] if sign else []), cwd=self.folder)


@pytest.fixture
def stub(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_options, "HERE", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("train_stub", None)
    return Stub(tmp_path)


def results(stub, folder="s"):
    return json.loads((stub.folder / folder / "results.json").read_text())["trials"]


# draws

def test_a_draw_depends_on_seed_trial_and_option_alone():
    space = {"rate": Range(1e-4, 1e-2, True, False), "net": Listed(("small", "large"))}
    first = [drawn(space, 0, trial) for trial in range(1, 6)]
    other = {"width": Range(8, 64, False, True), **dict(reversed(space.items()))}
    assert [{name: drawn(other, 0, trial)[name] for name in space} for trial in range(1, 6)] == first
    assert first == [drawn(space, 0, trial) for trial in range(1, 6)] != [drawn(space, 1, i) for i in range(1, 6)]
    assert drawn(space, 0, 1) == {"rate": "0.005394", "net": "small"}  # of any machine and version of Python


def ks(values, cdf):
    """The distance of Kolmogorov and Smirnov."""
    at = np.sort([cdf(value) for value in values])
    steps = np.arange(len(at) + 1) / len(at)
    return max(np.max(steps[1:] - at), np.max(at - steps[:-1]))


@pytest.mark.parametrize(("values", "cdf"), [
    (Range(1e-4, 1e-2, True, False), lambda x: math.log(x / 1e-4) / math.log(100)),
    (Range(0.5, 0.9, False, False), lambda x: (x - 0.5) / 0.4)])
def test_ranges_are_even_and_logarithmic_ones_even_over_the_logarithm(values, cdf):
    found = [float(drawn({"a": values}, 0, trial)["a"]) for trial in range(1, 4001)]
    assert ks(found, cdf) < 1.63 / math.sqrt(4000)  # exceeded by one seed of a hundred
    assert min(found) >= values.low and max(found) <= values.high


@pytest.mark.parametrize(("values", "share"), [
    (Range(3, 12, False, True), lambda n: 0.1),
    (Range(1, 16, True, True), lambda n: math.log((n + 0.5) / (n - 0.5)) / math.log(33)),
    (Listed(("0", "1", "2", "3")), lambda n: 0.25)])
def test_whole_numbers_and_lists_come_as_often_as_they_should(values, share):
    space = {"a": values, "b": Range(0.0, 1.0, False, False)}  # or a list is gone through without repeats
    found = [int(drawn(space, 0, trial)["a"]) for trial in range(1, 8001)]
    numbers = range(min(found), max(found) + 1)
    expected = np.array([8000 * share(n) for n in numbers])
    chi2 = float(np.sum((np.array([found.count(n) for n in numbers]) - expected) ** 2 / expected))
    assert expected.sum() == pytest.approx(8000)
    assert chi2 < len(numbers) + 3 * math.sqrt(2 * len(numbers))


def test_lists_alone_are_gone_through_without_repeats():
    space = {"a": Listed(("1", "2", "3")), "b": Listed(("x", "y"))}
    found = [tuple(drawn(space, 0, trial).values()) for trial in range(1, 7)]
    assert len(set(found)) == 6 and found != sorted(found)


def test_a_grid_is_in_the_order_of_the_options_the_last_changing_first():
    space = dict([vary("a=1,2"), vary("b=log:1..100:3"), vary("c=off,on")])
    assert [list(cell(space, i).values()) for i in range(5)] == [
        ["1", "1", "off"], ["1", "1", "on"], ["1", "10", "off"], ["1", "10", "on"], ["1", "100", "off"]]
    assert search_space.typed({"flip": "on", "shift": "off", "rate": "-1", "net-option.width": "16"}) == [
        "--flip", "--rate=-1", "--net-option=width=16"]


@pytest.mark.parametrize(("text", "found"), [
    ("rate=log:1e-4..1e-2", Range(1e-4, 1e-2, True, False)), ("--width=8..64", Range(8, 64, False, True)),
    ("m=0.0..1.0", Range(0.0, 1.0, False, False)), ("m=0.0..0.8:3", Listed(("0", "0.4", "0.8"))),
    ("w=log:8..32:3", Listed(("8", "16", "32"))), ("net-option.hidden=[8],[8,4]", Listed(("[8]", "[8,4]"))),
    ("net=my.nets:A,convnet", Listed(("my.nets:A", "convnet")))])
def test_values_are_read_and_told_as_they_are_typed(text, found):
    name, values = vary(text)
    assert values == found
    assert vary(f"{name}={values}") == (name, values)


# Hyperband

def test_hyperband_is_that_of_the_papers_table():
    found = hyperband(81, 1, 3)  # Li et al. 2018, table 1
    assert [each.rungs for each in found] == [
        ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)), ((27, 3), (9, 9), (3, 27), (1, 81)),
        ((9, 9), (3, 27), (1, 81)), ((6, 27), (2, 81)), ((5, 81),)]
    assert [each.first for each in found] == [1, 82, 109, 118, 124]
    assert [each.rungs for each in hyperband(20, 2, 3)] == [((9, 20 / 9), (3, 20 / 3), (1, 20)), ((3, 20 / 3), (1, 20)),
                                                            ((3, 20),)]
    assert brackets.halvings(243, 1, 3) == 5 and brackets.halvings(0.3, 0.1, 3) == 1  # whose logarithms are not exact


def test_halving_begins_with_the_shortest_so_that_a_longer_one_goes_on():
    assert halving(9, 9, 1, 3)[0].rungs == ((9, 1), (3, 3), (1, 9))
    assert halving(20, 20, 1, 3)[0].rungs == ((20, 1), (6, 3), (2, 9), (1, 20))
    assert halving(2, 100, 1, 3)[0].rungs == ((2, 1), (1, 100))


def test_the_best_go_on_failed_ones_never_and_of_equals_the_earlier():
    bracket = Bracket(1, ((6, 1), (2, 3), (1, 9)))
    values = {(1, 1): 2.0, (2, 1): None, (3, 1): 1.0, (4, 1): 1.0, (5, 1): 1.0, (6, 1): 3.0, (3, 3): None}

    def rungs(better):
        return list(climb(bracket, lambda *at: at in values, lambda *at: values[at], better))

    assert rungs("lower") == [(1, [1, 2, 3, 4, 5, 6], [3, 4]), (3, [3, 4], [])]
    values[4, 3] = 5.0
    assert rungs("lower")[1:] == [(3, [3, 4], [4]), (9, [4], [])]
    assert rungs("higher")[0] == (1, [1, 2, 3, 4, 5, 6], [1, 6])


# sweeps of the stub

def test_a_grid_is_trained_and_not_again(stub):
    done = stub.sweep("--search grid --vary rate=0.01,0.1 --vary flip=on,off --max-epochs 2 -- --net large")
    assert done.returncode == 0, done.stderr
    assert stub.calls == [(f"trial-00{i}", 2.0) for i in (1, 2, 3, 4)]
    words = stub.words("trial-001")
    assert words[:4] == ["--net", "large", "--rate=0.01", "--flip"] and "--flip" not in stub.words("trial-002")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 of 4: trial-001  epoch 2  eval/error 1.500  rate=0.01 flip=on, about ")
    assert lines[3].endswith("rate=0.1 flip=off")
    assert [line.split()[0] for line in lines[5:9]] == ["trial-003", "trial-004", "trial-001", "trial-002"]
    page = (stub.folder / "s" / "sweep.html").read_text()
    assert '<a href="trial-003/report.html">trial-003</a>' in page and "http" not in page
    summary = json.loads((stub.folder / "s" / "summary.json").read_text())
    assert next(iter(summary["trials"])) == "trial-003" and summary["trials"]["trial-003"]["options"]["rate"] == "0.1"
    assert stub.sweep("--search grid --vary rate=0.01,0.1 --vary flip=on,off --max-epochs 2 -- --net large"
                      ).returncode == 0 and len(stub.calls) == 4
    more = stub.sweep("--search grid --vary rate=0.01,0.1 --vary flip=on,off --max-epochs 3 -- --net large")
    assert more.returncode == 0 and stub.calls[4:] == [(f"trial-00{i}", 3.0) for i in (1, 2, 3, 4)]


def test_more_trials_keep_the_first(stub):
    assert stub.sweep("--trials 3 --vary rate=log:0.01..1 --max-epochs 1").returncode == 0
    before = results(stub)
    assert stub.sweep("--trials 5 --vary rate=log:0.01..1 --max-epochs 1").returncode == 0
    assert len(stub.calls) == 5 and {trial: results(stub)[trial] for trial in before} == before
    shorter = stub.sweep("--trials 5 --vary rate=log:0.01..1 --max-epochs 0.5")
    assert shorter.returncode == 2 and "`--max-epochs` (0.5) must be at least 1" in shorter.stderr


def test_what_diverges_is_a_result_and_the_worst(stub):
    done = stub.sweep("--search halving --trials 3 --vary rate=0.1,5,1 --max-epochs 3")
    assert done.returncode == 0, done.stderr
    failed = next(line for line in done.stdout.splitlines() if "failed" in line)
    assert "eval/error failed" in failed
    assert sum(name == failed.split()[3] for name, _ in stub.calls) == 1  # and is not trained on
    page = (stub.folder / "s" / "sweep.html").read_text()
    assert "1 of 3 trials failed" in page and "stopped by the health watch at step 3" in page
    again = stub.sweep("--search halving --trials 3 --vary rate=0.1,5,1 --max-epochs 3")
    assert again.returncode == 0 and len(stub.calls) == 4


def test_hyperband_trains_the_best_on_and_tells_it(stub):
    done = stub.sweep("--search hyperband --vary rate=log:0.001..1 --max-epochs 9")
    assert done.returncode == 0, done.stderr
    lengths = [length for _, length in stub.calls]
    assert lengths == [1.0] * 9 + [3.0] * 3 + [9.0] + [3.0] * 3 + [9.0] + [9.0] * 3
    found = {int(trial): lengths["1"]["value"] for trial, lengths in results(stub).items() if "1" in lengths}
    assert sorted(found, key=found.get)[:3] == sorted(
        (int(name[-3:]) for name, _ in stub.calls[9:12]), key=found.get)
    assert "--plan=graph" in stub.words("trial-001")
    page = (stub.folder / "s" / "sweep.html").read_text()
    assert page.count("<th>bracket ") == 3 and "Hyperband, eta 3" in page
    longer = stub.sweep("--search hyperband --vary rate=log:0.001..1 --max-epochs 27")
    assert longer.returncode == 2 and "longest was 9.0 and is 27.0" in longer.stderr


def test_more_trials_of_halving_may_send_others_on(stub):
    assert stub.sweep("--search halving --trials 3 --vary rate=log:0.001..1 --max-epochs 3").returncode == 0
    assert stub.sweep("--search halving --trials 9 --vary rate=log:0.001..1 --max-epochs 9").returncode == 0
    assert [length for _, length in stub.calls][:4] == [1.0, 1.0, 1.0, 3.0]
    assert len({call for call in stub.calls}) == len(stub.calls)  # nothing twice


def test_another_sweep_is_refused_and_nothing_overwritten(stub):
    assert stub.sweep("--trials 2 --vary rate=log:0.01..1 --max-epochs 1").returncode == 0
    before = {path: path.read_bytes() for path in (stub.folder / "s").rglob("*") if path.is_file()}
    for options, line in (("--trials 2 --vary rate=log:0.01..2 --max-epochs 1", "vary.rate was 'log:0.01..1.0' and is"),
                          ("--trials 2 --vary rate=log:0.01..1 --max-epochs 1 --seed 1", "seed was 0 and is 1"),
                          ("--trials 2 --vary rate=log:0.01..1 --max-cycles 1", "unit was 'epochs' and is 'cycles'"),
                          ("--trials 2 --vary rate=log:0.01..1 --max-epochs 1 -- --flip", "options was [] and is")):
        done = stub.sweep(options)
        assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert {path: path.read_bytes() for path in (stub.folder / "s").rglob("*") if path.is_file()} == before
    moved = stub.sweep("--trials 2 --vary rate=log:0.01..1 --max-epochs 1 -- --data-dir elsewhere")
    assert moved.returncode == 0 and len(stub.calls) == 2


@pytest.mark.parametrize(("options", "line"), [
    ("--vary rate=0.1,x", "`--rate` (x) must be a number above 0"),
    ("--vary net=small,huge", "`--net` (huge) must be one of"),
    ("--vary rat=1,2", "`--rat` must be an option of this script; nearest: --rate"),
    ("--vary rate", "`--vary` (rate) must be NAME=A,B,C or"),
    ("--vary rate=1", "`--vary` (rate=1) must be two or more different values"),
    ("--vary rate=2..1", "`--vary` (rate=2..1) must be a range whose LOW is below HIGH"),
    ("--vary rate=log:0..1", "`--vary` (rate=log:0..1) must be a range above 0, for log"),
    ("--vary rate=a..b", "`--vary` (rate=a..b) must be NAME=A,B,C or"),
    ("--vary rate=1,2 --vary rate=3,4", "`--vary` (rate, rate) must be different options"),
    ("--vary rate=1,2 -- --rate 3", "`--vary` (rate) must not be an option of all trials, too"),
    ("--vary rate=1,2 --flip", "`--flip` must be an option of sweep.py, or stand after --"),
    ("--vary rate=1,2 -- --epochs 3", "`--epochs` must be left to the sweep: --max-epochs says it"),
    ("--vary epochs=1,2", "`--epochs` must be left to the sweep: --max-epochs says it"),
    ("--vary rate=1,2 --trials 3", "`--vary` must allow as many different trials as --search random takes, 3, and "
                                   "allows 2"),
    ("--search grid --vary rate=0.1..1", "`--vary` (rate) must be a list for --search grid: of a range say how many "
                                         "values, as rate=0.1..1.0:5"),
    ("--search grid --trials 3 --vary rate=1,2", "`--trials` (3) must be left out for --search grid"),
    ("--min-epochs 1 --vary rate=1,2", "`--min-epochs` (1) must be left out for --search random"),
    ("--search halving --min-epochs 5 --vary rate=0.1..1", "`--min-epochs` (5) must be at most --max-epochs (4)"),
    ("--search halving --vary rate=0.1..1 -- --plan auto", "`--plan` (auto) must be named for --search halving"),
    ("--search halving --vary rate=0.1..1 --vary decay=none,cosine",
     "`--decay` (cosine) must come with --decay-cycles "),
    ("--search halving --vary rate=0.1..1 -- --on-bad-update rollback", "`--on-bad-update` (rollback) must be stop or "
                                                                        "skip"),
    ("--search halving --vary rate=0.1..1 -- --patience 2 --evaluate-every 2",
     "`--patience` (2) must go with a goal of the evaluation"),
    ("--vary rate=1,2 -- -- x", "`--` must be given once: what follows it goes to the train script"),
    ("--vary rate=1,2 -- x", "`x` must be left out, or be the value of an option"),
    ("y --vary rate=1,2", "`y` must be left out, or be the value of an option"),
    ("--search grid --vary rate=1e-3,1,0.001", "`--vary` (rate=1e-3,1,0.001) must be different values: 1e-3 and 0.001 "
                                               "are the same"),
    ("--search grid --vary data-dir=a,./a", "`--vary` (data-dir=a,./a) must be different values: a and ./a are"),
    ("--vary net-option.width=8,8.0", "`--vary` (net-option.width=8,8.0) must be different values: 8 and 8.0 are")])
def test_bad_options_are_one_line_and_nothing_is_trained(stub, options, line):
    done = stub.sweep(f"--max-epochs 4 {options}")
    assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not stub.calls and not (stub.folder / "s").exists()


def test_values_that_only_look_alike_are_two_trials(stub):
    done = stub.sweep("--search grid --vary net-option.width=1,true,[1] --max-epochs 1 --check")
    assert done.returncode == 0 and done.stdout.count("check passed") == 3, done.stderr


def test_a_first_trial_that_cannot_begin_leaves_nothing(stub):
    done = stub.sweep("--trials 2 --vary rate=0.1..1 --max-epochs 1", goal="eval/foo")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "`--goal` (eval/foo) must be one of eval/error" in done.stderr
    assert not (stub.folder / "s").exists()


def test_an_error_ends_the_sweep_and_is_tried_again_or_counts_as_failed(stub):
    options = "--search grid --vary rate=0.1,1,0.2 --max-epochs 1"
    done = stub.sweep(f"{options} -- --refuse 0.5")
    assert done.returncode == 2 and [name for name, _ in stub.calls] == ["trial-001"]
    assert "error: trial-002 (rate=1) ended with exit code 2: `--rate` must be smaller" in done.stderr
    assert list(results(stub)) == ["1"]
    done = stub.sweep(f"--on-error skip {options} -- --refuse 0.5")
    assert done.returncode == 0, done.stderr
    assert [name for name, _ in stub.calls] == ["trial-001", "trial-003"] and results(stub)["2"]["1"]["value"] is None
    assert "trial-002" in (stub.folder / "s" / "sweep.html").read_text()


def test_check_looks_at_every_trial_and_writes_nothing(stub):
    done = stub.sweep("--check --search grid --vary rate=0.1,1 --max-epochs 1")
    assert done.returncode == 0 and done.stdout.count("check passed") == 2, done.stderr
    assert not (stub.folder / "s").exists()


def test_damaged_results_are_one_line(stub):
    assert stub.sweep("--trials 2 --vary rate=0.1..1 --max-epochs 1").returncode == 0
    (stub.folder / "s" / "results.json").write_text('{"trials": {"1": {"1": {"value": 3}}}}')
    done = stub.sweep("--trials 2 --vary rate=0.1..1 --max-epochs 1")
    assert done.returncode == 2 and "results.json" in done.stderr and done.stderr.count("\n") == 1


# kills and bits, with a process of its own

BEGIN = """
import runpy, sys
sys.path[:0] = [{folder!r}, {scripts!r}]
import sweep_options
from pathlib import Path
sweep_options.HERE = Path({folder!r})
sys.argv = ["sweep.py", *sys.argv[1:]]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_sweep_that_is_stopped_is_continued(stub, signum, code):
    text = BEGIN.format(folder=str(stub.folder), scripts=str(ROOT / "scripts"),
                        script=str(ROOT / "scripts" / "sweep.py"))
    options = ["train-stub", "--search", "grid", "--vary", "rate=0.1,0.2,0.3", "--max-epochs", "1", "--goal",
               "eval/error", "--run-dir", "s"]
    (stub.folder / "hold").touch()
    process = subprocess.Popen([sys.executable, "-c", text, *options], cwd=stub.folder, env=ENVIRONMENT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(stub.calls) < 2 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    if signum != signal.SIGKILL:
        assert err.startswith(f"{signum.name}: trial-002 was saved; continue with: python ") and err.count("\n") == 1
        assert "sweep.py train-stub --search grid" in err
    (stub.folder / "hold").unlink()
    done = run("sweep.py", *options, cwd=stub.folder)
    assert done.returncode == 0, done.stderr
    assert stub.calls == [(f"trial-00{i}", 1.0) for i in (1, 2, 2, 3)]


REGRESSION = ("--vary", "learning-rate=log:0.01..0.1", "--vary", "momentum=0.0..0.9", "--goal", "eval/squared_error",
              "--max-epochs", "4", "--eta", "2", "--search", "halving", "--trials", "4")
SHARED = ("--examples", "60", "--plan", "graph", "--log-every", "7")


def state(folder):
    checkpoint = max((path for path in (folder / "checkpoints").iterdir()), key=lambda path: float(path.name))
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    return checkpoint.name, manifest["files"]["state.npz"]["sha256"], manifest["place"]


def test_a_trial_that_went_on_has_the_bits_of_one_run(tmp_path):
    done = run("sweep.py", "train-regression", *REGRESSION, "--run-dir", "s", "--", *SHARED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    read = json.loads((tmp_path / "s" / "results.json").read_text())["trials"]
    trial = next(trial for trial, lengths in read.items() if "4" in lengths)
    assert list(read[trial]) == ["1", "2", "4"]
    space = dict([vary(REGRESSION[1]), vary(REGRESSION[3])])
    once = run("train_regression.py", *SHARED, *search_space.typed(drawn(space, 0, int(trial))), "--epochs", 4,
               "--goal", "eval/squared_error", "--run-dir", "once", cwd=tmp_path)
    assert once.returncode == 0, once.stderr
    assert state(tmp_path / "s" / f"trial-{int(trial):03}") == state(tmp_path / "once")
    rows = (tmp_path / "s" / f"trial-{int(trial):03}" / "metrics.csv").read_text().splitlines()
    assert len(rows) == len((tmp_path / "once" / "metrics.csv").read_text().splitlines())


@pytest.mark.parametrize("options, text", [
    ("--vary rate=0.1,1 -- --config f.toml", "`--config` must be left to the sweep: what follows -- says it"),
    ("--vary rate=0.1,off", "`--vary` (rate=0.1,off) must be values, not on or off"),
    ("--vary flip=0,1", "`--vary` (flip=0,1) must be on,off")])
def test_what_would_be_another_trial_than_is_told_is_refused(stub, options, text):
    (stub.folder / "f.toml").write_text("flip = true\n")
    before, sign, after = options.partition(" -- ")
    done = stub.sweep(f"--search grid --max-epochs 1 {before}{sign}{after}")
    assert done.returncode == 2 and text in done.stderr and done.stderr.count("\n") == 1
    assert not (stub.folder / "s").exists()


def test_a_trial_without_a_summary_says_so(tmp_path):
    result, better = trials.result_of(tmp_path, 0, "the last line", 1.0, 0.0)
    assert (result.value, result.why, better) == (None, "it wrote no summary.json", "")


def test_a_length_that_is_no_short_decimal_is_done_once(stub):
    options = "--search halving --trials 3 --vary rate=0.1,0.2,0.3 --max-epochs 10 --min-epochs 3.3333333333333335"
    assert stub.sweep(options).returncode == 0
    calls = stub.calls
    again = stub.sweep(options)
    assert again.returncode == 0 and stub.calls == calls and len(calls) == 4, again.stderr
