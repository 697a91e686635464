"""report.html of a run, and index.html of many: pages that open anywhere, without a server."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from engine.reporting.curves import charts_of, rendered
from engine.reporting.files import write_whole
from engine.reporting.gallery import gallery
from engine.reporting.page import axis_switch, box, columns, folded, heading, page, pairs, paragraph, way
from engine.reporting.per_class import per_class
from engine.reporting.progress import digits
from engine.reporting.record import Record, flat, shown

TIMINGS = ("seconds", "cycles_per_second", "process_seconds", "plan", "trial", "peak_memory_bytes")
TOLD = ("metrics", "versions", "better", *TIMINGS)  # of summary.json, said elsewhere than among the rest

__all__ = ["metrics_of", "write_index", "write_report"]


def write_report(run_folder: Path) -> Path:
    """Write a run's ``report.html``: metrics, curves, pictures; folded away, what it was computed with.

    It may be rewritten as the run goes: what the folder does not hold yet is left out.

    Args:
      run_folder: A run's folder.

    Returns:
      The file.

    Raises:
      Invalid: If it is no folder, or a file in it cannot be read as what it is.
    """
    run = Record.load(run_folder)
    body = [heading(1, run.name), paragraph(state(run), "quiet"), *_notices(run)]
    body += [heading(2, "Metrics"), metrics_of(run)] if run.final() else []
    charts = charts_of(run)
    body += [heading(2, "Curves"), axis_switch(), box("charts", rendered(charts))] if charts else []
    pictures = gallery(run)
    body += [heading(2, "Pictures"), pictures] if pictures else []
    body += [heading(2, "Classes"), per_class(run)] if per_class(run) else []
    body += [heading(2, "Details"), *_details(run)]
    path = run.folder / "report.html"
    write_whole(path, page(run.name, body), parents=False)
    return path


def write_index(folder: Path, runs: Sequence[Path], title: str, texts: Mapping[str, str]) -> Path:
    """Write ``index.html``, which shows several runs on one page.

    Args:
      folder: Folder of the page; links are relative to it.
      runs: The runs' folders, in the order of the page.
      title: The page's title.
      texts: {name of a run's folder: a text under its heading}; under "" the text below the title.

    Returns:
      The file.

    Raises:
      Invalid: The same as ``write_report``.
    """
    folder = Path(folder)
    body = [heading(1, title), paragraph(texts.get("", "")), axis_switch()]
    body += [_run(folder, Record.load(run), texts) for run in runs]
    path = folder / "index.html"
    write_whole(path, page(title, body))
    return path


def state(run: Record) -> str:
    """How far a run is, in one line."""
    words = [f"{name} {shown(name, value)}" for name, value in run.counters().items()]
    words = words or ["nothing logged yet"]
    return " · ".join(words if run.summary else [*words, "unfinished"])


def _run(folder: Path, run: Record, texts: Mapping[str, str]) -> str:
    """One run on the page of many: its metrics, curves and newest pictures."""
    report = run.folder / "report.html"
    name = f"<h2>{way(folder, report, run.name)}</h2>" if report.exists() else heading(2, run.name)
    parts = [name, paragraph(texts.get(run.name, "")), paragraph(state(run), "quiet"),
             metrics_of(run) if run.final() else "",
             box("charts", rendered([chart for chart in charts_of(run) if chart[0] != "gradient norm"])),
             gallery(run, evaluations=1)]
    return f'<section class="run">{"".join(parts)}</section>'


def _notices(run: Record) -> list[str]:
    """What a reader must know before all else."""
    found = [run.summary.get("stopped"), *(run.summary.get("impossible") or ())]
    return [paragraph(text, "notice") for text in found if isinstance(text, str) and text]


def metrics_of(run: Record) -> str:
    """A row per metric: its last value in training, in validation and in other parts, and the best one."""
    final = run.final()
    phases = {name.partition("/")[0] for name in run.columns if "/" in name} - {"eval"}
    parts = [part for part in dict.fromkeys(name.partition("/")[0] for name in final) if part not in {*phases, "eval"}]
    trained = [name for name in final if name.partition("/")[0] in phases]
    rows, said = [], set[str]()
    for metric in (name.partition("/")[2] for name in final if name.partition("/")[0] not in phases):
        if metric in said:
            continue
        said.add(metric)
        same = [name for name in trained if name.partition("/")[2] == metric]
        trained = [name for name in trained if name not in same]
        rows.append([metric, " / ".join(digits(final[name]) for name in same), _shown(final.get(f"eval/{metric}")),
                     *(_shown(final.get(f"{part}/{metric}")) for part in parts), _best(run, f"eval/{metric}")])
    rows += [[name, digits(final[name]), "", *("" for _ in parts), ""] for name in trained]
    head = ["", "training", "validation", *parts, "best validation"]
    kept = [i for i, _ in enumerate(head) if i == 0 or any(row[i] for row in rows)]
    return columns([[row[i] for i in kept] for row in [head, *rows]])


def _shown(value: float | None) -> str:
    return "" if value is None else digits(value)


def _best(run: Record, column: str) -> str:
    """The best of all evaluations, and when it was; nothing if it is not known what is better."""
    way_of, values = run.better(column), run.columns.get(column, [])
    there = [i for i, value in enumerate(values) if not math.isnan(value)]
    if not (way_of and there):
        return ""
    at = (max if way_of == "higher" else min)(there, key=values.__getitem__)
    epoch = run.columns["epoch"][at] if "epoch" in run.columns else math.nan
    return digits(values[at]) + ("" if math.isnan(epoch) else f" at epoch {epoch:.4g}")


def _details(run: Record) -> list[str]:
    """What the run is and was computed with, folded away."""
    environment = {name: value for name, value in run.environment.items() if name != "command"}
    versions = {**flat({"versions": run.summary.get("versions") or {}}), **flat(environment)}
    timings = flat({name: run.summary[name] for name in TIMINGS if name in run.summary})
    rest = flat({name: value for name, value in run.summary.items() if name not in TOLD})
    command = str(run.environment.get("command") or "")
    return [folded("Configuration", [pairs(flat(run.config).items())] if run.config else []),
            folded("Command line", [f"<pre>{escape(command)}</pre>"] if command else []),
            folded("Versions and processor", [pairs(_named(versions))] if versions else []),
            folded("Timings", [pairs(_named(timings))] if timings else []),
            folded("Counters and checks", [pairs(_named(rest))] if rest else [])]


def _named(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names of a JSON file in people's words."""
    return [(name.removeprefix("versions.").removesuffix("_bytes").replace("_", " "), text)
            for name, text in values.items()]
