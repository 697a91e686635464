"""sweep.html: all trials by their goal, over each option and over time, and which were trained on."""

from html import escape
from pathlib import Path

from brackets import climb
from search_space import Listed, number_of
from sweep_plan import CONTINUED, Sweep, shown
from trials import Results

LEADING = 6  # best trials, in colours; the others are grey


def row(sweep: Sweep, results: Results, trial: int) -> list[str]:
    """Name, goal, options and length of a trial."""
    from engine.reporting.progress import digits

    length, result = results.last(trial)
    value = "failed" if result.value is None else digits(result.value)
    return [sweep.run_dir(trial).name, value, *sweep.options(trial).values(), shown(length)]


def write(sweep: Sweep, results: Results, path: Path) -> Path:
    """Write the page. Returns ``path``."""
    from engine.reporting.comparison import Comparison
    from engine.reporting.files import write_whole
    from engine.reporting.page import box, columns, heading, page, paragraph

    order = sweep.ranking(results)
    with_folder = [trial for trial in order if sweep.run_dir(trial).is_dir()]
    named = {trial: _named(sweep, results, trial) for trial in order}
    comparison = Comparison.of({named[trial]: sweep.run_dir(trial) for trial in with_folder}, leading=LEADING)
    chosen = sweep.chosen
    title = f"Sweep of {sweep.script}"
    first = f"{chosen.what.goal}, {results.better or 'no value of which'} is better"
    body = [heading(1, title),
            paragraph(f"{_searched(sweep)} \u00b7 {len(order)} trials so far \u00b7 {first}", "quiet"),
            *_failures(sweep, results, order), *_best(sweep, results, order),
            heading(2, f"{chosen.what.goal} over each option"), box("charts", _over_options(sweep, results, order)),
            paragraph(f"The best {LEADING} trials are in colour, the others grey: point at one to read it. A cross at "
                      "the top is a trial that failed.", "quiet"),
            *comparison.curves(), *_rungs(sweep, results), heading(2, "Trials"),
            columns([["", chosen.what.goal, *sweep.space, sweep.unit, "seconds"],
                     *([*row(sweep, results, trial), f"{results.last(trial)[1].seconds:.1f}"] for trial in order)],
                    ways={i: f"{sweep.run_dir(trial).name}/report.html" for i, trial in enumerate(order, start=1)
                          if (sweep.run_dir(trial) / "report.html").exists()})]
    write_whole(path, page(title, body))
    return path


def _searched(sweep: Sweep) -> str:
    chosen = sweep.chosen
    kinds = {"grid": "grid", "random": f"random search, seed {chosen.what.seed}",
             "halving": f"successive halving, eta {chosen.length.eta}, seed {chosen.what.seed}",
             "hyperband": f"Hyperband, eta {chosen.length.eta}, seed {chosen.what.seed}"}
    return f"{kinds[sweep.search]} \u00b7 up to {shown(sweep.brackets[0].rungs[-1][1])} {sweep.unit}"


def _named(sweep: Sweep, results: Results, trial: int) -> str:
    options = ", ".join(f"{name} {value}" for name, value in sweep.options(trial).items())
    length, _ = results.last(trial)
    return f"{sweep.run_dir(trial).name}: {options}" + (f" ({shown(length)} {sweep.unit})" if sweep.search in CONTINUED
                                                         else "")


def _best(sweep: Sweep, results: Results, order: list[int]) -> list[str]:
    """The best trial in full."""
    from engine.reporting.page import heading, pairs, way

    length, result = results.last(order[0])
    if result.value is None:
        return []
    run = sweep.run_dir(order[0])
    report = run / "report.html"
    name = way(sweep.folder, report, run.name) if report.exists() else escape(run.name)
    return [heading(2, "Best"), f"<p>{name}, after {shown(length)} {sweep.unit}</p>",
            pairs([(sweep.chosen.what.goal, f"{result.value:.6g}"), *sweep.options(order[0]).items()])]


def _failures(sweep: Sweep, results: Results, order: list[int]) -> list[str]:
    from engine.reporting.page import columns, folded, paragraph

    found = [(sweep.run_dir(trial).name, f"exit code {result.code}" if result.code else "the goal has no value",
              result.why)
             for trial in order for _, result in [results.last(trial)] if result.value is None]
    if not found:
        return []
    return [paragraph(f"{len(found)} of {len(order)} trials failed: they count as the worst.", "notice"),
            folded("Why they failed", [columns([["", "", ""], *found], texts=range(3))])]


def _over_options(sweep: Sweep, results: Results, order: list[int]) -> list[str]:
    """A chart of points for each option."""
    return [_over(sweep, results, order, name) for name in sweep.space]


def _over(sweep: Sweep, results: Results, order: list[int], name: str) -> str:
    from engine.reporting.chart import VALUE, Across, Line, chart

    values = sweep.space[name]
    texts = [sweep.options(trial)[name] for trial in order]
    numbers = [number_of(text) for text in texts]
    listed = list(values.texts) if isinstance(values, Listed) and None in map(number_of, values.texts) else []
    places = [listed.index(text) if listed else number for text, number in zip(texts, numbers, strict=True)]
    lines = []
    for i, (trial, at) in enumerate(zip(order, places, strict=True)):
        value = results.last(trial)[1].value
        assert at is not None
        lines.append(Line(_named(sweep, results, trial).partition(":")[0], {VALUE: [float(at)]},
                          [float("nan") if value is None else value], i, faint=i >= LEADING))
    return chart(name, lines, Across(name, values.log, listed))


def _rungs(sweep: Sweep, results: Results) -> list[str]:
    """What each bracket trained how far, and what went on."""
    from engine.reporting.page import columns, heading
    from engine.reporting.progress import digits

    if sweep.search not in CONTINUED:
        return []
    pieces = [heading(2, "What was trained on")]
    for number, bracket in enumerate(sweep.brackets, start=1):
        name = f"bracket {number}" if len(sweep.brackets) > 1 else ""
        rows = [[name, sweep.unit, "trials", "done", "best", "went on"]]
        climbed = list(climb(bracket, results.is_done, results.value, results.better))
        for i, (count, length) in enumerate(bracket.rungs):
            _, members, on = climbed[i] if i < len(climbed) else (length, [], [])
            done = [trial for trial in members if results.is_done(trial, length)]
            values = [value for trial in done if (value := results.value(trial, length)) is not None]
            best = (max if results.better == "higher" else min)(values, default=None)
            rows.append([f"rung {i + 1}", shown(length), str(len(members) or count), str(len(done)),
                         "" if best is None else digits(best),
                         ", ".join(sweep.run_dir(trial).name.removeprefix("trial-") for trial in on)])
        pieces.append(columns(rows, texts=(0, 5)))
    return pieces
