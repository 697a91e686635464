"""Train a classifier, a VAE and a WGAN-GP on the shipped images and show all three on one page.

  python scripts/demo.py            about four minutes on two cores; then open runs/demo/index.html

The same command again continues what is unfinished.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import cli
import wiring
from fields import option

# name -> (script, options, what the page says)
RUNS = {
    "classifier": ("train_classifier.py", ["--epochs", "6"],
                   "A small convolutional net on 9 000 garments; accuracy is of 1 000 others. "
                   "The pictures are those it gets most wrong."),
    "vae": ("train_vae.py", ["--epochs", "60", "--evaluate-every", "10"],
            "A dense variational autoencoder with 20 latent numbers: originals beside their reconstructions, "
            "and garments decoded from latents that it never saw."),
    "wgan-gp": ("train_wgan_gp.py", ["--cycles", "1100", "--evaluate-every", "10"],
                "A WGAN-GP: five critic updates, each on a fresh batch and under a gradient penalty, for every update "
                "of the generator. Each sample has a latent of its own, the same in every picture."),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    folder: Path = option(Path("runs/demo"), "where the runs and the page go", Path)


def main() -> int:
    folder = cli.Command(Options(), __doc__).parse().folder
    for number, (name, (script, options, _)) in enumerate(RUNS.items(), start=1):
        print(f"== {number} of {len(RUNS)}: {script} {' '.join(options)}", flush=True)
        command = [sys.executable, str(Path(__file__).parent / script), *options, "--run-dir", str(folder / name)]
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    with wiring.quiet():
        from engine.reporting.report import write_index
    texts = {name: text for name, (_, _, text) in RUNS.items()}
    print(write_index(folder, [folder / name for name in RUNS], "phaseloop: three trainings, one engine", texts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
