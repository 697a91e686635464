"""Pictures of what a run has learned: samples, ways between them, reconstructions.

  python scripts/sample.py runs/wgan-gp                   a grid of 64 samples, wgan-gp-samples.png
  python scripts/sample.py runs/vae --interpolate 12      8 ways of 12 pictures, each between two samples
  python scripts/sample.py runs/vae --reconstruct         held-out pictures, each beside its reconstruction
  python scripts/sample.py runs/autoencoder --interpolate 12      between the codes of held-out pictures

Takes some seconds, of which most is TensorFlow's start. For runs of train_vae, train_gan, train_wgan_gp and
train_autoencoder. Averaged weights are used where the run has them; the run's folder stays as it is. The same seed
gives the same latents, so runs of one size of latents can be compared.
"""

import dataclasses
from pathlib import Path
from typing import Any

import cli
import reopen
from fields import option
from rules import natural, two_or_more, whole

COUNTS = {"samples": 64, "interpolations": 8, "reconstructions": 32}
AT_ONCE = 256  # pictures decoded together


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    which: reopen.Which = reopen.Which()
    interpolate: int = option(0, "ways of N pictures between two latents; on a sphere between Gaussian ones "
                              "(default: none)", two_or_more, exclusive="kind")
    reconstruct: bool = option(False, "held-out pictures and their reconstructions", bool, exclusive="kind")
    count: int | None = option(None, "samples (default: 64), ways (8) or reconstructions (32)", whole)
    seed: int = option(0, "of the latents", natural)
    output: Path | None = option(None, "(default: the run's name and what is shown, in this folder, as "
                                 "vae-samples.png)", Path, metavar="PNG")
    data: reopen.Place = reopen.Place()


def main(chosen: Options) -> int:
    from engine.reporting.pictures import grid, save

    what = "interpolations" if chosen.interpolate else "reconstructions" if chosen.reconstruct else "samples"
    run = reopen.reopen(chosen.which, data=False)
    if what == "reconstructions" or (what == "interpolations" and "autoencoder" in run.job.nets):
        run = reopen.reopen(chosen.which, place=chosen.data)
    count = chosen.count or COUNTS[what]
    draw = {"samples": samples, "interpolations": interpolations, "reconstructions": reconstructions}[what]
    columns = {"samples": None, "interpolations": chosen.interpolate, "reconstructions": 8}[what]
    image = grid(draw(run, count, chosen), columns=columns)
    output = chosen.output or Path(f"{run.folder.resolve().name}-{what}.png")
    save(image, output)
    print(output)
    return 0


def samples(run: reopen.Reopened, count: int, chosen: Options) -> Any:
    """[count, h, w, c] from latents of the seed."""
    return decoded(run, latents(run, count, chosen.seed))


def interpolations(run: reopen.Reopened, count: int, chosen: Options) -> Any:
    """[count * N, h, w, c]: way after way."""
    from engine.reporting.interpolation import linear, spherical

    if "autoencoder" in run.job.nets:
        codes = encoded(run, 2 * count)
        return decoded(run, _flat({"code": linear(codes[::2], codes[1::2], chosen.interpolate)}))
    ends = latents(run, 2 * count, chosen.seed)
    return decoded(run, _flat({name: spherical(each[::2], each[1::2], chosen.interpolate)
                               for name, each in ends.items()}))


def reconstructions(run: reopen.Reopened, count: int, chosen: Options) -> Any:
    """[2 * count, h, w, c]: an original, its reconstruction, the next original, ..."""
    from engine.errors import require

    found = run.run.pictures(min(count, run.job.held_out.size), run.job.held_out)
    require("reconstructions" in found, "--reconstruct", run.script, "of a run that encodes pictures, as train_vae "
            "and train_autoencoder do")
    return found["reconstructions"]


def latents(run: reopen.Reopened, count: int, seed: int) -> dict[str, Any]:
    """The draws [count, ...] that the strategy's pictures make, by name, of a seed of their own."""
    from engine.cycle.reads import Reads
    from engine.cycle.trace import survey
    from engine.errors import require
    from engine.noise import key

    wanted = survey(run.run.strategy.pictures, run.run.nets, Reads.one(run.job.held_out), "pictures")
    require("samples" in wanted.shapes, "run_dir", run.folder, f"of a run that has samples; one of {run.script} has "
            + ("--reconstruct and --interpolate" if "reconstructions" in wanted.shapes else "none"))
    return {name: request.draw(key(seed, "samples", 0, name), count).numpy()
            for name, request in wanted.requests.items()}


def encoded(run: reopen.Reopened, count: int) -> Any:
    """The codes [count, D] of an autoencoder for the first held-out pictures, from the first again if they run out."""
    import numpy as np

    from engine.errors import require

    net = run.run.nets["autoencoder"]
    require(hasattr(net, "encode") and hasattr(net, "decode"), "net", type(net).__name__, "a net with encode "
            "and decode, as the autoencoders of nets are, for --interpolate")
    images = _first(run, min(count, run.job.held_out.size))["image"]
    codes = net.encode(images, training=False).numpy()
    return codes[np.arange(count) % len(codes)]


def decoded(run: reopen.Reopened, drawn: dict[str, Any]) -> Any:
    """The pictures [n, h, w, c] in [0, 1] of draws [n, ...], or of an autoencoder's codes, with averaged weights."""
    import numpy as np
    import tensorflow as tf

    from engine import Noise

    nets, found = run.run.nets, []
    batch = _first(run, 1)  # for the strategy to encode
    for start in range(0, len(next(iter(drawn.values()))), AT_ONCE):
        part = {name: tf.constant(values[start:start + AT_ONCE]) for name, values in drawn.items()}
        if "code" in part:
            images = tf.sigmoid(nets["autoencoder"].decode(part["code"], training=False))
        else:
            images = run.run.strategy.pictures(nets, batch, Noise(drawn=part))["samples"]
        found.append(tf.cast(images, tf.float32).numpy())
    return np.concatenate(found)


def _first(run: reopen.Reopened, count: int) -> Any:
    """The first held-out examples, as the nets see them."""
    from engine import Noise
    from engine.run.evaluate import first_examples

    return run.job.held_out.transform(first_examples(run.job.held_out, count), Noise(examples=count))


def _flat(ways: dict[str, Any]) -> dict[str, Any]:
    """[n, N, ...] to [n * N, ...]."""
    return {name: way.reshape(-1, *way.shape[2:]) for name, way in ways.items()}


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
