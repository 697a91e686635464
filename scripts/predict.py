"""What a run makes of files: labels of pictures or texts, reconstructions of pictures.

  python scripts/predict.py runs/classifier photo.jpg folder      a line "file,label,probability" for each picture
  python scripts/predict.py runs/classifier folder --top 3 --output labels.csv
  python scripts/predict.py runs/text review.txt reviews.csv --text "I laughed all the way through."
  python scripts/predict.py runs/regression new.csv --output prices.csv      of a table: a line for each row
  python scripts/predict.py runs/autoencoder folder --output pictures     PNGs of the reconstructions

Takes some seconds, of which most is TensorFlow's start. Files are read as in training: pictures are brought to the
size and channels of the training's, texts go through the run's own vocabulary, and labels are the run's own: the data
that it was trained on are not needed. A folder stands for all pictures, or
.txt files, in and below it. A bad file is named on standard error and skipped; exit code 2 if none is good.
"""

import csv
import dataclasses
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cli
import data_options
import reopen
from fields import option
from rules import whole

AT_ONCE = 256  # files in one batch
Row = tuple[str, str, str]  # file, label, probability


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    which: reopen.Which = reopen.Which()
    paths: tuple[Path, ...] = option((), "pictures (JPEG, PNG, GIF, BMP, WebP, TIFF); for a text run .txt files, and "
                                     "CSV files with a column of texts; for a run on a table CSV or TSV files with its "
                                     "columns", Path, nargs="*", positional=True, metavar="FILE_OR_FOLDER")
    text: tuple[str, ...] = option((), "a text itself; may be repeated", nargs="append")
    column: str | None = option(None, "of CSV files (default: as in training)", flag="--text-column", metavar="NAME")
    top: int = option(1, "labels per file, the likeliest first", whole, metavar="K")
    output: Path | None = option(None, "file for the table (default: standard output); folder for the reconstructions",
                                 Path)
    data_dir: Path | None = option(None, "was needed once", Path, hidden=True)


def main(chosen: Options) -> int:
    from engine.errors import require

    if chosen.data_dir:
        print("warning: --data-dir is not read: a run keeps what its labels mean", file=sys.stderr)
    for path in chosen.paths:
        require(path.exists(), "path", path, "a file or folder that exists")
    require(chosen.paths or chosen.text, "FILE_OR_FOLDER", "none", "at least one file or folder, or a --text")
    run = reopen.reopen(chosen.which, data=False)
    if "tokens" in run.job.train.spec:
        names, logits = texts(run, chosen)
    else:
        require(not chosen.text, "--text", ", ".join(chosen.text), f"left out for a run of {run.script}")
        if run.kept["columns"]:
            return rows(run, chosen)
        require("image" in run.job.train.spec, "run_dir", run.folder,
                f"a run on pictures, texts or tables, not {run.script}")
        if "classifier" not in run.job.nets:
            return reconstruct(run, chosen)
        names, logits = pictures(run, chosen)
    _write(ranked(names, logits, run.dataset.classes, chosen.top), chosen.output)
    return 0


def texts(run: reopen.Reopened, chosen: Options) -> tuple[list[str], Any]:
    """Names of the good texts and their logits [N, classes]."""
    import numpy as np

    from engine import ArraySource
    from engine.data import unlabelled

    data = run.options.data
    trained_on = data.text_column if isinstance(data, data_options.Texts) else None
    column = chosen.column or trained_on or "text"
    good, faults = unlabelled.texts(chosen.paths, chosen.text, column)
    _tell(faults)
    tokens = run.dataset.vocabulary.encode([text for _, text in good], run.job.train.spec["tokens"].shape[1])
    source = ArraySource({"tokens": tokens}, min(AT_ONCE, len(tokens)), transform=run.job.held_out.transform)
    found = run.run.examples(lambda nets, batch, noise: {
        "logits": nets["classifier"](batch["tokens"], training=False)}, source)["logits"]
    if found.ndim == 1:  # of two classes, the log-odds of the second
        found = np.stack([np.zeros_like(found), found], axis=1)
    return [name for name, _ in good], found


