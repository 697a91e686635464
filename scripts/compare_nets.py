"""Train several image classifiers under one budget, and set what they cost beside what they reach.

  python scripts/compare_nets.py --nets mlp convnet --epochs 4
  python scripts/compare_nets.py --nets residual-stack plain-stack --dataset fashion-mnist --epochs 5 --flip --shift 2
  python scripts/compare_nets.py --nets mlp resnet18 --net-option resnet18.width=16 --net-option mlp.hidden=[512,256]

All have the same data, order of data, seed, epochs and optimizer. Each net is a run of train_classifier.py in a folder
of its own; the same command again continues where it stopped, and does not train a finished net again; with more
--nets these are added. At the end the folder holds the table, of parameters, multiply-adds of one example,
metrics and seconds, as summary.json and in comparison.html, with the curves of all nets.
"""

import argparse
from pathlib import Path
from typing import Any

import cli
import several
import train_classifier
import wiring

OWN = {"nets", "of_net"}  # options that the single runs do not have


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/compare", epochs=4, batch_size=128, learning_rate=1e-3)
    model = parser.add_argument_group("nets")
    model.add_argument("--nets", nargs="+", default=["mlp", "convnet"], metavar="NET",
                       type=cli.one_of(train_classifier.NETS, or_class=True),
                       help=f"some of {', '.join(train_classifier.NETS)}, or Keras models of yours, module:Class "
                       "(default: mlp convnet)")
    model.add_argument("--net-option", action="append", type=_of_net, default=[], dest="of_net",
                       metavar="NET.NAME=VALUE", help="an argument of one net's class, as resnet18.width=32; may be "
                       "repeated")
    train_classifier.add_training(parser)
    return parser


def _of_net(text: str) -> tuple[str, tuple[str, Any]]:
    place, sign, value = text.partition("=")
    net, dot, name = place.rpartition(".")
    if not (sign and dot and net and name.isidentifier()):
        raise argparse.ArgumentTypeError(f"({text}) must be NET.NAME=VALUE")
    return net, cli.net_option(f"{name}={value}")


def main(parser: cli.Parser) -> int:
    chosen = parser.parse_args()
    _check(parser, chosen)
    costs: dict[str, dict[str, int]] = {}

    def make(options: argparse.Namespace, dataset: Any) -> wiring.Job:
        job = train_classifier.job(options, dataset)
        job.begin = lambda trainer: costs.update({options.net: _cost(trainer.nets["classifier"], dataset.image_shape)})
        return job

    runs = {net.replace(":", "-"): several.like(
        chosen, "train_classifier", OWN, net=net,
        net_option=[option for name, option in chosen.of_net if name == net] or None) for net in chosen.nets}
    code = several.train(chosen, runs, make, free=OWN)
    if not (code or chosen.check or chosen.smoke):
        return several.guarded(lambda: _summarise(chosen.run_dir, dict(zip(chosen.nets, runs, strict=True)), costs))
    return code


def _check(parser: cli.Parser, chosen: argparse.Namespace) -> None:
    """Names that are wrong are told before the first net is trained."""
    with wiring.quiet():
        import nets
    if len(set(chosen.nets)) < len(chosen.nets):
        parser.error(f"`--nets` ({' '.join(chosen.nets)}) must be different nets")
    try:
        takes = {name: nets.options_of(name) for name in chosen.nets}
    except ValueError as error:
        parser.error(str(error))
    for net, (name, _) in chosen.of_net:
        if name not in takes.get(net, []):
            parser.error(f"`--net-option` ({net}.{name}) must be an argument of one of --nets")


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
    raise SystemExit(main(options()))
