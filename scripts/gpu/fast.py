"""Part 4: ours against PyTorch at its best, in turns on one card; and, of ours, where the time goes."""

import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.workloads import WORKLOADS

from gpu import tasks
from gpu.kit import Kit, Row
from gpu.tasks import Asked, Ended, Failed, Task

# Workload and batch size (None: its own), the most telling first.
SIZES: tuple[tuple[str, int | None], ...] = (
    ("resnet18", 128), ("vae", None), ("convnet", None), ("wgan-gp-64", None), ("mlp", None), ("lstm", None),
    ("densenet", None), ("resnet18", 512))
PRECISIONS = ("float32", "bfloat16")
TURNS, TURN_SECONDS = 3, 0.4
READY_SECONDS, ANSWER_SECONDS = 90.0, 20.0  # to be set up, compiling included; to answer one request
CEILING_SECONDS, DATA_SECONDS = 40.0, 60.0
MODULES = {"ours": "benchmarks.ours", "torch": "benchmarks.torch_loop"}


def prepare(kit: Kit) -> None:
    """Write the inputs of all workloads."""
    data, part = kit.folder / "data", kit.folder / "data.part"
    if data.exists():
        return
    part.mkdir(exist_ok=True)
    names = sorted({name for name, _ in sizes(kit)} | {"convnet", "vae", "lstm", "wgan-gp-28"})
    ended: list[Ended] = []
    task = Task("inputs", ["-m", "benchmarks.inputs", str(part), *names], DATA_SECONDS, tasks.environment("cpu"))
    tasks.run_all([task], 1, kit.deadline, kit.logs, ended.append)
    if ended[0].error:
        raise Failed(f"benchmarks.inputs: {ended[0].error}")
    part.rename(data)  # whole, or not there: the next part tries again


def run(kit: Kit) -> None:
    """Rows "ceiling", "fast" (one for each way of each contestant) and "where"."""
    prepare(kit)
    _ceiling(kit)
    waves = [list(each) for each in _waves(kit)]
    for number, wave in enumerate(waves):
        if kit.left < 30 and not kit.smoke:
            kit.say(f"  wave {number + 1} of {len(waves)} and those after it: no time left")
            for row in itertools.chain(*waves[number:]):
                kit.report.add("fast", {**row, "missing": "not begun: no time was left"})
            break
        _wave(kit, wave, f"wave {number + 1} of {len(waves)}")


def sizes(kit: Kit) -> tuple[tuple[str, int | None], ...]:
    """Workloads and their batch sizes."""
    return (("mlp", None),) if kit.smoke else SIZES


def precisions(kit: Kit) -> Sequence[str]:
    """That are timed."""
    return PRECISIONS[:1] if kit.smoke else kit.precisions


def _ceiling(kit: Kit) -> None:
    sizes, batches, seconds = ([256], [1], 0.02) if kit.smoke else ([4096, 8192], [256], 0.2)
    point = {"seconds": seconds, "sizes": sizes, "batches": batches, "threads": None}

    def told(ended: Ended) -> None:
        for line in ended.lines[-1:]:
            for kind, types in line.items():
                for dtype, best in types.items():
                    kit.report.add("ceiling", {"kind": kind, "precision": dtype, **best})
        if ended.error:
            kit.report.add("ceiling", {"ok": False, "what": ended.error})

    task = Task("ceiling", ["-m", "benchmarks.ceiling", "--point", json.dumps(point)], CEILING_SECONDS,
                tasks.environment(kit.device))
    tasks.run_all([task], 1, kit.deadline, kit.logs, told)


def _waves(kit: Kit) -> Iterator[list[Row]]:
    """Contestants that are set up side by side, at most ``kit.width`` of them, those of a workload together."""
    wave: list[Row] = []
    for precision, (workload, batch_size) in itertools.product(precisions(kit), sizes(kit)):
        mine = list(_contestants(kit, workload, batch_size, precision))
        if wave and len(wave) + len(mine) > max(kit.width, len(mine)):
            yield wave
            wave = []
        wave += mine
    yield wave


def _contestants(kit: Kit, workload: str, batch_size: int | None, precision: str) -> Iterator[Row]:
    size = batch_size or WORKLOADS[workload].batch_size
    row = {"workload": workload, "batch_size": size, "precision": precision}
    for plan in ("graph", "xla") if precision == "float32" else ("xla",):  # on an H100 graph was 2 to 15 times slower
        yield {**row, "contestant": "ours", "settings": {"plan": plan, "threads": None}}
    small = WORKLOADS[workload].small
    if kit.report.facts.get("torch"):
        # As one CUDA graph it was 2 to 17 times faster there than without. An LSTM is cuDNN's, not compiled.
        compiled, captured = (workload != "lstm", True) if kit.device == "gpu" else (False, False)
        yield {**row, "contestant": "torch", "settings": {"compile": compiled, "channels_last": not small,
                                                          "threads": None, "captured": captured}}