def rows(run: reopen.Reopened, chosen: Options) -> int:
    """A line for each good row of the tables: its file and line, and what is predicted."""
    import numpy as np

    from engine import ArraySource
    from engine.data import unlabelled
    from engine.data.columns import Columns

    columns = Columns.from_json(run.kept["columns"])
    names, features, faults = unlabelled.rows(chosen.paths, columns)
    _tell(faults)
    unknown = np.zeros([len(names), 1], np.float32)
    source = ArraySource({"x": features, "y": unknown}, min(AT_ONCE, len(names)), transform=run.job.held_out.transform)
    found = run.run.examples(run.job.strategy.predictions, source)["predictions"]
    _write(zip(names, (f"{value:.7g}" for value in found), strict=True), chosen.output, ("file", columns.target))
    return 0


def pictures(run: reopen.Reopened, chosen: Options) -> tuple[list[str], Any]:
    """Names of the good pictures and their logits [N, classes]."""
    store, good = _opened(run, chosen.paths)
    found = run.run.examples(lambda nets, batch, noise: {
        "logits": nets["classifier"](batch["image"], training=False)}, _source(run, store, good))
    return [str(store.files[number]) for number in good], found["logits"]


def reconstruct(run: reopen.Reopened, chosen: Options) -> int:
    """A PNG of the training's size in the folder --output for each picture."""
    from engine.errors import require
    from engine.reporting.pictures import grid, save

    kinds = run.run.pictures(1, run.job.held_out)
    require("reconstructions" in kinds, "run_dir", run.folder, "a run that labels or reconstructs; one of "
            f"{run.script} is for sample.py")
    require(chosen.output, "--output", "none", "a folder for the reconstructions")
    output = Path(chosen.output or "")
    store, good = _opened(run, chosen.paths)
    targets = _targets([store.files[number] for number in good], output)
    for start in range(0, len(good), AT_ONCE):
        source = _source(run, store, good[start:start + AT_ONCE])
        made = run.run.pictures(source.size, source)["reconstructions"][1::2]  # the others are the originals
        for target, image in zip(targets[start:start + AT_ONCE], made, strict=True):
            save(grid(image[None], scale=1, padding=0), target)
    print(f"{len(targets)} reconstructions in {output}")
    return 0


def ranked(names: Sequence[str], logits: Any, classes: Sequence[str], top: int) -> Iterator[Row]:
    """The ``top`` likeliest classes of each name, by the softmax of logits [N, classes]."""
    import numpy as np

    logits = logits.astype(np.float64)
    chances = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    for name, chance in zip(names, chances, strict=True):
        for place in np.argsort(-chance, kind="stable")[:top]:
            yield name, classes[place], f"{chance[place]:.6f}"


def _opened(run: reopen.Reopened, paths: Sequence[Path]) -> tuple[Any, list[int]]:
    """The pictures of ``paths`` in the form of the training's, and the numbers of the good ones."""
    from engine.data import unlabelled
    from engine.data.image_file import Form

    height, width, channels = run.job.train.spec["image"].shape[1:]
    data = run.options.data
    fit = data.fit if isinstance(data, data_options.Images) else None
    form = Form((height, width), channels, fit or "crop")
    store, good, faults = unlabelled.pictures(paths, form)
    _tell(faults)
    return store, good


def _source(run: reopen.Reopened, store: Any, numbers: Sequence[int]) -> Any:
    import numpy as np

    from engine.data.file_source import FileSource

    return FileSource(store, store.form.shape, np.array(numbers), np.zeros(len(numbers)), min(AT_ONCE, len(numbers)),
                      transform=run.job.held_out.transform)


def _targets(files: Sequence[Path], folder: Path) -> list[Path]:
    """A name in ``folder`` for the reconstruction of each file: of its own, and of no file that is read."""
    from engine.errors import require

    seen: Counter[str] = Counter()
    targets = []
    for file in files:
        seen[file.stem] += 1
        number = f"-{seen[file.stem]}" if seen[file.stem] > 1 else ""
        targets.append(folder / f"{file.stem}-reconstruction{number}.png")
    read = {file.resolve() for file in files}
    for target in targets:
        require(target.resolve() not in read, "--output", folder, f"another folder: {target} is to be read")
    return targets


def _tell(faults: Sequence[str]) -> None:
    for fault in faults:
        print(f"skipped: {fault}", file=sys.stderr)


def _write(rows: Iterable[Sequence[str]], output: Path | None, header: Sequence[str] = ("file", "label", "probability")
           ) -> None:
    from engine.reporting.files import write_whole

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    if output is None:
        print(text.getvalue(), end="")
    else:
        write_whole(output, text.getvalue().encode(errors=cli.AS_STORED))


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse(intermixed=True)
    raise SystemExit(reopen.answer(lambda: main(chosen)))
