"""The benchmark's picture: ratios as bars on a logarithmic scale, a thin line from least to greatest."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = {"keras": "#2a86c8", "torch": "#d55e00", "notes": "#7f7f7f", "bare": "#009e73"}  # after Okabe and Ito
LEFT, RIGHT, TOP, BAR, GAP, WIDTH = 190, 90, 56, 16, 14, 900  # pixels


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A PNG of the rows' ratios ours : peer; rows of missing peers are left out."""
    from PIL import Image, ImageDraw, ImageFont

    rows = [row for row in rows if "ratio" in row]
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    height = TOP + BAR * len(rows) + GAP * len(workloads) + 10
    image = Image.new("RGB", (WIDTH, height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    ratios = [value for row in rows for value in row["ratio"].values()]
    low, high = math.log(min([0.5, *ratios])), math.log(max([2.0, *ratios]))

    def across(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(ratio) - low) / (high - low)

    precision = rows[0]["precision"] if rows else ""
    pen.text((10, 8), f"cycles per second, ours : peer, {precision} (longer is better; 1 is equal)", "black", font)
    for tick in (0.5, 1, 2, 4, 8, 16, 32, 64):
        if low <= math.log(tick) <= high:
            pen.line([(across(tick), TOP - 6), (across(tick), height - 8)], "#000000" if tick == 1 else "#dddddd")
            pen.text((across(tick), TOP - 22), f"{tick:g}", "#555555", font, anchor="ma")
    y = TOP
    for workload in workloads:
        mine = [row for row in rows if row["workload"] == workload]
        pen.text((10, y), workload, "black", font)
        for row in mine:
            ratio, middle = row["ratio"], y + BAR / 2
            left, right = sorted((across(1.0), across(ratio["median"])))
            pen.rectangle([left, y + 2, right, y + BAR - 3], COLOURS[row["peer"]])
            pen.line([(across(ratio["min"]), middle), (across(ratio["max"]), middle)], "black")
            pen.text((LEFT - 8, y), row["peer"], COLOURS[row["peer"]], font, anchor="ra")
            pen.text((max(across(1.0), across(ratio["max"])) + 6, y), f"{ratio['median']:.2f}", "black", font)
            y += BAR
        y += GAP
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
