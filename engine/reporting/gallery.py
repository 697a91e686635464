"""The pictures of a run's evaluations in a page, under a slider."""

import base64
from collections.abc import Sequence
from html import escape

from engine.reporting.chart import data
from engine.reporting.page import box
from engine.reporting.record import Record

EVALUATIONS = 30  # the most that a page holds pictures of
BYTES = 6 * 2**20  # the most that they may have together, so that a page that is rewritten as a run goes stays light


def gallery(run: Record, evaluations: int = EVALUATIONS) -> str:
    """The pictures of at most ``evaluations`` evaluations, evenly chosen, the newest first in sight; "" for none.

    The first and the newest are always among them, unless two alone have more than 6 MiB: then the newest.
    """
    cycles = _chosen(run, evaluations)
    if not cycles:
        return ""
    entries = [{"caption": _caption(run, cycle, number, len(cycles)),
                "pictures": _pictures(run, cycle) if number < len(cycles) else {}}
               for number, cycle in enumerate(cycles, start=1)]
    caption, last = str(entries[-1]["caption"]), _pictures(run, cycles[-1])
    shown = [_picture(name, caption, last.get(name)) for name in run.pictures]
    slider = (f'<div class="bar slider"><input type="range" min="0" max="{len(cycles) - 1}" '
              f'value="{len(cycles) - 1}" aria-label="evaluation" aria-valuetext="{escape(caption)}">'
              f"<output>{escape(caption)}</output></div>") if len(cycles) > 1 else ""
    return box("gallery", [slider or f"<p class=quiet>{escape(caption)}</p>", box("pictures", shown),
                           data(entries) if slider else ""])


def _chosen(run: Record, most: int) -> list[int]:
    """Cycles to show the pictures of, so few that their files are within the bounds."""
    sizes: dict[int, int] = {}
    for files in run.pictures.values():
        for cycle, name in files:
            sizes[cycle] = sizes.get(cycle, 0) + (run.folder / "pictures" / name).stat().st_size
    cycles = sorted(sizes)
    for count in range(min(most, len(cycles)), 0, -1):
        chosen = _even(cycles, count)
        if count == 1 or sum(map(sizes.__getitem__, chosen)) <= BYTES:
            return chosen
    return []


def _even(values: Sequence[int], count: int) -> list[int]:
    """``count`` of the values, evenly chosen, the first and the last among them; of one, the last."""
    step = (len(values) - 1) / max(1, count - 1)
    return [values[round(i * step)] for i in range(count)] if count > 1 else [values[-1]]


def _pictures(run: Record, cycle: int) -> dict[str, str]:
    """{name: data URI} of the pictures of one evaluation."""
    found = {}
    for name, files in run.pictures.items():
        for file in (file for at, file in files if at == cycle):
            coded = base64.b64encode((run.folder / "pictures" / file).read_bytes()).decode()
            found[name] = f"data:image/png;base64,{coded}"
    return found


def _caption(run: Record, cycle: int, number: int, count: int) -> str:
    """Which evaluation it is."""
    epochs = dict(zip(run.columns.get("cycle", []), run.columns.get("epoch", []), strict=False))
    epoch = f", epoch {epochs[cycle]:.4g}" if cycle in epochs else ""
    return f"cycle {cycle:,}{epoch}" + (f" ({number} of {count})" if count > 1 else "")


def _picture(name: str, caption: str, source: str | None) -> str:
    """One kind of pictures. Of an evaluation without it, as one without mistakes, a word stands for it."""
    text = escape(name)
    image = f' src="{source}"' if source else " hidden"
    return (f'<figure><figcaption>{text}</figcaption><img{image} data-name="{text}" alt="{text}, {escape(caption)}">'
            f"<i class=quiet{' hidden' if source else ''}>none at this evaluation</i></figure>")
