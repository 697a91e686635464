"""Pages: what a reader finds on them, whole links, nothing from elsewhere."""

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from engine.errors import Invalid
from engine.reporting.pictures import grid, save
from engine.reporting.record import Record, shown
from engine.reporting.report import write_index, write_report
from engine.reporting.table import Table


class Page(HTMLParser):
    """The tags, links and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.folder, self.tags, self.links, self.words = path.parent, [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def titles(self) -> list[str]:
        return re.findall(r'aria-label="([^"]*)"', next(self.folder.glob("*.html")).read_text())


def make_run(folder: Path, *, finished: bool = True, rows: int = 4, drawings: int = 12) -> Path:
    table = Table(folder / "metrics.csv", [
        "cycle", "batches", "epoch", "seconds", "elbo/objective", "elbo/kl", "elbo/gradient_norm",
        "eval/accuracy", "eval/mse"])
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, rows + 1):
        row = {"cycle": 100 * i, "batches": 100 * i, "epoch": i / 4, "seconds": i * 1.5,
               "elbo/objective": 250 / i, "elbo/kl": 16.52, "elbo/gradient_norm": 2.0}
        table.write(row if i % 2 else {**row, "eval/accuracy": 0.1 * i})
    for i in range(1, drawings + 1):
        save(grid(np.zeros((1, 4, 4, 1))), folder / "pictures" / f"a & b-{100 * i}.png")
    config = {"dataset": "<mnist>", "adam": {"rate": 1e-3}, "batch_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    if finished:
        (folder / "summary.json").write_text(json.dumps({
            "metrics": {"accuracy": 0.4321}, "cycles_per_second": 73.2123, "plan": "xla", "seconds": 6,
            "peak_memory_bytes": 2**30, "versions": {"tensorflow": "2.21.0"}}))
    return folder


def test_a_report_shows_figures_charts_pictures_and_configuration(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae")))
    assert page.folder.name == "vae"
    for words in ("cycle 400 · batches 400 · epoch 1 · seconds 6", "eval/accuracy 0.4321",
                  "elbo/objective 62.50", "cycles per second 73.21", "plan xla", "peak memory 1,024 MiB",
                  "versions.tensorflow 2.21.0", "dataset <mnist>", "adam.rate 0.001000", "batch_size 64"):
        assert words in page.text, words
    assert page.titles() == ["eval/accuracy", "elbo", "elbo/gradient_norm"]
    assert "objective 62.50 kl 16.52" in page.text


def test_a_report_needs_nothing_from_elsewhere_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae")))
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "http" not in (tmp_path / "vae" / "report.html").read_text().replace("http-equiv", "")
    assert page.links and all(link.startswith("pictures/") for link in page.links)
    assert all((page.folder / unquote(link)).is_file() for link in page.links)


def test_the_latest_picture_is_followed_by_a_strip_from_the_first_on(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae")))
    cycles = [int(link[:-4].rpartition("-")[2]) for link in page.links[::2]]
    assert cycles[0] == 1200 and cycles[1] == 100 and cycles[-1] == 1100
    assert len(cycles) == 9 and cycles[1:] == sorted(set(cycles[1:]))
    few = Page(write_report(make_run(tmp_path / "few", drawings=3)))
    assert [link[-8:] for link in few.links[::2]] == ["-300.png", "-100.png", "-200.png"]


def test_evaluations_are_joined_over_the_rows_without_one(tmp_path: Path) -> None:
    groups = Record.load(make_run(tmp_path / "vae")).groups()
    assert groups["eval/accuracy"] == ([200, 400], {"eval/accuracy": [0.2, 0.4]})
    assert list(groups["elbo"][1]) == ["objective", "kl"] and groups["elbo"][0] == [100, 200, 300, 400]
    assert "eval/mse" not in groups


def test_an_unfinished_run_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae", finished=False, rows=3, drawings=0)))
    assert "unfinished: no summary.json" in page.text
    assert "eval/accuracy 0.2000 cycle 200" in page.text and "elbo/kl 16.52 " in page.text
    (tmp_path / "new").mkdir()
    assert "nothing logged yet" in Page(write_report(tmp_path / "new")).text


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    make_run(tmp_path / "vae", finished=False)
    write_report(tmp_path / "vae")
    assert "unfinished" not in Page(write_report(make_run(tmp_path / "vae", rows=0))).text
    assert not list((tmp_path / "vae").glob(".*"))


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_spoilt_file_is_named(tmp_path: Path, text: str) -> None:
    (make_run(tmp_path / "vae") / "summary.json").write_text(text)
    with pytest.raises(Invalid, match=r"`summary.json` \(.*summary.json\) must be a JSON object"):
        write_report(tmp_path / "vae")


@pytest.mark.parametrize("name", ["config.json", "summary.json", "metrics.csv"])
@pytest.mark.parametrize("harm", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")],
                         ids=["a pipe", "a folder", "a device"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, name: str, harm: Callable[[Path], None]) -> None:
    run = make_run(tmp_path)
    (run / name).unlink()
    harm(run / name)
    with pytest.raises(Invalid, match=name):
        Record.load(run)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"`run_dir` \(.*nowhere\) must be a folder"):
        write_report(tmp_path / "nowhere")


def test_an_index_shows_all_runs_with_links_from_where_it_lies(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "runs" / "a run"), make_run(tmp_path / "runs" / "b", finished=False)]
    write_report(runs[0])
    texts = {"": "What this is.", "a run": "Trained <well>."}
    page = Page(write_index(tmp_path / "site", runs, "All & more", texts))
    assert page.folder == tmp_path / "site"
    for words in ("All & more What this is.", "Trained <well>.", "cycles per second 73.21",
                  "eval/accuracy 0.4321", "a & b, cycle 1,200"):
        assert words in page.text, words
    assert page.titles() == ["eval/accuracy", "elbo"] * 2
    assert page.links[0] == "../runs/a%20run/report.html"
    assert all((page.folder / unquote(link)).is_file() for link in page.links)
    assert not any("runs/b/report.html" in link for link in page.links), "b has no report"


@pytest.mark.parametrize(("name", "value", "text"), [
    ("n", 1200, "1,200"), ("n", True, "true"), ("n", None, "null"), ("n", [1, 2], "[1, 2]"),
    ("n", 0.5, "0.5000"), ("n", 123456.7, "123,457"), ("n", 1.0, "1"), ("n", float("nan"), "nan"),
    ("peak_memory_bytes", 5 * 2**20, "5 MiB")])
def test_values_are_written_for_people(name: str, value: object, text: str) -> None:
    assert shown(name, value) == text
