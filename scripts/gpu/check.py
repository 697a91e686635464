"""Part 3: do ours and PyTorch compute the same?"""

import itertools
import json
import os
from typing import Any

from benchmarks.agree import difference, tolerance
from benchmarks.workloads import WORKLOADS

from gpu import tasks
from gpu.fast import MODULES, precisions, prepare, sizes
from gpu.kit import Kit, Row
from gpu.tasks import Ended, Task

CHECK_SECONDS = 75.0
MATHEMATICS = {"NVIDIA_TF32_OVERRIDE": "0"}  # in float32, not in TF32


def run(kit: Kit) -> None:
    """One update of each phase from the same weights, batch and draws: ours, then PyTorch's, compared.

    Rows: workload, precision, ok, what.
    """
    prepare(kit)
    metrics: dict[tuple[str, str, str], Any] = {}

    def told(ended: Ended) -> None:
        _, contestant, workload, precision = ended.task.name.split(".")
        metrics[contestant, workload, precision] = (ended.lines[-1]["metrics"] if ended.lines and not ended.error
                                                    else ended.error or "no result")
        if contestant == list(MODULES)[-1]:  # the others have been told
            judge(workload, precision)

    def judge(workload: str, precision: str) -> None:
        ours, theirs = (metrics.get((each, workload, precision), "no result") for each in MODULES)
        row: Row = {"workload": workload, "precision": precision}
        bad = [f"{name}: {each}" for name, each in zip(MODULES, (ours, theirs), strict=True) if isinstance(each, str)]
        if bad:
            kit.report.add("check", {**row, "ok": False, "what": "; ".join(bad)})
            return
        largest, faults = difference(ours, theirs, tolerance(workload, "torch", precision))
        kit.report.add("check", {**row, "ok": not faults, "what": "; ".join(faults) or "the same mathematics",
                                 "largest": largest})

    def work(contestant: str, workload: str, precision: str) -> Task:
        exchange = kit.folder / f"exchange-{precision}"
        exchange.mkdir(exist_ok=True)
        for file in (kit.folder / "data").glob("*.npy"):
            if not (exchange / file.name).exists():
                os.symlink(file, exchange / file.name)
        settings = {"plan": "graph", "threads": None} if contestant == "ours" else {
            "compile": False, "channels_last": not WORKLOADS[workload].small, "threads": None, "captured": False}
        python = kit.torch_python if contestant == "torch" else tasks.sys.executable
        return Task(f"check.{contestant}.{workload}.{precision}", [
            "-m", MODULES[contestant], "--workload", workload, "--precision", precision, "--device", kit.device,
            "--data", str(exchange), "--verify", str(exchange), "--settings", json.dumps(settings)], CHECK_SECONDS,
            tasks.environment(kit.device, MATHEMATICS), python)

    if not kit.report.facts.get("torch"):
        return
    pairs = list(itertools.product(dict.fromkeys(name for name, _ in sizes(kit)), precisions(kit)))
    for contestant in MODULES:
        tasks.run_all([work(contestant, *pair) for pair in pairs], kit.width, kit.deadline, kit.logs, told)
