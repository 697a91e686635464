"""The results as text."""

import itertools
from typing import Any

from benchmarks.program import columns

from gpu.fast import label
from gpu.kit import Report, Row

# What is wanted of ours against PyTorch's best, by workload; ``OTHERS`` for the others.
BARS, OTHERS, IDLE = {"mlp": 1.5, "vae": 1.5, "wgan-gp-64": 1.2}, 1.0, 0.1


def text(report: Report) -> str:
    """All that is known so far."""
    parts = [*[f"{name}: {value}" for name, value in report.facts.items()], ""]
    for name, part in report.parts.items():
        parts.append(f"{name}: {part['seconds']:.0f} s{', ' + part['error'] if part['error'] else ''}")
    for name, shown in (("works", _cases), ("exact", _cases), ("check", _checks), ("ceiling", _ceiling),
                        ("fast", _speeds), ("where", _where)):
        rows = report.rows.get(name)
        if rows:
            parts += ["", f"## {name}", "", shown(rows)]
    return "\n".join(parts)


def _verdict(row: Row) -> str:
    return "ok" if row["ok"] else "FAILED"


def _cases(rows: list[Row]) -> str:
    cells = [[_verdict(row), row["case"], row.get("precision", ""), row.get("plan", ""),
              *[f"{row[each]:.2g}" if each in row else "" for each in ("first", "last")], row["what"]]
             for row in sorted(rows, key=lambda row: row["case"])]
    good = sum(row["ok"] for row in rows)
    return f"{good} of {len(rows)}\n" + columns(["", "case", "precision", "plan", "first row", "last row", ""], cells)


def _checks(rows: list[Row]) -> str:
    return columns(["", "workload", "precision", "largest difference", ""], [
        [_verdict(row), row["workload"], row["precision"], f"{row['largest']:.1e}" if "largest" in row else "-",
         row["what"]] for row in rows])


def _ceiling(rows: list[Row]) -> str:
    return columns(["kind", "precision", "TFLOP/s", "plan", "size"], [
        [row["kind"], row["precision"], f"{row['gflops'] / 1000:.1f}", row["plan"], str(row["size"])] if "kind" in row
        else ["-", "-", row["what"], "-", "-"] for row in rows])


def _speeds(rows: list[Row]) -> str:
    timed = [row for row in rows if "updates_per_second" in row]
    lines = []
    for _, group in itertools.groupby(sorted(timed, key=_key), key=_key):
        lines += _group(list(group))
    table = columns(["workload", "batch", "precision", "ours, updates/s", "plan", "PyTorch, updates/s", "way",
                     "ours : PyTorch", "wanted", "of the card's matmul, %", "GPU memory, MiB (ours : PyTorch)",
                     "set-up, s (ours : PyTorch)"], lines)
    missing = [f"{label(row)}: {row['missing']}" for row in rows if "missing" in row]
    return "\n".join([table, "", "every way, updates/s:", *[
        f"  {label(row)}: {row['updates_per_second']:.5g} (turns: "
        + ", ".join(f"{each * row['updates_per_second'] / row['cycles_per_second']:.5g}" for each in row["turns"]) + ")"
        for row in timed], *missing])


def _key(row: Row) -> tuple[Any, ...]:
    return row["precision"] != "float32", row["workload"], row["batch_size"]


def _group(rows: list[Row]) -> list[list[str]]:
    best = {name: max((row for row in rows if row["contestant"] == name), key=lambda row: row["updates_per_second"],
                      default=None) for name in ("ours", "torch")}
    ours, torch = best["ours"], best["torch"]
    first = ours or torch
    assert first is not None
    wanted = BARS.get(first["workload"], OTHERS)

    def cell(row: Row | None, name: str, form: str, scale: float = 1.0) -> str:
        return format(row[name] * scale, form) if row and name in row else "-"

    ratio = ours["updates_per_second"] / torch["updates_per_second"] if ours and torch else None
    return [[first["workload"], str(first["batch_size"]), first["precision"], cell(ours, "updates_per_second", ".4g"),
             label(ours).rsplit(" ", 1)[-1] if ours else "-", cell(torch, "updates_per_second", ".4g"),
             label(torch).partition("torch ")[2] if torch else "-", f"{ratio:.2f}" if ratio else "-",
             f"{wanted:g}" + ("" if ratio is None else " met" if ratio >= wanted else " MISSED"),
             cell(ours, "fraction_of_ceiling", ".1f", 100),
             f"{cell(ours, 'gpu_peak_bytes', '.0f', 2**-20)} : {cell(torch, 'gpu_peak_bytes', '.0f', 2**-20)}",
             f"{cell(ours, 'setup_seconds', '.1f')} : {cell(torch, 'setup_seconds', '.1f')}"]]


def _where(rows: list[Row]) -> str:
    cells, tops = [], []
    for row in rows:
        name = [row["workload"], str(row["batch_size"]), row["precision"], row["settings"]["plan"]]
        if "missing" in row:
            cells.append([*name, *["-"] * 4, row["missing"]])
            continue
        idle = row["idle"]
        cells.append([*name, f"{row['kernels_per_update']:.0f}", f"{1e6 * row['busy_seconds_per_cycle']:.0f}",
                      "no GPU in the trace" if idle is None else
                      f"{100 * idle:.0f}" + f" (wanted: under {100 * IDLE:.0f})" * (idle >= IDLE),
                      ", ".join(f"{count} {way}" for way, count in row["transfers_per_call"].items()) or "none",
                      f"{row['cycles']} cycles"])
        tops += ["", " ".join(name), *[f"  {1e6 * each['seconds_per_cycle']:9.1f} us  x{each['times_per_cycle']:<7.1f} "
                                       f"{each['name']}" for each in row["top"]]]
    return columns(["workload", "batch", "precision", "plan", "kernels an update", "busy, us a cycle", "idle, %",
                    "transfers in one call", "call"], cells) + "\n".join(["", "", "kernels by time, a cycle:", *tops])
