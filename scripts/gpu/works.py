"""Part 1: every script trains some cycles, evaluates, saves and continues, in each precision and by each plan."""

import csv
import itertools
import json
import math
import random
from pathlib import Path

from gpu import tasks
from gpu.fast import prepare
from gpu.kit import Kit, Row
from gpu.tasks import Ended, Task

PRECISIONS, PLANS = ("float32", "bfloat16", "float16"), ("graph", "xla")
TRAINED, CONTINUED = 3, 5  # cycles
TASK_SECONDS = 150.0
# Name -> script and options, in groups of about equal work: a process for each group, precision and plan.
GROUPS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"classifier convnet": ("train_classifier",),
     "vae": ("train_vae",),
     "wgan-gp 28": ("train_wgan_gp",)},
    {"classifier resnet18": ("train_classifier", "--net", "resnet18", "--flip", "--shift", "4", "--batch-size", "64"),
     "text lstm": ("train_text", "--dataset", "text-csv", "--data-dir", "{texts}", "--length", "40", "--net-option",
                   "dropout=0"),
     "regression": ("train_regression",)},
    {"wgan-gp 64": ("train_wgan_gp", "--size", "64", "--batch-size", "32"),
     "autoencoder": ("train_autoencoder",),
     "gan": ("train_gan",)},
    {"classifier densenet": ("train_classifier", "--net", "densenet", "--batch-size", "64"),
     "autoencoder conv": ("train_autoencoder", "--net", "conv-autoencoder"),
     "vae conv": ("train_vae", "--net", "conv-vae", "--average", "0.9")},
)
SMOKE = ({"vae": ("train_vae", "--batch-size", "8"), "regression": ("train_regression",)},)
# Script -> options, on the runs that a process made: "{run}" is the run, "{folder}" the process's folder.
TOOLS = {"evaluate": ("vae", ("{run}",)), "inspect_run": ("vae", ("{run}",)),
         "sample": ("vae", ("{run}", "--count", "4", "--output", "{folder}/samples"))}
AUTO = ("vae", "convnet", "lstm", "wgan-gp-28")  # workloads of the benchmark whose plan plan="auto" chooses
# How far terms may be from those of the CPU in float32 and graph, from the same weights, batches and draws, in the
# first row and in the last: see ``difference``. A GPU's float32 products are TF32 (10 bits of mantissa).
# The last row is after some updates, whose differences add up; Adam's first steps are as long for any gradient.
# In float16 the first updates are passed over until the loss scale fits, so the rows are means over fewer.
TOLERANCES = {"float32": (0.01, 0.1), "bfloat16": (0.05, 0.3), "float16": (0.4, 0.4)}


def run(kit: Kit) -> None:
    """Rows: case, precision, plan, ok, what; and one for each tool, for auto, and for memory growth."""
    prepare(kit)
    texts = kit.folder / "texts.csv"
    _write_texts(texts)
    groups = SMOKE if kit.smoke else GROUPS
    precisions = PRECISIONS[:2] if kit.smoke else PRECISIONS
    found: dict[tuple[str, str, str, str], Row] = {}
    awaited = [(case, precision, plan) for group, precision, plan in itertools.product(groups, precisions, PLANS)
               for case in group]

    def judge(all_ended: bool) -> None:
        for each in list(awaited):
            case, precision, plan = each
            mine, cpu = found.get((kit.device, *each)), found.get(("cpu", case, "float32", "graph"))
            if all_ended or (mine and cpu):
                awaited.remove(each)
                kit.report.add("works", judged(case, precision, plan, mine, cpu))

    def told(ended: Ended) -> None:
        first, *_ = ended.task.name.split(".")
        for line in ended.lines:
            if "case" in line:
                found[line["device"], line["case"], line["precision"], line["plan"]] = line
                kit.say(f"  {line['device']} {line['case']}, {line['precision']}, {line['plan']}: "
                        + (line["error"] or f"{line['seconds']:.0f} s"))
                for tool, error in line.get("tools", {}).items():
                    kit.report.add("works", {"case": f"{tool}.py", "ok": not error, "what": error or "works"})
            elif first == "auto" and "settings" in line:
                kit.report.add("works", {"case": f"plan=auto, {line['workload']}", "ok": not ended.error,
                                         "what": f"chose {line['settings']['plan']}: {line['cycles_per_second']:.4g} "
                                         "cycles/s"})
        if ended.error:
            kit.report.add("works", {"case": ended.task.name, "ok": False, "what": ended.error})
        judge(all_ended=False)

    def work(device: str, group: int, precision: str, plan: str) -> Task:
        folder = kit.folder / f"{device}-{group}-{precision}-{plan}"
        point = {"device": device, "precision": precision, "plan": plan, "folder": str(folder),
                 "trained": TRAINED, "continued": CONTINUED, "cases": {
                     name: [each.format(texts=texts) for each in command] for name, command in groups[group].items()},
                 "tools": TOOLS if (group, precision, plan) == (0, "float32", "graph") else {}}
        return Task(f"works.{device}-{group}-{precision}-{plan}", ["-m", "gpu.works_worker", json.dumps(point)],
                    TASK_SECONDS, tasks.environment(device))

    ours = [work(kit.device, *each) for each in itertools.product(range(len(groups)), precisions, PLANS)]
    cpu = [work("cpu", group, "float32", "graph") for group in range(len(groups))] if kit.device != "cpu" else []
    auto = [] if kit.smoke else [_auto(kit, name) for name in AUTO]
    ours.sort(key=lambda task: precisions.index(task.name.split("-")[-2]))  # as far as the time goes
    tasks.run_all([*cpu, *ours, *auto], kit.width, kit.deadline, kit.logs, told)
    judge(all_ended=True)
    growth = {line.get("memory_growth") for line in found.values() if line["device"] == "gpu"}
    if kit.device == "gpu":
        kit.report.add("works", {"case": "memory growth", "ok": growth == {True}, "what": f"{growth}"})


