"""Train a linear regression, on a table of yours or on data whose true weights are known.

  python scripts/train_regression.py         y = 2 x1 - 3.4 x2 + 4.2 + e: each weight within 0.002, in seconds
  python scripts/train_regression.py --dataset polynomial --epochs 400 --evaluate-every 100 --degree 3
  python scripts/train_regression.py --dataset csv --data-dir houses.csv --target price --epochs 50

The second fits a cubic: squared errors of 0.009 in training and 0.010 in the test, of which 0.01 is the noise. It
underfits with --degree 1: 20 and 9. It overfits with --degree 20 --examples 20 --epochs 2000: 0.014 and 0.32.

At the end the learned weights stand beside the true ones; of a table, each feature's weight, per standard deviation of
a column of numbers. The error on the examples trained on stands beside the error on those held out; in summary.json the
former is train/squared_error. The picture shows the fit.

A table is a .csv or .tsv file with a header. Columns of numbers are standardised by the part to train on, columns of
texts are categories, and what that takes is kept with the run: evaluate.py and predict.py read new rows likewise.

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import cli
import groups
import wiring
from data_options import Table
from fields import option
from rules import Choice, fraction, weight


@dataclasses.dataclass(frozen=True)
class Net(groups.Net):
    """Which net."""

    net: str = groups.which_net(("linear",))


@dataclasses.dataclass(frozen=True)
class Training:
    """What is minimised, and how."""

    TITLE: ClassVar[str] = "training"
    error: str = option("squared", "what is minimised", Choice("squared", "huber"))
    momentum: float = option(0.0, "of SGD", fraction)
    l2: float = option(0.0, "a: adds a/2 |w|^2 to what is minimised, without b: ridge regression", weight)
    weight_decay: float = option(0.0, "decoupled: each update shrinks w, not b, by this multiple of the learning rate; "
                                 "not --l2 with --momentum", weight)
    learning_rate: float = groups.learning_rate(0.02)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_regression"
    data: Table = Table()
    net: Net = Net()
    training: Training = Training()
    run: groups.Run = groups.Run(epochs=3.0, batch_size=10, run_dir=Path("runs/regression"))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import keras

    import nets
    from engine import Update
    from engine.data.targets import one_target
    from engine.errors import require
    from losses.strategies import Regression

    training, part = chosen.training, "validation" if chosen.data.validation or chosen.data.fold else "test"
    strategy = Regression(training.error)
    train = dataset.source("train", chosen.run.batch_size, chosen.run.seed, one_target)
    held_out = dataset.source("test", 500, transform=one_target)
    optimizer = keras.optimizers.SGD(training.learning_rate, momentum=training.momentum,
                                     weight_decay=training.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias"])

    def draw(trainer: Any) -> dict[str, Any]:
        found = {name: trainer.examples(strategy.predictions, source)["predictions"]
                 for name, source in (("train", train), (part, held_out))}
        return {"fit": fit(dataset.name == "polynomial", {"train": dataset.train, part: dataset.test}, found)}

    net = wiring.make_net(chosen, l2=training.l2 or None)
    require(not training.l2 or "l2" in nets.options_of(chosen.net.net), "--l2", training.l2,
            f"left out for {chosen.net.net}, which does not take it: let its layers have a kernel_regularizer")
    return wiring.Job(strategy, {"regressor": net}, Update(optimizer), train, held_out, draw,
                      at_end={"train": train}, tell=tells(dataset, part))


def tells(dataset: Any, part: str) -> Callable[[Any, Mapping[str, float]], list[str]]:
    """Lines at the end: the weights, beside the true ones where they are known, and both errors."""
    def tell(trainer: Any, metrics: Mapping[str, float]) -> list[str]:
        from nets import LinearRegression

        net = trainer.nets["regressor"]
        lines = _weights(dataset, net.linear) if isinstance(net, LinearRegression) else []
        return [*lines, f"squared error   train {metrics['train/squared_error']:.6g}   "
                        f"{part} {metrics['squared_error']:.6g}"]
    return tell


def _weights(dataset: Any, layer: Any) -> list[str]:
    from engine.data import synthetic

    if hasattr(dataset, "columns"):
        learned = zip([*dataset.columns.names, "b"], [*layer.kernel.numpy()[:, 0], *layer.bias.numpy()], strict=True)
        return [f"{name:24}{weight:14.6g}" for name, weight in learned]
    true, constant = {"linear": (synthetic.WEIGHTS, synthetic.BIAS),
                      "polynomial": (synthetic.COEFFICIENTS, synthetic.CONSTANT)}[dataset.name]
    kernel, bias = layer.kernel.numpy()[:, 0], float(layer.bias.numpy()[0])
    beside = [*true[:len(kernel)], *[0.0] * (len(kernel) - len(true))]
    rows = [*((f"w{i}", *pair) for i, pair in enumerate(zip(beside, kernel, strict=True), start=1)),
            ("b", constant, bias)]
    return [f"{'':4}{'true':>10}{'learned':>10}", *(f"{name:4}{was:10.4f}{now:10.4f}" for name, was, now in rows)]


def fit(single: bool, parts: Mapping[str, Mapping[str, Any]], found: Mapping[str, Any]) -> Any:
    """The targets and the fit over x, if x is powers of a ``single`` variable; else the targets over the predictions.

    Args:
      parts: {part: its arrays}.
      found: {part: its predictions [N]}.
    """
    import numpy as np

    from engine.reporting.points import points

    across = {part: arrays["x"][:, 0] if single else found[part] for part, arrays in parts.items()}
    groups = {part: (across[part], arrays["y"][:, 0]) for part, arrays in parts.items()}
    x, y = (np.concatenate([values[part] for part in parts]) for values in (across, found))
    order = np.argsort(x)
    return points(groups, ("fit", (x[order].tolist(), y[order].tolist())), "x" if single else "prediction", "y")


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
