"""Train several image classifiers under one budget, and set what they cost beside what they reach.

  python scripts/compare_nets.py --nets mlp convnet --epochs 4
  python scripts/compare_nets.py --nets residual-stack plain-stack --dataset fashion-mnist --epochs 5 --flip --shift 2
  python scripts/compare_nets.py --nets mlp resnet18 --net-option resnet18.width=16 --net-option mlp.hidden=[512,256]

All have the same data, order of data, seed, epochs and optimizer. Each net is a run of train_classifier.py in a folder
of its own; the same command again continues where it stopped, and does not train a finished net again; with more
--nets these are added. At the end the folder holds the table, of parameters, multiply-adds of one example,
metrics and seconds, as summary.json and in comparison.html, with the curves of all nets.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import arguments
import cli
import groups
import rules
import several
import train_classifier
import wiring
from data_options import Images
from fields import option


@dataclasses.dataclass(frozen=True)
class Nets:
    """Which nets; the single runs have one each."""

    TITLE: ClassVar[str] = "nets"
    nets: tuple[str, ...] = option(("mlp", "convnet"), f"some of {', '.join(train_classifier.NETS)}, or Keras models "
                                   "of yours, module:Class", rules.one_of(train_classifier.NETS, or_class=True),
                                   nargs="+", metavar="NET", identity=False)
    of_net: tuple[tuple[str, Any], ...] = option((), "an argument of one net's class, as resnet18.width=32; may be "
                                                 "repeated", rules.option_of_net, flag="--net-option", nargs="append",
                                                 metavar="NET.NAME=VALUE", identity=False)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script: those of train_classifier.py but for its net."""

    SCRIPT: ClassVar[str] = "compare_nets"
    data: Images = Images()
    training: train_classifier.Training = train_classifier.Training()
    run: groups.Run = groups.Run(epochs=4.0, run_dir=Path("runs/compare"))
    nets: Nets = Nets()


def main(chosen: Options) -> int:
    _check(chosen.nets)
    costs: dict[str, dict[str, int]] = {}

    def make(options: train_classifier.Options, dataset: Any) -> wiring.Job:
        job = train_classifier.job(options, dataset)
        job.begin = lambda trainer: costs.update({options.net.net: _cost(trainer.nets["classifier"],
                                                                         dataset.image_shape)})
        return job

    runs = {net.replace(":", "-"): of_one(chosen, net) for net in chosen.nets.nets}
    folder = chosen.run.run_dir
    code = several.train(folder, arguments.config(chosen), runs, make)
    if not (code or chosen.often.check or chosen.often.smoke):
        return several.guarded(lambda: _summarise(folder, dict(zip(chosen.nets.nets, runs, strict=True)), costs))
    return code


def of_one(chosen: Options, name: str) -> train_classifier.Options:
    """The options of the run of one net."""
    net = train_classifier.Net(net=name, net_option=tuple(pair for place, pair in chosen.nets.of_net if place == name))
    return train_classifier.Options(data=chosen.data, net=net, training=chosen.training, run=chosen.run,
                                    often=chosen.often, watch=chosen.watch)


def _check(chosen: Nets) -> None:
    """Names that are wrong are told before the first net is trained."""
    with wiring.quiet():
        import nets
    if len(set(chosen.nets)) < len(chosen.nets):
        cli.refuse(f"`--nets` ({' '.join(chosen.nets)}) must be different nets (see --help)")
    try:
        takes = {name: nets.options_of(name) for name in chosen.nets}
    except ValueError as error:
        cli.refuse(f"{error} (see --help)")
    for net, (name, _) in chosen.of_net:
        if name not in takes.get(net, []):
            cli.refuse(f"`--net-option` ({net}.{name}) must be an argument of one of --nets (see --help)")


def _cost(net: Any, shape: Any) -> dict[str, int]:
    from engine.run.cost import multiply_adds, parameters

    return {"parameters": parameters(net), "multiply_adds": multiply_adds(net, shape)}


def _summarise(folder: Path, runs: dict[str, str], costs: dict[str, dict[str, int]]) -> None:
    from engine.reporting.comparison import Comparison

    found = {}
    for net, name in runs.items():
        summary = several.summary(folder / name)
        found[net] = {**costs[net], **summary["metrics"], "seconds": summary["seconds"]}
    several.write_summary(folder, {"nets": found})
    comparison = Comparison.of({net: folder / name for net, name in runs.items()}, costs)
    print(several.table(comparison.rows))
    print(comparison.write(folder / "comparison.html", "Nets under one budget"))


if __name__ == "__main__":
    raise SystemExit(main(cli.Command(Options(), __doc__, files=True).parse()))
