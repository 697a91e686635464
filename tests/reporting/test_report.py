"""Pages: what a reader finds on them, whole links, nothing from elsewhere."""

import base64
import json
import math
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from engine.errors import Invalid
from engine.reporting.curves import charts_of
from engine.reporting.gallery import gallery
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
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.words.append(data)

    def titles(self) -> list[str]:
        """The charts' titles."""
        return re.findall('role="img" aria-label="(.*?):', next(self.folder.glob("*.html")).read_text())


def make_run(folder: Path, *, finished: bool = True, rows: int = 4, drawings: int = 12,
             summary: dict[str, Any] | None = None) -> Path:
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
            "peak_memory_bytes": 2**30, "versions": {"tensorflow": "2.21.0"},
            **(summary or {})}))
    return folder


def test_a_report_shows_metrics_curves_pictures_and_details(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae")))
    assert page.folder.name == "vae"
    for words in ("cycle 400 · batches 400 · epoch 1 · seconds 6", "accuracy 0.4321 0.4000 at epoch 1",
                  "elbo/objective 62.50", "cycles per second 73.21", "plan xla", "peak memory 1,024 MiB",
                  "tensorflow 2.21.0", "dataset <mnist>", "adam.rate 0.001000", "batch_size 64"):
        assert words in page.text, words
    assert page.titles() == ["accuracy", "elbo", "gradient norm"]
    assert "objective 62.50 kl 16.52" in page.text
    order = [page.text.index(word) for word in ("Metrics", "Curves", "Pictures", "Details", "Configuration")]
    assert order == sorted(order) and page.tags.count("details") == 3


def test_a_report_is_one_file(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae")))
    assert not {"link", "iframe", "a"} & set(page.tags)
    assert "http" not in (tmp_path / "vae" / "report.html").read_text()
    assert page.links and all(link.startswith("data:image/png;base64,") for link in page.links)


def test_training_and_validation_of_a_metric_share_a_chart(tmp_path: Path) -> None:
    make_run(tmp_path)
    table = Table(tmp_path / "more.csv", ["cycle", "epoch", "a/kl", "a/loss", "a/learning_rate", "a/gradient_norm",
                                          "b/kl", "b/learning_rate", "b/only", "eval/loss", "eval/kl", "eval/mse"])
    table.write({"cycle": 1, "a/kl": 1.0, "a/loss": 2.0, "a/learning_rate": 0.1, "b/kl": 3.0, "b/learning_rate": 0.2,
                 "a/gradient_norm": 5.0, "b/only": 9.0})
    table.write({"cycle": 2, "epoch": 0.5, "a/loss": 1.0, "eval/loss": 1.5, "eval/kl": 4.0})
    (tmp_path / "more.csv").replace(tmp_path / "metrics.csv")
    found = {title: [(line.name, dict(line.x), line.y) for line in lines] for title, lines in
             charts_of(Record.load(tmp_path))}
    assert list(found) == ["loss", "kl", "b/only", "learning rate", "gradient norm"]
    nan = pytest.approx(math.nan, nan_ok=True)
    assert found["loss"] == [("training", {"epochs": [nan, 0.5], "cycles": [1, 2]}, [2, 1]),
                             ("validation", {"epochs": [0.5], "cycles": [2]}, [1.5])]
    assert [(name, y) for name, _, y in found["kl"]] == [
        ("training, a", [1]), ("training, b", [3]), ("validation", [4])]
    assert [(name, y) for name, _, y in found["learning rate"]] == [("a", [0.1]), ("b", [0.2])]
    assert [(name, y) for name, _, y in found["gradient norm"]] == [("a", [5])]


def test_what_is_better_is_said_by_the_run_or_its_name(tmp_path: Path) -> None:
    run = Record.load(make_run(tmp_path, summary={"better": {"kl": "higher", "accuracy": "sideways"}}))
    assert [run.better(name) for name in ("elbo/kl", "eval/accuracy", "eval/negative_elbo", "test/elbo", "x")] == [
        "higher", "higher", "lower", "", ""]


def test_the_parts_that_were_evaluated_have_a_column_each(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path, summary={"metrics": {"accuracy": 0.5, "mse": 2.0, "test/mse": 3.0}})))
    assert "training validation test best validation accuracy 0.5000 0.4000 at epoch 1 mse 2.000 3.000" in page.text


