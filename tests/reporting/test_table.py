"""metrics.csv: exact numbers, whole rows, agreement of columns."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Invalid
from engine.reporting.table import Table, read

COLUMNS = ["cycle", "epoch", "elbo/kl", "eval/accuracy"]


def filled(path: Path, rows: int = 3) -> Table:
    table = Table(path, COLUMNS)
    for i in range(1, rows + 1):
        table.write({"cycle": 10 * i, "epoch": i / 3, "elbo/kl": 0.1 * i})
    return table


def test_nothing_is_written_before_the_first_row(tmp_path: Path) -> None:
    table = Table(tmp_path / "run" / "metrics.csv", COLUMNS)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):  # a folder that was removed is not made again
        table.write({"cycle": 1})
    assert not list(tmp_path.iterdir())
    table.path.parent.mkdir()
    table.write({"cycle": 1})
    assert table.path.read_text() == "cycle,epoch,elbo/kl,eval/accuracy\n1,,,\n"


def test_numbers_read_back_exactly_and_integers_are_plain(tmp_path: Path) -> None:
    table = Table(tmp_path / "metrics.csv", COLUMNS)
    row = {"cycle": np.int64(12_000_000), "epoch": 0.1 + 0.2, "elbo/kl": np.float32(0.1),
           "eval/accuracy": 1e-300}
    table.write(row)
    assert table.path.read_text().splitlines()[1] == "12000000,0.30000000000000004,0.10000000149011612,1e-300"
    assert read(table.path) == {name: [float(value)] for name, value in row.items()}


def test_missing_numbers_are_nan(tmp_path: Path) -> None:
    found = read(filled(tmp_path / "metrics.csv").path)
    assert found["cycle"] == [10, 20, 30]
    assert all(math.isnan(value) for value in found["eval/accuracy"])


def test_a_continued_table_goes_on_below(tmp_path: Path) -> None:
    filled(tmp_path / "metrics.csv")
    Table(tmp_path / "metrics.csv", COLUMNS).write({"cycle": 40, "elbo/kl": math.inf})
    assert read(tmp_path / "metrics.csv")["cycle"] == [10, 20, 30, 40]
    assert read(tmp_path / "metrics.csv")["elbo/kl"][-1] == math.inf


@pytest.mark.parametrize("tail", ["40,1.33", "4", "40,1.3,0.4,0.9"])
def test_a_row_cut_in_the_middle_is_dropped(tmp_path: Path, tail: str) -> None:
    path = filled(tmp_path / "metrics.csv").path
    whole = path.read_text()
    path.write_text(whole + tail)
    assert read(path)["cycle"] == [10, 20, 30]
    assert path.read_text() == whole + tail, "reading changes nothing"
    Table(path, COLUMNS).write({"cycle": 40})
    assert path.read_text() == whole + "40,,,\n"


def test_a_header_cut_in_the_middle_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("cycle,epo")
    assert read(path) == {}
    Table(path, COLUMNS).write({"cycle": 1})
    assert path.read_text() == "cycle,epoch,elbo/kl,eval/accuracy\n1,,,\n"


def test_another_header_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("cycle,other\n1,2\n3")
    rule = (r"`metrics.csv` \(columns cycle,other\) must be a table with the columns "
            "cycle,epoch,elbo/kl,eval/accuracy")
    with pytest.raises(Invalid, match=rule):
        Table(path, COLUMNS)
    assert path.read_text() == "cycle,other\n1,2\n3"


@pytest.mark.parametrize(("cycle", "left"), [(0, []), (10, [10]), (25, [10, 20]), (30, [10, 20, 30])])
def test_rewind_drops_the_rows_after_a_checkpoint(tmp_path: Path, cycle: int, left: list[int]) -> None:
    table = filled(tmp_path / "metrics.csv")
    table.rewind(cycle)
    assert read(table.path)["cycle"] == left
    table.write({"cycle": cycle + 1})
    assert read(table.path)["cycle"] == [*left, cycle + 1]
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_rewind_keeps_the_text_of_rows_and_needs_no_file(tmp_path: Path) -> None:
    table = Table(tmp_path / "metrics.csv", COLUMNS)
    table.rewind(5)
    assert not table.path.exists()
    before = filled(table.path, 2).path.read_text()
    filled(table.path, 3)
    Table(table.path, COLUMNS).rewind(20)
    assert table.path.read_text().startswith(before)


def test_a_wrong_row_is_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "metrics.csv", COLUMNS)
    with pytest.raises(Invalid, match=r"`row` \(elbo/other\) must be one of the columns cycle,epoch"):
        table.write({"cycle": 1, "elbo/other": 2.0})
    with pytest.raises(Invalid, match=r"`row` \(epoch\) must be a row with its `cycle`"):
        table.write({"epoch": 1})
    assert not table.path.exists()


@pytest.mark.parametrize(("columns", "rule"), [
    (["epoch"], "a list with `cycle`"), (["cycle", "a", "a"], "doubles"),
    (["cycle", "a,b"], "without commas"), (["cycle", ""], "without commas")])
def test_columns_that_cannot_head_a_table(tmp_path: Path, columns: list[str], rule: str) -> None:
    with pytest.raises(Invalid, match=rule):
        Table(tmp_path / "metrics.csv", columns)


@pytest.mark.parametrize("row", ["1,2", "1,2,x,4", "1,2,3,4,5"])
def test_a_spoilt_row_is_named(tmp_path: Path, row: str) -> None:
    path = filled(tmp_path / "metrics.csv", 1).path
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(Invalid, match=rf"`metrics.csv` \(line 3: {row}\) must be 4 numbers"):
        read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"`metrics.csv` \(.*\) must be a file"):
        read(tmp_path / "metrics.csv")


@pytest.mark.parametrize("left", [b"", b"cycle,ba", b"cycle,batches\n", b"cycle,batches\n1,"])
def test_what_a_kill_or_a_full_disk_leaves_of_the_first_row_is_gone_on_from(tmp_path, left):
    path = tmp_path / "metrics.csv"
    path.write_bytes(left)
    made = Table(path, ["cycle", "batches"])
    made.rewind(5)
    made.write({"cycle": 6, "batches": 7})
    assert read(path) == {"cycle": [6.0], "batches": [7.0]}


def test_what_is_no_table_is_one_line_and_takes_no_memory(tmp_path):
    path = tmp_path / "metrics.csv"
    for content, line in ((b"\n" * 30_000_000, "must be a table with the column"),
                          (b"\xff\x00 garbage\n1\n", "must be a table"), (None, "must be a file")):
        if content is None:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(content)
        for opened in (read, lambda path: Table(path, ["cycle", "batches"])):
            with pytest.raises(Invalid, match=line):
                opened(path)
    path.rmdir()
    path.write_bytes(b"cycle,batches\n")
    os.truncate(path, 2**28 + 1)
    with pytest.raises(Invalid, match="must be of at most 268435456 bytes"):
        Table(path, ["cycle", "batches"])


def test_a_link_that_leads_nowhere_is_refused_and_not_written_through(tmp_path):
    path = tmp_path / "metrics.csv"
    path.symlink_to("nowhere")
    with pytest.raises(Invalid, match="must be a file"):
        Table(path, ["cycle", "batches"])
    assert not (tmp_path / "nowhere").exists()