def _wave(kit: Kit, wave: list[Row], name: str) -> None:
    """Set all up, time each in turns, profile ours."""
    began = time.monotonic()
    running: list[tuple[Row, Asked]] = []
    until = min(kit.deadline, began + READY_SECONDS)
    try:
        for number, row in enumerate(wave):
            running.append((dict(row), Asked(_task(kit, row, number), kit.logs)))
        running = [each for each in running if _asked(kit, each, lambda asked: asked.wait(until), "setup_seconds")]
        kit.say(f"  {name}: {len(running)} of {len(wave)} ready after {time.monotonic() - began:.0f} s")
        rates: dict[int, list[float]] = {id(row): [] for row, _ in running}
        for turn in range(TURNS):
            for row, asked in running if turn % 2 == 0 else running[::-1]:
                if len(rates[id(row)]) == turn and _asked(kit, (row, asked), lambda asked: asked.ask(
                        {"do": "time", "seconds": 0.1 if kit.smoke else TURN_SECONDS}, _patience(kit))):
                    rates[id(row)].append(row.pop("cycles_per_second"))
        for row, asked in running:
            if len(rates[id(row)]) < TURNS:
                continue
            row |= {"cycles_per_second": statistics.median(rates[id(row)]), "turns": rates[id(row)]}
            profile: Row = {}
            if row["contestant"] == "ours" and not _profiled(kit, row, asked, profile):
                _finish(kit, row, {})  # its speed is known
            elif _asked(kit, (row, asked), lambda asked: asked.ask({"do": "end"}, _patience(kit))):
                _finish(kit, row, profile)
    finally:
        for _, asked in running:
            asked.end()


def _patience(kit: Kit) -> float:
    return min(ANSWER_SECONDS, kit.left)


def _task(kit: Kit, row: Row, number: int) -> Task:
    contestant = row["contestant"]
    environment = {"TORCHINDUCTOR_CACHE_DIR": str(kit.folder / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": "2"}
    python = kit.torch_python if contestant == "torch" else tasks.sys.executable
    name = f"fast.{row['workload']}-{row['batch_size']}-{row['precision']}-{contestant}-{number}"
    return Task(name, ["-m", MODULES[contestant], "--serve", "--workload", row["workload"], "--precision",
                       row["precision"], "--device", kit.device, "--batch-size", str(row["batch_size"]), "--data",
                       str(kit.folder / "data"), "--settings", json.dumps(row["settings"])], READY_SECONDS,
                tasks.environment(kit.device, environment), python)


def _asked(kit: Kit, each: tuple[Row, Asked], ask: Any, *wanted: str) -> bool:
    """Put the answer into the row; what failed is a row of its own."""
    row, asked = each
    try:
        answer = ask(asked)
    except Failed as error:
        kit.say(f"  {label(row)}: {error}")
        kit.report.add("fast", {**row, "missing": str(error)})
        return False
    row |= {name: answer[name] for name in wanted} if wanted else answer
    return True


def _profiled(kit: Kit, row: Row, asked: Asked, profile: Row) -> bool:
    try:
        profile |= asked.ask({"do": "profile"}, _patience(kit))
    except Failed as error:
        kit.report.add("where", {**row, "missing": str(error)})
        return False
    return True


def _finish(kit: Kit, row: Row, profile: Row) -> None:
    updates = sum(WORKLOADS[row["workload"]].repeats.values())
    row["updates_per_second"] = updates * row["cycles_per_second"]
    ceiling = next((each["gflops"] for each in kit.report.rows.get("ceiling", [])
                    if each.get("kind") == "matmul" and each["precision"] == row["precision"]), None)
    if ceiling and "multiply_adds" in row:
        row["fraction_of_ceiling"] = 2e-9 * row["multiply_adds"] * row["cycles_per_second"] / ceiling
    kit.report.add("fast", row)
    kit.say(f"  {label(row)}: {row['updates_per_second']:.4g} updates/s")
    if profile:
        busy = profile["busy_seconds_per_cycle"]
        kit.report.add("where", {
            **{name: row[name] for name in ("workload", "batch_size", "precision", "settings")}, **profile,
            "kernels_per_update": profile["kernels_per_cycle"] / updates,
            # The profiler slows the host, not the kernels: their time against the time without it.
            "idle": 1.0 - busy * row["cycles_per_second"] if busy else None})


def label(row: Row) -> str:
    """For people."""
    settings = row["settings"]
    way = settings.get("plan") or "+".join(
        ["compiled"] * settings["compile"] + ["one CUDA graph"] * settings["captured"]) or "eager"
    return f"{row['workload']} {row['batch_size']}, {row['precision']}, {row['contestant']} {way}"