def test_what_it_was_computed_with_is_folded_away(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / "environment.json").write_text(json.dumps({"command": "python <train>.py", "git_commit": "0123abc",
                                                      "processor": {"model": "A CPU"}}))
    page = Page(write_report(run))
    assert "Command line python <train>.py" in page.text
    assert "Versions and processor tensorflow 2.21.0 git commit 0123abc processor.model A CPU" in page.text


def test_what_must_be_known_first_stands_on_top(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path, summary={"stopped": "at a <fault>", "impossible": ["kl is -1"]})))
    assert page.text.index("at a <fault> kl is -1") < page.text.index("Metrics")


def embedded(page: str) -> list[dict[str, Any]]:
    """The evaluations of a page's slider."""
    text = re.search(r'class="gallery".*?json">(.*?)</script>', page, re.DOTALL)
    return list(json.loads(text[1])) if text else []


def test_the_slider_has_all_evaluations_evenly_chosen_if_they_are_many(tmp_path: Path) -> None:
    run = Record.load(make_run(tmp_path / "vae"))
    found = embedded(gallery(run))
    assert [each["caption"].split()[1] for each in found] == [f"{100 * i:,}" + "," * (i < 5) for i in range(1, 13)]
    assert found[0]["caption"] == "cycle 100, epoch 0.25 (1 of 12)" and found[11]["pictures"] == {}
    png = base64.b64decode(found[1]["pictures"]["a & b"].partition(",")[2])
    assert png == (run.folder / "pictures" / "a & b-200.png").read_bytes()
    few = embedded(gallery(run, evaluations=5))
    assert [each["caption"].split()[1].rstrip(",") for each in few] == ["100", "400", "700", "900", "1,200"]
    assert "cycle 1,200" in gallery(run, evaluations=1) and not embedded(gallery(run, evaluations=1))
    assert gallery(Record.load(make_run(tmp_path / "none", drawings=0))) == ""


def test_large_pictures_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.reporting.gallery.BYTES", 600)
    run = make_run(tmp_path / "vae")
    for path in (run / "pictures").iterdir():
        path.write_bytes(bytes(100))
    assert len(embedded(gallery(Record.load(run)))) == 6
    (run / "pictures" / "a & b-1200.png").write_bytes(bytes(700))
    assert gallery(Record.load(run)).count("<img") == 1 and not embedded(gallery(Record.load(run)))


def test_an_unfinished_run_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "vae", finished=False, rows=3, drawings=0)))
    assert "seconds 4.500 · unfinished" in page.text
    assert "accuracy 0.2000 0.2000 at epoch 0.5" in page.text and "elbo/kl 16.52 " in page.text
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
    for words in ("All & more What this is.", "Trained <well>.", "accuracy 0.4321", "cycle 1,200 a & b"):
        assert words in page.text, words
    assert page.titles() == ["accuracy", "elbo"] * 2
    assert page.links[0] == "../runs/a%20run/report.html"
    assert (page.folder / unquote(page.links[0])).is_file()
    assert [link[:22] for link in page.links[1:]] == ["data:image/png;base64,"] * 2, "b has no report"


@pytest.mark.parametrize(("name", "value", "text"), [
    ("n", 1200, "1,200"), ("n", True, "true"), ("n", None, "null"), ("n", [1, 2], "[1, 2]"),
    ("n", 0.5, "0.5000"), ("n", 123456.7, "123,457"), ("n", 1.0, "1"), ("n", float("nan"), "nan"),
    ("peak_memory_bytes", 5 * 2**20, "5 MiB")])
def test_values_are_written_for_people(name: str, value: object, text: str) -> None:
    assert shown(name, value) == text
