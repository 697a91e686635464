"""The check of a machine with a GPU: its processes, limits, judgements, files and tables, without a GPU."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cli
import gpu_check
import pytest
from benchmarks import serve, trace
from gpu import check, exact, fast, tasks, works
from gpu.kit import Kit, Report
from gpu.table import text
from gpu.tasks import Asked, Ended, Failed, Task

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":  # nobody asked for its code
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def shell(name: str, script: str, limit: float = 20.0) -> Task:
    """A task that starts at once."""
    return Task(name, ["-c", script], limit, dict(os.environ), "/bin/sh")


def ran(folder: Path, all_tasks: list[Task], width: int = 1, seconds: float = 60.0) -> dict[str, Ended]:
    """What became of each."""
    found: dict[str, Ended] = {}
    tasks.run_all(all_tasks, width, time.monotonic() + seconds, folder,
                  lambda each: found.update({each.task.name: each}))
    return found


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Of a CPU with PyTorch, with a minute of time."""
    (tmp_path / "logs").mkdir()
    report = Report(tmp_path, text, {"torch": "2.9"})
    return Kit("cpu", False, 4, tmp_path, time.monotonic() + 60, report, sys.executable, fast.PRECISIONS,
               lambda line: None)


def written(kit: Kit) -> dict[str, Any]:
    """The rows in the file."""
    return json.loads((kit.report.folder / "results.json").read_text())["rows"]


# Processes


def test_tasks_run_in_order_so_many_at_once(tmp_path: Path) -> None:
    script = ("import json, time; began = time.monotonic(); time.sleep(0.3); "
              "print(json.dumps({'began': began, 'ended': time.monotonic()}))")
    found = ran(tmp_path, [Task(str(i), ["-c", script], 20, dict(os.environ)) for i in range(6)], width=2)
    assert [each.error for each in found.values()] == [""] * 6
    spans = [(line["began"], line["ended"]) for i in range(6) for line in found[str(i)].lines]
    assert len(spans) == 6
    most = max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)
    assert most == 2
    assert max(spans[:2]) < min(spans[4:])


def test_a_task_over_its_limit_ends_with_its_children_and_keeps_its_lines(tmp_path: Path) -> None:
    script = 'sleep 60 & echo "{\\"child\\": $!, \\"own\\": $$}"; echo noise; echo "[1]"; wait'
    found = ran(tmp_path, [shell("long", script, 0.6)])["long"]
    assert found.error == "not done in 1 s" and 0.5 < found.seconds < 10
    assert len(found.lines) == 1 and gone(found.lines[0]["own"]) and gone(found.lines[0]["child"])


def test_a_task_that_leaves_children_is_ended_with_them(tmp_path: Path) -> None:
    found = ran(tmp_path, [shell("short", 'sleep 60 & echo "{\\"child\\": $!}"')])["short"]
    assert found.error == "" and found.seconds < 10 and gone(found.lines[0]["child"])


def test_a_task_that_fails_says_why(tmp_path: Path) -> None:
    script = "echo '{\"loss\": 2}'; echo before >&2; echo '  ValueError: it does not ' >&2; echo >&2; exit 3"
    found = ran(tmp_path, [shell("bad", script), shell("mute", "exit 4"), shell("good", "echo '{\"loss\": 1}'")])
    assert found["bad"].error == "ended with 3: ValueError: it does not" and found["bad"].lines == [{"loss": 2}]
    assert found["mute"].error == "ended with 4: no message"
    assert found["good"].error == "" and found["good"].lines == [{"loss": 1}]
    assert "before" in (tmp_path / "bad.err").read_text()


def test_after_the_deadline_nothing_goes_on_and_nothing_begins(tmp_path: Path) -> None:
    found = ran(tmp_path, [shell("first", "echo '{\"own\": '$$'}'; sleep 60"), shell("second", "echo '{}'")],
                seconds=0.7)
    assert found["first"].error == "not done in 1 s" and gone(found["first"].lines[0]["own"])
    assert found["second"].error == "not begun: the part's time was over" and found["second"].lines == []
    assert not (tmp_path / "second.out").exists()


def test_what_goes_wrong_with_a_result_ends_the_tasks_that_run(tmp_path: Path) -> None:
    told = []

    def tell(ended: Ended) -> None:
        told.append(ended.task.name)
        raise KeyboardInterrupt

    until = f'until [ -s "{tmp_path}/other.out" ]; do sleep 0.05; done'  # the other one runs
    all_tasks = [shell("first", until), shell("other", 'echo "{\\"own\\": $$}"; sleep 60'), shell("third", "exit 0")]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tasks.run_all(all_tasks, 2, began + 60, tmp_path, tell)
    assert time.monotonic() - began < 15 and told == ["first"]
    assert gone(tasks.lines_of((tmp_path / "other.out").read_text())[0]["own"])


def test_results_are_told_one_at_a_time(tmp_path: Path) -> None:
    inside, most = [], []

    def tell(ended: Ended) -> None:
        inside.append(ended)
        most.append(len(inside))
        time.sleep(0.1)
        inside.remove(ended)

    tasks.run_all([shell(str(i), "exit 0") for i in range(4)], 4, time.monotonic() + 60, tmp_path, tell)
    assert most == [1] * 4


def test_a_process_that_is_asked_answers(tmp_path: Path) -> None:
    asked = Asked(shell("echo", "echo noise; echo '{\"ready\": true}'; while read -r line; do echo \"$line\"; done"),
                  tmp_path)
    try:
        assert asked.wait(time.monotonic() + 20) == {"ready": True}
        for number in range(3):
            assert asked.ask({"do": "time", "number": number}, 20) == {"do": "time", "number": number}
    finally:
        asked.end()


