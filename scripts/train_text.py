"""Train an LSTM to tell kinds of texts apart.

  python scripts/train_text.py --dataset text-csv --data-dir reviews.csv --validation 0.1
  python scripts/train_text.py --dataset text-folder --data-dir aclImdb
  python scripts/train_text.py                            Keras's imdb.npz, where it is on this machine

With 18 000 film reviews an epoch takes about a minute and a half on two cores; 0.85 of the held-out ones are right
after the first.

Two classes are told apart by one logit, more of them by one for each. The vocabulary is of the training part alone, and
is saved in the run's folder as vocabulary.txt. With --validation the test part is evaluated once, when the run is
finished: summary.json then has its metrics as test/accuracy and test/cross_entropy beside the validation's.

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import cli
import groups
import wiring
from data_options import Texts
from fields import option
from rules import weight


@dataclasses.dataclass(frozen=True)
class Net(groups.Net):
    """Which net."""

    net: str = groups.which_net(("lstm",))


@dataclasses.dataclass(frozen=True)
class Training:
    """What is minimised, and how."""

    TITLE: ClassVar[str] = "training"
    label_smoothing: float = groups.label_smoothing()
    clip_norm: float = option(1.0, "bound of the gradients' global norm, 0 for none", weight)
    learning_rate: float = groups.learning_rate(1e-3)
    average: float = groups.average(0.99)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_text"
    data: Texts = Texts()
    net: Net = Net()
    training: Training = Training()
    run: groups.Run = groups.Run(epochs=5.0, batch_size=64, run_dir=Path("runs/text"))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import keras

    from engine import Update
    from losses.strategies import Binary, Supervised

    several = len(dataset.classes) if len(dataset.classes) > 2 else None
    train, test = dataset.source("train", chosen.run.batch_size, chosen.run.seed), dataset.source("test", 500)
    validation = dataset.validation and dataclasses.replace(dataset, test=dataset.validation).source("test", 500)
    training = chosen.training
    strategy: Any = (Supervised(training.label_smoothing, inputs="tokens") if several else
                     Binary(training.label_smoothing))
    held_out = validation or test
    net = wiring.make_net(chosen, vocabulary=dataset.vocabulary.ids, classes=several)
    update = Update(keras.optimizers.Adam(training.learning_rate), clip_norm=training.clip_norm or None,
                    average=training.average or None)
    return wiring.Job(strategy, {"classifier": net}, update, train, held_out,
                      draw=lambda trainer: pictures(trainer, strategy, held_out, dataset.classes),
                      at_end={"test": test} if validation else {}, begin=keeps(dataset.vocabulary))


def keeps(vocabulary: Any) -> Callable[[Any], None]:
    """Puts the vocabulary into the run's folder; one that is there must be the same."""
    def keep(trainer: Any) -> None:
        from engine.data.vocabulary import Vocabulary
        from engine.errors import require

        path = trainer.folder.path / "vocabulary.txt"
        require(not path.exists() or Vocabulary.load(path) == vocabulary, "data_dir", path,
                "the vocabulary of these texts: the run was begun on others")
        trainer.folder.create()
        vocabulary.save(path)
    return keep


def pictures(trainer: Any, strategy: Any, held_out: Any, classes: Any) -> dict[str, Any]:
    """The confusion of the held-out examples."""
    from engine.reporting.confusion import confusion

    logits = trainer.examples(strategy.logits, held_out)["logits"]
    found = logits.argmax(axis=1) if logits.ndim > 1 else (logits > 0).astype(int)
    return {"confusion": confusion(held_out.arrays["label"].numpy(), found, classes)}


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