def _auto(kit: Kit, workload: str) -> Task:
    data = kit.folder / "data"
    return Task(f"auto.{workload}", ["-m", "benchmarks.ours", "--workload", workload, "--data", str(data), "--settings",
                                     '{"plan": "auto", "threads": null}', "--seconds", "0.5"], TASK_SECONDS,
                tasks.environment(kit.device))


def judged(case: str, precision: str, plan: str, line: Row | None, reference: Row | None) -> Row:
    """The row of a case: its error, or how far its terms are from those of ``reference``."""
    row: Row = {"case": case, "precision": precision, "plan": plan}
    if line is None:
        return {**row, "ok": False, "what": "no result"}
    if line["error"]:
        return {**row, "ok": False, "what": line["error"]}
    row["what"] = f"trained {TRAINED} cycles, saved, continued to {CONTINUED}, evaluated"
    if reference is None or reference["error"]:
        return {**row, "ok": True, "what": f"{row['what']}; no result of the CPU to compare with"}
    apart = {which: difference(line[which], reference[which]) for which in ("first", "last")}
    bounds = dict(zip(apart, TOLERANCES[precision], strict=True))
    if precision == "float16" and math.isnan(apart["first"]):  # all its updates were passed over
        apart.pop("first")
    missed = [f"{which} row {apart[which]:.3g} of the terms' size from the CPU's, at most {bounds[which]}"
              for which in apart if not apart[which] <= bounds[which]]
    return {**row, "ok": not missed, **apart, "what": "; ".join(missed) or row["what"]}


def difference(terms: Row, expected: Row) -> float:
    """The largest |a - b| / (|b| + the largest |b| of its phase), over the terms that both have; NaN if there are none.

    Gradient norms are left out: they are not what is minimised, and of a net with batch normalisation they are of
    another size in half precision.
    """
    sizes: dict[str, float] = {}
    for name, value in expected.items():
        phase = name.partition("/")[0]
        sizes[phase] = max(sizes.get(phase, 0.0), abs(value))
    compared = [abs(terms[name] - value) / max(abs(value) + sizes[name.partition("/")[0]], 1e-9)
                for name, value in expected.items() if name in terms and not name.endswith("gradient_norm")]
    return max(compared) if compared else math.nan


def terms_of(table: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, {phase/term: value}; what is not finite or not there is left out."""
    with table.open() as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items()
             if "/" in name and not name.startswith("eval/") and value and math.isfinite(float(value))} for row in rows]


def _write_texts(path: Path) -> None:
    """300 texts of one good or bad word and others."""
    draw = random.Random(0)
    words = {"good": ("fine", "great", "lovely"), "bad": ("dull", "poor", "weak")}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "source"])
        for i in range(300):
            label = "good" if i % 2 else "bad"
            others = draw.choices(["the", "film", "plot", "actor", "scene", "end"], k=draw.randint(5, 30))
            writer.writerow([" ".join([*others, draw.choice(words[label])]), label, "test" if i % 5 == 0 else "train"])