def test_two_answers_at_once_are_two_answers(tmp_path: Path) -> None:
    asked = Asked(shell("two", "printf '{\"a\": 1}\\n{\"a\": 2}\\n{\"a\"'; sleep 0.2; echo ': 3}'; sleep 60"), tmp_path)
    try:
        assert [asked.wait(time.monotonic() + 20)["a"] for _ in range(3)] == [1, 2, 3]
    finally:
        asked.end()


def test_a_process_that_dies_when_it_is_asked_says_why(tmp_path: Path) -> None:
    asked = Asked(shell("dies", "echo '{}'; read -r line; echo \"KeyError: $line\" >&2; exit 4"), tmp_path)
    asked.wait(time.monotonic() + 20)
    for _ in range(2):  # the second request finds it gone
        with pytest.raises(Failed, match=r'^ended with 4: KeyError: {"do": "time"}$'):
            asked.ask({"do": "time"}, 20)


def test_a_process_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    asked = Asked(shell("mute", 'echo "{\\"own\\": $$}"; sleep 60'), tmp_path)
    own = asked.wait(time.monotonic() + 20)["own"]
    began = time.monotonic()
    with pytest.raises(Failed, match=r"^no answer in time$"):
        asked.ask({"do": "time"}, 0.3)
    assert 0.3 <= time.monotonic() - began < 10 and gone(own)


def test_only_processes_for_the_gpu_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert tasks.environment("cpu")["CUDA_VISIBLE_DEVICES"] == "-1"
    found = tasks.environment("gpu", {"NVIDIA_TF32_OVERRIDE": "0"})
    assert "CUDA_VISIBLE_DEVICES" not in found and found["NVIDIA_TF32_OVERRIDE"] == "0"


# Results


def test_results_are_in_the_files_as_they_come(tmp_path: Path) -> None:
    report = Report(tmp_path, lambda report: f"{sum(map(len, report.rows.values()))} rows", {"gpu": "H100"})
    report.add("works", {"case": "vae", "ok": True})
    report.add("works", {"case": "gan", "ok": False})
    report.add("fast", {"rate": 5})
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "machine": {"gpu": "H100"}, "parts": {},
        "rows": {"works": [{"case": "vae", "ok": True}, {"case": "gan", "ok": False}], "fast": [{"rate": 5}]}}
    assert (tmp_path / "results.txt").read_text() == "3 rows\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "results.txt"]
    assert report.faults == [{"case": "gan", "ok": False}]


def test_results_that_cannot_be_written_leave_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(tmp_path, lambda report: "text")
    report.add("works", {"case": "vae"})
    before = (tmp_path / "results.json").read_text()

    def full(self: Path, *rest: Any) -> int:
        with self.open("w") as file:
            file.write("{")
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space left"):
        report.add("works", {"case": "gan"})
    assert (tmp_path / "results.json").read_text() == before


# Part 1


def test_the_difference_is_of_the_terms_size() -> None:
    expected = {"critic/w": 2.0, "critic/penalty": -10.0, "generator/loss": 4.0, "critic/gradient_norm": 6.0}
    assert works.difference(dict(expected), expected) == 0.0
    assert works.difference({**expected, "critic/w": 2.6}, expected) == pytest.approx(0.6 / 12)
    assert works.difference({**expected, "critic/penalty": -12.0}, expected) == pytest.approx(2 / 20)
    assert works.difference({**expected, "critic/w": 2.6, "generator/loss": 5.0}, expected) == pytest.approx(1 / 8)
    assert works.difference({**expected, "critic/gradient_norm": 60.0}, expected) == 0.0
    assert works.difference({"critic/w": 2.6, "more/of": 1.0}, expected) == pytest.approx(0.6 / 12)
    assert math.isnan(works.difference({"other/loss": 2.0}, expected)) and math.isnan(works.difference({}, {}))
    assert works.difference({"vae/kl": 1e-12}, {"vae/kl": 0.0}) == pytest.approx(1e-3)  # of nothing, 1e-9 is the size


def line(first: float, last: float, **more: Any) -> dict[str, Any]:
    """Of a case whose terms are 1 on the CPU, or what they are."""
    return {"error": "", "first": {"vae/kl": first}, "last": {"vae/kl": last}, **more}


def test_a_case_within_its_tolerance_is_good_and_over_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(works, "TOLERANCES", {"float32": (0.01, 0.1)})

    def judged(mine: Any, reference: Any = line(1.0, 1.0)) -> dict[str, Any]:  # noqa: B008
        return works.judged("vae", "float32", "xla", mine, reference)

    good = judged(line(1.018, 1.18))
    assert good["ok"] and good["first"] == pytest.approx(0.009) and good["last"] == pytest.approx(0.09)
    assert {name: good[name] for name in ("case", "precision", "plan")} == {
        "case": "vae", "precision": "float32", "plan": "xla"}
    assert judged(line(1.04, 1.0))["what"] == "first row 0.02 of the terms' size from the CPU's, at most 0.01"
    bad = judged(line(1.04, 1.5))
    assert not bad["ok"] and bad["what"].split("; ")[1] == (
        "last row 0.25 of the terms' size from the CPU's, at most 0.1")
    assert not judged({"error": "", "first": {}, "last": {"vae/kl": 1.0}})["ok"]  # nothing to compare
    assert judged(None) == {"case": "vae", "precision": "float32", "plan": "xla", "ok": False, "what": "no result"}
    failed = judged({"error": "exit code 3: loss is nan"})
    assert not failed["ok"] and failed["what"] == "exit code 3: loss is nan"
    for reference in (None, {"error": "exit code 3"}):
        alone = judged(line(9.0, 9.0), reference)
        assert alone["ok"] and alone["what"].endswith("no result of the CPU to compare with") and "first" not in alone


