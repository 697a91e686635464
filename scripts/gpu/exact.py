"""Part 2: the same bits in ten repeats, the same bits after a stop, and a NaN that is named before it is applied."""

import itertools
import json

from gpu import tasks
from gpu.kit import Kit
from gpu.tasks import Ended, Task

WORKLOADS, PLANS = ("classifier", "vae", "wgan-gp", "lstm"), ("graph", "xla")
REPEATS = (5, 5)  # in a process each; the first stops a run in its middle, the second continues it
TASK_SECONDS = 150.0


def run(kit: Kit) -> None:
    """Rows: workload, plan, ok, what."""
    workloads, plans = (("vae",), ("graph",)) if kit.smoke else (WORKLOADS, PLANS)
    repeats = (1, 1) if kit.smoke else REPEATS
    found: dict[tuple[str, str], list[Ended]] = {}

    def told(ended: Ended) -> None:
        _, workload, plan, which = ended.task.name.split(".")
        kit.say(f"  {workload}, {plan}, process {which}: {ended.error or f'{ended.seconds:.0f} s'}")
        mine = found.setdefault((workload, plan), [])
        mine.append(ended)
        if len(mine) == (1 if workload == "poison" else len(repeats)):
            _judge(kit, workload, plan, mine)

    def work(workload: str, plan: str, which: int) -> Task:
        folder = kit.folder / f"exact-{workload}-{plan}"
        folder.mkdir(parents=True, exist_ok=True)
        count = repeats[which] if workload != "poison" else 0
        point = {"workload": workload, "plan": plan, "which": which, "repeats": count, "folder": str(folder)}
        return Task(f"exact.{workload}.{plan}.{which}", ["-m", "gpu.exact_worker", json.dumps(point)], TASK_SECONDS,
                    tasks.environment(kit.device))

    poison = [work("poison", plan, 0) for plan in plans]
    # The processes that stop a run come first: those that continue it wait for them.
    others = [work(workload, plan, which) for which, workload, plan in
              itertools.product(range(len(repeats)), workloads, plans)]
    tasks.run_all([*poison, *others], max(kit.width, 2 * len(workloads) * len(plans)), kit.deadline, kit.logs, told)


def _judge(kit: Kit, workload: str, plan: str, all_ended: list[Ended]) -> None:
    row = {"case": workload, "plan": plan}
    errors = [ended.error for ended in all_ended if ended.error]
    lines = [line for ended in all_ended for line in ended.lines]
    if workload == "poison":
        faults = [*errors, *[line["error"] for line in lines if line.get("error")]]
        ok = not faults and bool(lines)
        said = lines[0].get("said", "") if lines else "no result"
        kit.report.add("exact", {**row, "ok": ok, "what": "; ".join(faults) or said})
        return
    hashes = [line["hash"] for line in lines if "hash" in line]
    continued = [line["continued"] for line in lines if "continued" in line]
    results = len(set(hashes))
    kit.report.add("exact", {**row, "ok": results == 1 and not errors, "what": f"{len(hashes)} repeats, {results} "
                             "result(s)" + "".join(f"; {error}" for error in errors)})
    same = bool(continued) and set(continued) == set(hashes)
    kit.report.add("exact", {**row, "ok": same, "what": "stopped in the middle and continued in a new process: " + (
        "the same bits" if same else "other bits" if continued else "no result")})