def test_the_first_row_may_be_empty_in_float16_while_the_loss_scale_is_found() -> None:
    def ok(precision: str, *empty: str) -> bool:
        mine = {**line(1.0, 1.0), **{which: {} for which in empty}}
        return works.judged("vae", precision, "xla", mine, line(1.0, 1.0))["ok"]

    assert ok("float16") and ok("float16", "first") and not ok("float16", "last")
    assert not ok("float16", "first", "last") and not ok("float32", "first") and not ok("bfloat16", "first")
    assert not works.judged("vae", "float16", "xla", {**line(1.0, 9.0), "first": {}}, line(1.0, 1.0))["ok"]


def test_terms_are_those_that_are_finite_and_of_the_training(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text("cycle,vae/kl,vae/loss,eval/elbo\n1,0.5,nan,3\n2,,-inf,\n3,7,1e-3,2\n")
    assert works.terms_of(table) == [{"vae/kl": 0.5}, {}, {"vae/kl": 7.0, "vae/loss": 0.001}]


def case(name: str, device: str = "gpu", precision: str = "float32", **more: Any) -> dict[str, Any]:
    """A worker's line."""
    return {"case": name, "device": device, "precision": precision, "plan": "graph", "seconds": 1.0,
            "memory_growth": device == "gpu" or None, **line(1.0, 1.0), **more}


def test_cases_are_judged_as_soon_as_they_and_those_of_the_cpu_are_there(
        kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = replace(kit, device="gpu", smoke=True)
    tools = {"evaluate": "", "sample": "exit code 2: no checkpoint"}
    steps = [("works.gpu-0-float32-graph", [case("vae", tools=tools), case("regression")], "", ["evaluate", "sample"]),
             ("works.cpu-0-float32-graph", [case("vae", "cpu")], "ended with -9: no message",
              ["works.cpu-0-float32-graph", "vae float32 graph"]),
             ("works.gpu-0-bfloat16-graph", [case("vae", precision="bfloat16", error="exit code 3: loss is nan")], "",
              ["vae bfloat16 graph"])]

    def rows() -> list[str]:
        return [" ".join(filter(None, (row["case"].removesuffix(".py"), row.get("precision"), row.get("plan"))))
                for row in written(kit).get("works", [])]

    def run_all(all_tasks: list[Task], width: int, deadline: float, logs: Path, told: Callable[[Ended], None]) -> None:
        by_name = {task.name: task for task in all_tasks}
        assert len(by_name) == 5 and all(json.loads(task.command[-1])["cases"] for task in all_tasks)
        kit.report.write()
        for name, lines, error, new in steps:
            before = rows()
            told(Ended(by_name[name], lines, error, 1.0))
            assert rows() == before + new

    monkeypatch.setattr(works, "prepare", lambda kit: None)
    monkeypatch.setattr(tasks, "run_all", run_all)
    works.run(kit)
    found = {(row["case"], row.get("precision"), row.get("plan")): row for row in written(kit)["works"]}
    assert len(found) == len(written(kit)["works"]) == 8 + 2 + 1 + 1
    assert found["vae", "float32", "graph"]["ok"] and found["vae", "float32", "graph"]["last"] == 0.0
    assert found["vae", "bfloat16", "graph"]["what"] == "exit code 3: loss is nan"
    assert found["regression", "float32", "graph"]["what"].endswith("no result of the CPU to compare with")
    assert found["regression", "bfloat16", "xla"]["what"] == "no result"
    assert found["evaluate.py", None, None]["ok"] and not found["sample.py", None, None]["ok"]
    assert found["memory growth", None, None] == {"case": "memory growth", "ok": True, "what": "{True}"}


# Part 2


def judged_exact(kit: Kit, workload: str, *processes: tuple[list[dict[str, Any]], str]) -> list[tuple[bool, str]]:
    exact._judge(kit, workload, "graph", [Ended(shell("x", ""), lines, error, 1.0) for lines, error in processes])
    rows = written(kit)["exact"]
    assert {(row["case"], row["plan"]) for row in rows} == {(workload, "graph")}
    return [(row["ok"], row["what"]) for row in rows]


CONTINUED = "stopped in the middle and continued in a new process: "


@pytest.mark.parametrize(("first", "second", "error", "repeats", "continued"), [
    ("aa", "a", "", (True, "3 repeats, 1 result(s)"), (True, "the same bits")),
    ("ab", "a", "", (False, "3 repeats, 2 result(s)"), (False, "other bits")),
    ("aa", "b", "", (True, "3 repeats, 1 result(s)"), (False, "other bits")),
    ("aa", "", "ended with -9: no message", (False, "3 repeats, 1 result(s); ended with -9: no message"),
     (False, "no result")),
    ("", "", "not done in 95 s", (False, "0 repeats, 0 result(s); not done in 95 s"), (False, "no result"))])
def test_repeats_must_give_one_result_and_a_continued_run_the_same(
        kit: Kit, first: str, second: str, error: str, repeats: tuple[bool, str], continued: tuple[bool, str]) -> None:
    hashes = [{"hash": each} for each in first]
    found = judged_exact(kit, "vae", (hashes, ""), ([*hashes[:1], *({"continued": each} for each in second)], error))
    assert found == [repeats, (continued[0], CONTINUED + continued[1])]


def test_a_planted_nan_must_be_named(kit: Kit) -> None:
    assert judged_exact(kit, "poison", ([{"error": "", "said": "cycle 3, classifier"}], "")) == [
        (True, "cycle 3, classifier")]
    kit.report.rows.clear()
    assert judged_exact(kit, "poison", ([{"error": "the NaN was not noticed"}], "")) == [
        (False, "the NaN was not noticed")]
    kit.report.rows.clear()
    assert judged_exact(kit, "poison", ([], "not done in 95 s")) == [(False, "not done in 95 s")]


# Part 3


METRICS = {"classifier": {"cross_entropy": 2.0}}


def test_ours_and_pytorch_are_compared_as_soon_as_both_are_there(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "SIZES", (("mlp", None), ("mlp", 512), ("vae", None)))
    kit = replace(kit, precisions=("float32",))
    (kit.folder / "data").mkdir()
    theirs = {"mlp": Ended(shell("", ""), [{"metrics": METRICS}], "", 1.0),
              "vae": Ended(shell("", ""), [{"metrics": {"classifier": {"cross_entropy": 3.0}}}], "", 1.0)}
    counts = []

    def run_all(all_tasks: list[Task], width: int, deadline: float, logs: Path, told: Callable[[Ended], None]) -> None:
        for task in all_tasks:
            _, contestant, workload, _ = task.name.split(".")
            mine = Ended(task, [{"metrics": METRICS}], "", 1.0)
            told(replace(theirs[workload], task=task) if contestant == "torch" else mine)
            counts.append(len(kit.report.rows.get("check", [])))

    monkeypatch.setattr(tasks, "run_all", run_all)
    check.run(kit)
    assert counts == [0, 0, 1, 2]
    assert [(row["workload"], row["ok"]) for row in written(kit)["check"]] == [("mlp", True), ("vae", False)]
    assert written(kit)["check"][1]["what"] == "classifier/cross_entropy is 3 and must be 2"
    kit.report.rows.clear()
    theirs["mlp"] = Ended(shell("", ""), [], "not done in 75 s", 1.0)
    check.run(kit)
    assert written(kit)["check"][0] == {"workload": "mlp", "precision": "float32", "ok": False,
                                        "what": "torch: not done in 75 s"}


def test_without_pytorch_nothing_is_compared(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "run_all", lambda *_: pytest.fail("a process was begun"))
    (kit.folder / "data").mkdir()
    kit.report.facts["torch"] = ""
    check.run(kit)
    assert kit.report.rows == {}


# Part 4


def test_a_workloads_inputs_are_whole_or_tried_again(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter(["ended with 1: OSError: no space", ""])
    folders = []

    def run_all(all_tasks: list[Task], width: int, deadline: float, logs: Path, told: Callable[[Ended], None]) -> None:
        folders.append(Path(all_tasks[0].command[2]))
        (folders[-1] / "labels.npy").touch()
        told(Ended(all_tasks[0], [], next(errors), 1.0))

    monkeypatch.setattr(tasks, "run_all", run_all)
    with pytest.raises(Failed, match=r"^benchmarks\.inputs: ended with 1: OSError: no space$"):
        fast.prepare(kit)
    assert not (kit.folder / "data").exists()
    for _ in range(2):  # the second finds them
        fast.prepare(kit)
    assert [path.name for path in (kit.folder / "data").iterdir()] == ["labels.npy"] and len(folders) == 2


def test_contestants_of_a_workload_are_set_up_together(kit: Kit) -> None:
    kit = replace(kit, width=7)
    waves = list(fast._waves(kit))
    assert [len(wave) for wave in waves] == [6, 6, 6, 6, 6, 6, 4]
    places: dict[Any, set[int]] = {}
    for number, wave in enumerate(waves):
        for row in wave:
            places.setdefault((row["workload"], row["batch_size"], row["precision"]), set()).add(number)
    assert len(places) == 2 * len(fast.SIZES) and all(len(each) == 1 for each in places.values())
    assert [row["precision"] for wave in waves for row in wave] == ["float32"] * 24 + ["bfloat16"] * 16
    alone = list(fast._waves(replace(kit, width=1)))  # fewer than one workload has
    assert [len(wave) for wave in alone] == [3] * 8 + [2] * 8
    assert [len(wave) for wave in fast._waves(replace(kit, width=100))] == [40]


def test_contestants_are_ours_by_each_plan_and_pytorch_at_its_best(kit: Kit) -> None:
    def found(device: str, workload: str, precision: str = "float32") -> list[str]:
        rows = list(fast._contestants(replace(kit, device=device), workload, None, precision))
        assert all(row["batch_size"] == fast.WORKLOADS[workload].batch_size for row in rows)
        return [fast.label(row).partition(", ")[2] for row in rows]

    ours = ["float32, ours graph", "float32, ours xla"]
    assert found("cpu", "vae") == [*ours, "float32, torch eager"]
    assert found("gpu", "vae") == [*ours, "float32, torch compiled+one CUDA graph"]
    assert found("gpu", "lstm") == [*ours, "float32, torch one CUDA graph"]
    assert found("gpu", "vae", "bfloat16") == ["bfloat16, ours xla", "bfloat16, torch compiled+one CUDA graph"]
    kit.report.facts["torch"] = ""
    assert found("gpu", "vae") == ours
    assert next(fast._contestants(kit, "resnet18", 512, "float32"))["batch_size"] == 512


class Contestant:
    """In place of ``Asked``: answers at once, or fails at the request that ``fails`` names."""

    fails: ClassVar[dict[str, int]] = {}  # contestant and what is asked -> how many such requests are answered
    ended: ClassVar[list[str]] = []
    limits: ClassVar[list[float]] = []
    timed: ClassVar[list[str]] = []

    def __init__(self, task: Task, logs: Path) -> None:
        self.name = task.name.split("-")[3] + json.loads(task.command[-1]).get("plan", "")
        self.rates, self.counts = iter([100.0, 300.0, 200.0]), {}

    def wait(self, deadline: float) -> dict[str, Any]:
        return self._answer("ready", {"ready": True, "setup_seconds": 4.0, "cycles_per_second": 1.0})

    def ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        self.limits.append(limit)
        if request["do"] == "time":
            self.timed.append(self.name)
            return self._answer("time", {"cycles_per_second": next(self.rates)})
        return self._answer(request["do"], {"multiply_adds": 5e8} if request["do"] == "end" else {
            **trace.summary([("kernel", 0, 10**9)], 1), "cycles": 1})

    def _answer(self, what: str, answer: dict[str, Any]) -> dict[str, Any]:
        self.counts[what] = self.counts.get(what, 0) + 1
        if self.counts[what] > self.fails.get(f"{self.name} {what}", 10):
            raise Failed(f"{what} failed")
        return answer

    def end(self) -> None:
        self.ended.append(self.name)


@pytest.fixture
def contestants(monkeypatch: pytest.MonkeyPatch, kit: Kit) -> Iterator[type[Contestant]]:
    """The mlp in float32 by ours graph, ours xla and torch."""
    monkeypatch.setattr(fast, "Asked", Contestant)
    monkeypatch.setattr(fast, "SIZES", (("mlp", None),))
    monkeypatch.setattr(fast, "prepare", lambda kit: None)
    monkeypatch.setattr(fast, "_ceiling", lambda kit: kit.report.add("ceiling", {
        "kind": "matmul", "precision": "float32", "gflops": 1000.0, "plan": "xla", "size": 4096}))
    yield Contestant
    Contestant.fails.clear()
    Contestant.ended.clear()
    Contestant.limits.clear()
    Contestant.timed.clear()


def test_a_contestant_is_timed_in_turns_and_ours_is_profiled(kit: Kit, contestants: type[Contestant]) -> None:
    fast.run(replace(kit, precisions=("float32",)))
    rows = written(kit)
    assert [row["cycles_per_second"] for row in rows["fast"]] == [200.0] * 3
    first = rows["fast"][0]
    assert first["turns"] == [100.0, 300.0, 200.0] and first["updates_per_second"] == 200.0
    assert first["setup_seconds"] == 4.0 and first["fraction_of_ceiling"] == pytest.approx(0.2)
    assert [row["settings"]["plan"] for row in rows["where"]] == ["graph", "xla"]
    assert rows["where"][0]["idle"] == pytest.approx(1 - 1e-3 * 200) and rows["where"][0]["kernels_per_update"] == 1.0
    there = ["oursgraph", "oursxla", "torch"]
    assert contestants.timed == [*there, *there[::-1], *there] and contestants.ended == there


def test_what_fails_is_named_once_and_the_others_go_on(kit: Kit, contestants: type[Contestant]) -> None:
    contestants.fails |= {"oursgraph time": 1, "torch ready": 0, "oursxla profile": 0}
    fast.run(replace(kit, precisions=("float32",)))
    rows = written(kit)
    missing = [(fast.label(row).partition(", ")[2], row["missing"]) for row in rows["fast"] if "missing" in row]
    assert missing == [("float32, torch eager", "ready failed"), ("float32, ours graph", "time failed")]
    timed = [row for row in rows["fast"] if "missing" not in row]  # its speed was known before its profile failed
    assert [(row["settings"]["plan"], row["updates_per_second"]) for row in timed] == [("xla", 200.0)]
    assert [row["missing"] for row in rows["where"]] == ["profile failed"]
    assert set(contestants.ended) == {"oursgraph", "oursxla"}  # Asked ended the one that was not ready


def test_no_answer_is_waited_for_longer_than_the_part_may_take(kit: Kit, contestants: type[Contestant]) -> None:
    fast.run(replace(kit, smoke=True, deadline=time.monotonic() + 5.0))
    assert len(contestants.limits) == 3 * 3 + 2 + 3 and max(contestants.limits) <= 5.0


def test_contestants_that_there_was_no_time_for_are_named(kit: Kit, contestants: type[Contestant]) -> None:
    fast.run(replace(kit, deadline=time.monotonic() + 10.0, precisions=("float32",)))
    assert [row["missing"] for row in written(kit)["fast"]] == ["not begun: no time was left"] * 3
    assert contestants.ended == []


# What the GPU did


def test_the_gpu_is_busy_in_the_union_of_what_overlaps() -> None:
    ms = 10**9  # picoseconds
    found = [("gemm", 0, 4 * ms), ("gemm", 10 * ms, 13 * ms), ("add", 2 * ms, 6 * ms), ("add", 3 * ms, 5 * ms),
             ("MemcpyH2D", 6 * ms, 7 * ms), ("MemcpyD2H", 13 * ms, 14 * ms), ("MemcpyD2H", 20 * ms, 21 * ms),
             ("MemcpyD2D", 20 * ms, 20 * ms), ("Memset", 20 * ms, 20 * ms), ("MemoryBoundKernel", 20 * ms, 20 * ms)]
    summary = trace.summary(iter(found), 2)
    assert summary["busy_seconds_per_cycle"] == pytest.approx((7 + 4 + 1) * 1e-3 / 2)
    assert summary["span_seconds"] == pytest.approx(21e-3)
    assert summary["kernels_per_cycle"] == 5 / 2
    assert summary["transfers_per_call"] == {"to the GPU": 1, "from the GPU": 2}
    assert summary["top"][:3] == [
        {"name": "gemm", "seconds_per_cycle": pytest.approx(3.5e-3), "times_per_cycle": 1.0},
        {"name": "add", "seconds_per_cycle": pytest.approx(3e-3), "times_per_cycle": 1.0},
        {"name": "MemcpyD2H", "seconds_per_cycle": pytest.approx(1e-3), "times_per_cycle": 1.0}]


def test_without_a_gpu_nothing_was_busy() -> None:
    assert trace.summary([], 5) == {"kernels_per_cycle": 0.0, "transfers_per_call": {}, "busy_seconds_per_cycle": 0.0,
                                    "span_seconds": 0.0, "top": []}


def test_events_are_those_of_the_gpus_streams() -> None:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    for plane_name, lines in (("/device:GPU:0", ("Stream #7(Compute)", "XLA Ops", "Stream #9(MemcpyH2D)")),
                              ("/host:CPU", ("Stream #7(Compute)",))):
        plane = space.planes.add(name=plane_name)
        plane.event_metadata[3].name = f"kernel of {plane_name}"
        for number, name in enumerate(lines):
            events = plane.lines.add(name=name, timestamp_ns=1000 * number + 5).events
            events.add(metadata_id=3, offset_ps=70, duration_ps=40)
    found = list(trace.events(space.SerializeToString()))
    assert found == [("kernel of /device:GPU:0", 5070, 5110), ("kernel of /device:GPU:0", 2_005_070, 2_005_110)]


# A contestant that answers


class Loop:
    """A loop of 10 ms a cycle on a clock of its own, in calls of 4 cycles."""

    def __init__(self) -> None:
        self.now, self.calls = 50.0, []

    def run(self, cycles: int) -> int:
        self.calls.append(cycles)
        done = -(-cycles // 4) * 4
        self.now += 0.01 * done
        return done

    def facts(self) -> dict[str, Any]:
        return {"multiply_adds": 7, "cycles": sum(self.calls)}


def test_a_contestant_says_that_it_is_ready_answers_and_ends(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    loop = Loop()
    monkeypatch.setattr(serve, "time", SimpleNamespace(monotonic=lambda: loop.now, perf_counter=lambda: loop.now))
    monkeypatch.setattr(trace, "profile", lambda run, cycles: {"cycles": run(cycles), "asked": cycles})
    asked = ['{"do": "time", "seconds": 2.0}', '{"do": "profile"}', '{"do": "end"}', '{"do": "time", "seconds": 9}']
    assert serve.answer(lambda: loop, 47.0, asked) == 0
    ready, timed, profiled, end = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert ready["ready"] is True and ready["setup_seconds"] == pytest.approx(3.04)
    assert ready["cycles_per_second"] == pytest.approx(100.0) and timed["cycles_per_second"] == pytest.approx(100.0)
    assert loop.calls[-4:] == [10, 40, 200, 20]  # a twentieth and a fifth of the time before the time that counts
    assert profiled == {"cycles": 20, "asked": 20} and end == {"multiply_adds": 7, "cycles": sum(loop.calls)}


# The table


def timed(contestant: str, rate: float, **more: Any) -> dict[str, Any]:
    settings = more.pop("settings", None) or (
        {"plan": "xla", "threads": None} if contestant == "ours" else
        {"compile": True, "channels_last": False, "threads": None, "captured": True})
    return {"workload": "vae", "batch_size": 128, "precision": "float32", "contestant": contestant,
            "settings": settings, "updates_per_second": rate, "cycles_per_second": rate, "turns": [rate],
            "setup_seconds": 3.0, **more}


def table(tmp_path: Path, **rows: list[dict[str, Any]]) -> list[list[str]]:
    """The lines of the text, as cells."""
    report = Report(tmp_path, text, {"gpu": "H100"}, {"works": {"seconds": 3.2, "error": "OSError: full"}}, rows)
    return [[cell.strip() for cell in each.split("  ") if cell.strip()] for each in text(report).splitlines()]


def test_the_best_of_each_side_are_set_against_each_other(tmp_path: Path) -> None:
    rows = [timed("ours", 900.0, settings={"plan": "graph", "threads": None}), timed("torch", 500.0),
            timed("ours", 1000.0, fraction_of_ceiling=0.125, gpu_peak_bytes=3 * 2**20),
            timed("torch", 400.0, settings={"compile": False, "channels_last": True, "threads": None,
                                            "captured": False}),
            timed("ours", 700.0, workload="wgan-gp-64"), timed("torch", 700.0, workload="wgan-gp-64"),
            timed("ours", 700.0, workload="convnet"), timed("torch", 700.0, workload="convnet"),
            timed("ours", 5.0, precision="bfloat16"),
            {**timed("torch", 0.0, precision="bfloat16"), "missing": "not done in 90 s"}]
    rows[-1].pop("updates_per_second")
    lines = table(tmp_path, fast=rows)
    assert ["gpu: H100"] in lines and ["works: 3 s, OSError: full"] in lines
    head = next(line for line in lines if line[:1] == ["workload"])
    cells = {(line[0], line[2]): dict(zip(head, line, strict=True)) for line in lines if len(line) == len(head)
             and line != head and set(line[0]) != {"-"}}
    vae = cells["vae", "float32"]
    assert (vae["ours, updates/s"], vae["plan"], vae["PyTorch, updates/s"]) == ("1000", "xla", "500")
    assert vae["way"] == "compiled+one CUDA graph" and vae["ours : PyTorch"] == "2.00" and vae["wanted"] == "1.5 met"
    assert vae["of the card's matmul, %"] == "12.5" and vae["GPU memory, MiB (ours : PyTorch)"] == "3 : -"
    assert cells["wgan-gp-64", "float32"]["wanted"] == "1.2 MISSED"
    assert cells["convnet", "float32"]["wanted"] == "1 met"
    alone = cells["vae", "bfloat16"]
    assert (alone["PyTorch, updates/s"], alone["ours : PyTorch"], alone["wanted"]) == ("-", "-", "1.5")
    assert ["vae 128, bfloat16, torch compiled+one CUDA graph: not done in 90 s"] in lines
    assert ["vae 128, float32, ours graph: 900 (turns: 900)"] in lines
    assert ["vae 128, float32, torch eager: 400 (turns: 400)"] in lines


def test_cases_are_sorted_counted_and_judged_in_the_table(tmp_path: Path) -> None:
    rows = [{"case": "vae", "precision": "float32", "plan": "xla", "ok": False, "what": "exit code 3"},
            {"case": "evaluate.py", "ok": True, "what": "works"},
            {"case": "gan", "precision": "float16", "plan": "graph", "ok": True, "first": 0.0012, "last": 0.02,
             "what": "trained"}]
    lines = table(tmp_path, works=rows)
    assert ["2 of 3"] in lines
    assert lines[-3:] == [["ok", "evaluate.py", "works"],
                          ["ok", "gan", "float16", "graph", "0.0012", "0.02", "trained"],
                          ["FAILED", "vae", "float32", "xla", "exit code 3"]]


def test_every_part_has_its_lines(tmp_path: Path) -> None:
    where = {"workload": "vae", "batch_size": 128, "precision": "float32", "settings": {"plan": "xla"}}
    lines = table(
        tmp_path,
        check=[{"workload": "vae", "precision": "float32", "ok": True, "largest": 2.5e-7, "what": "the same"},
               {"workload": "mlp", "precision": "float32", "ok": False, "what": "torch: no result"}],
        ceiling=[{"kind": "matmul", "precision": "bfloat16", "gflops": 700_000.0, "plan": "xla", "size": 8192},
                 {"ok": False, "what": "not done in 40 s"}],
        where=[{**where, **trace.summary([("gemm", 0, 2 * 10**9), ("MemcpyH2D", 0, 1)], 2), "cycles": 2,
                "kernels_per_update": 0.5, "idle": 0.25},
               {**where, **trace.summary([], 2), "cycles": 2, "kernels_per_update": 0.0, "idle": None},
               {**where, "missing": "no answer in time"}])
    assert ["ok", "vae", "float32", "2.5e-07", "the same"] in lines
    assert ["FAILED", "mlp", "float32", "-", "torch: no result"] in lines
    assert ["matmul", "bfloat16", "700.0", "xla", "8192"] in lines and ["-", "-", "not done in 40 s", "-", "-"] in lines
    assert ["vae", "128", "float32", "xla", "0", "1000", "25 (wanted: under 10)", "1 to the GPU", "2 cycles"] in lines
    assert ["vae", "128", "float32", "xla", "0", "0", "no GPU in the trace", "none", "2 cycles"] in lines
    assert ["vae", "128", "float32", "xla", "-", "-", "-", "-", "no answer in time"] in lines
    assert ["1000.0 us", "x0.5", "gemm"] in lines


# All of it


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts that do nothing but say so, on a machine whose facts are known; the names of those that ran."""
    ran: list[str] = []
    monkeypatch.setattr(gpu_check, "facts", lambda chosen: {"gpu": "H100", "torch": "", "gpu error": ""})
    for part in (works, exact, check, fast):
        name = part.__name__.rpartition(".")[2]
        monkeypatch.setattr(part, "run", lambda kit, name=name: (
            ran.append(name), kit.report.add("works", {"case": name, "ok": True, "what": "works"})))
    return ran


def chosen(*arguments: Any) -> gpu_check.Options:
    return cli.Command(gpu_check.Options(), None).parse([str(each) for each in arguments])


def test_a_part_that_fails_ends_alone(tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(chosen("--output", tmp_path / "a" / "b")) == 0
    assert parts == ["works", "exact", "check", "fast"]

    def fails(kit: Kit) -> None:
        kit.report.add("works", {"case": "before", "ok": True, "what": "works"})
        raise ValueError("it does not")

    monkeypatch.setattr(exact, "run", fails)
    parts.clear()
    (tmp_path / "a" / "b" / "logs" / "old.err").touch()
    assert gpu_check.main(chosen("--output", tmp_path / "a" / "b", "--parts", "exact", "fast")) == 1
    assert parts == ["fast"] and list((tmp_path / "a" / "b" / "logs").iterdir()) == []
    found = json.loads((tmp_path / "a" / "b" / "results.json").read_text())
    assert {name: each["error"] for name, each in found["parts"].items()} == {
        "exact": "ValueError: it does not", "fast": ""}
    assert [row["case"] for row in found["rows"]["works"]] == ["before", "fast"]  # the second run's alone
    assert "exact: 0 s, ValueError: it does not" in (tmp_path / "a" / "b" / "results.txt").read_text()
    assert "Traceback" in capsys.readouterr().err


def test_a_row_that_is_wrong_is_an_exit_code(tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "run", lambda kit: kit.report.add("exact", {"case": "vae", "ok": False, "what": "two"}))
    assert gpu_check.main(chosen("--output", tmp_path)) == 1
    assert parts == ["works", "check", "fast"]
    assert "FAILED  vae" in (tmp_path / "results.txt").read_text()


def test_parts_share_the_time_of_all(tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    left = []
    monkeypatch.setattr(gpu_check, "MINUTES", 0.01)

    def slow(kit: Kit) -> None:
        left.append(kit.left)
        time.sleep(max(0.0, kit.left))

    monkeypatch.setattr(works, "run", slow)
    assert gpu_check.main(chosen("--output", tmp_path)) == 1
    assert left[0] <= 0.6 and parts == []
    found = json.loads((tmp_path / "results.json").read_text())["parts"]
    assert {name: each["error"] for name, each in found.items()} == {
        "works": "", **dict.fromkeys(("exact", "check", "fast"), "not begun: no time was left")}
    assert "fast: 0 s, not begun: no time was left" in (tmp_path / "results.txt").read_text()
    assert sum(gpu_check.PARTS.values()) <= 9 * 60


def test_without_a_gpu_it_is_one_line_and_earlier_results_stay(
        tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(chosen("--output", tmp_path, "--parts", "works")) == 0
    before = (tmp_path / "results.json").read_text()
    monkeypatch.setattr(gpu_check, "facts", lambda chosen: {"gpu": "", "gpu error": "no driver"})
    capsys.readouterr()
    assert gpu_check.main(chosen("--output", tmp_path)) == 2
    assert capsys.readouterr().err == (
        "error: `--device` (gpu) must be cpu where TensorFlow finds no GPU: no driver\n")
    assert parts == ["works"] and (tmp_path / "results.json").read_text() == before
    assert gpu_check.main(chosen("--output", tmp_path, "--device", "cpu", "--parts", "works")) == 0


def test_bad_options_are_one_line(tmp_path: Path, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for output in (file, file / "below"):
        assert gpu_check.main(chosen("--output", output)) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: `--output` ({output}) must be a folder") and error.count("\n") == 1
    assert gpu_check.main(chosen("--output", tmp_path / "new", "--torch-python", "/no/python")) == 2
    assert capsys.readouterr().err == "error: `--torch-python` (/no/python) must be a program\n"
    assert parts == [] and file.read_text() == "mine" and not (tmp_path / "new").exists()
    for arguments, words in ((["--width", "0"], "must be an integer of at least 1"),
                             (["--parts", "slow"], "`--parts` (slow) must be one of"),
                             (["--precisions", "float16"], "must be one of float32, bfloat16")):
        with pytest.raises(SystemExit) as ended:
            chosen(*arguments)
        error = capsys.readouterr().err
        assert ended.value.code == 2 and words in error and error.count("\n") == 1


@pytest.mark.parametrize(("program", "gpu", "error"), [
    ("print('{\"gpu\": \"H100\"}')", "H100", ""),
    ("import sys; print('no GPU is used', file=sys.stderr); print('{\"gpu\": \"\"}')", "", "no GPU is used"),
    ("raise ImportError('no TensorFlow')", "", "ImportError: no TensorFlow"),
    ("import time; time.sleep(60)", "", "TimeoutError: TensorFlow did not name its devices in 2 s")])
def test_the_facts_say_which_gpu_or_why_none(
        monkeypatch: pytest.MonkeyPatch, program: str, gpu: str, error: str) -> None:
    monkeypatch.setattr(gpu_check, "FACTS", program)
    monkeypatch.setattr(gpu_check, "FACTS_SECONDS", 2.0 if "sleep" in program else 60.0)
    found = gpu_check.facts(chosen("--device", "cpu"))
    assert found["gpu"] == gpu and found["gpu error"] == error
    assert found["cores"] >= 1 and found["tensorflow"] and "driver" not in found


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as the script does it: here it may be ignored
import gpu_check
from gpu import tasks, works

def run(kit):
    kit.report.add("works", {"case": "vae", "ok": True, "what": "works"})
    script = 'sleep 60 & echo "{\\\\"own\\\\": $$, \\\\"child\\\\": $!}"; wait'
    tasks.run_all([tasks.Task(name, ["-c", script], 60.0, dict(os.environ), "/bin/sh") for name in "abc"], 2,
                  kit.deadline, kit.logs, lambda ended: kit.report.add("works", {"case": "told", "ok": False}))

works.run = run
gpu_check.facts = lambda chosen: {"gpu": "H100", "torch": ""}
import cli
raise SystemExit(gpu_check.main(cli.Command(gpu_check.Options(), None).parse(sys.argv[1:])))
"""


def test_ctrl_c_ends_all_processes_and_leaves_the_results(tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, "--output", str(output)], stderr=subprocess.PIPE,
                               text=True, env=tasks.environment("cpu"), stdout=subprocess.DEVNULL)
    logs = [output / "logs" / f"{name}.out" for name in "ab"]
    until = time.monotonic() + 30
    while not all(log.exists() and log.read_text().endswith("\n") for log in logs):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and errors == f"interrupted: results so far are in {output}\n"
    for log in logs:
        (pids,) = tasks.lines_of(log.read_text())
        assert gone(pids["own"]) and gone(pids["child"])
    assert not any(log.read_text() for log in (output / "logs").glob("c.*"))
    found = json.loads((output / "results.json").read_text())
    assert found["rows"] == {"works": [{"case": "vae", "ok": True, "what": "works"}]}
    assert list(found["parts"]) == ["works"] and found["parts"]["works"]["error"] == "interrupted"


def test_the_orchestrator_imports_no_framework() -> None:
    script = ("import gpu_check, sys; from gpu import works, exact, check, fast; "
              "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", script], check=True, env=tasks.environment("cpu"))
