"""sample.py: its pictures, number by number."""

import cli
import numpy as np
import pytest
import reopen
import sample
import tensorflow as tf
from PIL import Image

from engine.run import checkpoint
from engine.run.state import variables_of
from tests.scripts.running import run, run_process


def said(capsys, *options):
    chosen = cli.Command(sample.Options(), None).parse(list(map(str, options)))
    code = reopen.answer(lambda: sample.main(chosen))
    return code, *capsys.readouterr()


def cells(path, columns, side=28, scale=2, padding=2):
    """The pictures of a grid, uint8 [n, side, side]."""
    page = np.asarray(Image.open(path).convert("L"))
    step = side * scale + padding
    rows = (page.shape[0] - padding) // step
    assert page.shape[1] == columns * step + padding
    return np.stack([page[padding + r * step:, padding + c * step:][:side * scale:scale, :side * scale:scale]
                     for r in range(rows) for c in range(columns)])


def test_as_a_person_runs_it(vae_run, unchanged, tmp_path):
    with unchanged(vae_run):
        done = run_process("sample.py", vae_run, "--count", 9, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "run-samples.png\n", "")
        again = run("sample.py", vae_run, "--count", 9, "--seed", 1, "--output", "new/other.png", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    first, other = cells(tmp_path / "run-samples.png", 3), cells(tmp_path / "new" / "other.png", 3)
    assert len(first) == 9 and len({picture.tobytes() for picture in [*first, *other]}) == 18


@pytest.mark.parametrize("of", ["vae_run", "wgan_run"])
def test_a_way_begins_and_ends_at_samples(of, request, unchanged, tmp_path, capsys):
    folder = request.getfixturevalue(of)
    with unchanged(folder):
        assert said(capsys, folder, "--count", 4, "--output", tmp_path / "samples.png")[0] == 0
        assert said(capsys, folder, "--count", 2, "--interpolate", 5, "--output", tmp_path / "ways.png")[0] == 0
    samples, ways = cells(tmp_path / "samples.png", 2), cells(tmp_path / "ways.png", 5)
    np.testing.assert_allclose(ways[[0, 4, 5, 9]].astype(int), samples, atol=1)  # batches of other sizes round
    assert len({way.tobytes() for way in ways}) == 10


def test_samples_are_of_the_averaged_weights_and_do_not_hang_on_the_batch(vae_run, monkeypatch):
    opened = reopen.reopen(reopen.Which(vae_run))
    drawn = sample.latents(opened, 6, 0)
    assert {name: each.shape for name, each in drawn.items()} == {"prior": (6, 3)}
    found = sample.decoded(opened, drawn)
    monkeypatch.setattr(sample, "AT_ONCE", 4)
    np.testing.assert_allclose(sample.decoded(opened, drawn), found, atol=1e-6)
    net, path = opened.run.nets["vae"], checkpoint.listed(vae_run / "checkpoints")[-1]
    kept = checkpoint.state_of(path, checkpoint.manifest_of(path))
    for name, variable in variables_of(opened.run._trainer.engine).items():
        if name.startswith("nets/"):
            variable.assign(kept[name])
    plain = 1 / (1 + np.exp(-net.decode(tf.constant(drawn["prior"])).numpy()))
    assert abs(plain - found).max() > 1e-3
    for variable, average in opened.run._trainer.engine.averages:
        variable.assign(average)
    np.testing.assert_allclose(1 / (1 + np.exp(-net.decode(tf.constant(drawn["prior"])).numpy())), found, atol=1e-6)


def test_an_autoencoder_goes_between_held_out_pictures(autoencoder_run, unchanged, tmp_path, capsys):
    with unchanged(autoencoder_run):
        assert said(capsys, autoencoder_run, "--reconstruct", "--count", 4, "--output", tmp_path / "pairs.png")[0] == 0
        assert said(capsys, autoencoder_run, "--count", 2, "--interpolate", 3, "--output", tmp_path / "ways.png"
                    )[0] == 0
        code, out, err = said(capsys, autoencoder_run)
    assert (code, out) == (2, "")
    assert err == (f"error: `run_dir` ({autoencoder_run}) must be of a run that has samples; one of train_autoencoder "
                   "has --reconstruct and --interpolate\n")
    pairs, ways = cells(tmp_path / "pairs.png", 8), cells(tmp_path / "ways.png", 3)
    from engine.data import catalog

    originals = catalog.load("fashion-mnist-10k").test["image"][:4, ..., 0]
    np.testing.assert_allclose(pairs[::2].astype(int), originals, atol=1)
    np.testing.assert_allclose(ways[[0, 2, 3, 5]].astype(int), pairs[1::2], atol=1)


def test_what_cannot_be_drawn_is_one_line(wgan_run, classifier_run, shades, tmp_path, capsys):
    code, out, err = said(capsys, wgan_run, "--reconstruct", "--output", tmp_path / "none.png")
    assert (code, out) == (2, "") and "`--reconstruct` (train_wgan_gp) must be of a run that encodes pictures" in err
    code, out, err = said(capsys, classifier_run, "--data-dir", shades, "--output", tmp_path / "none.png")
    assert (code, out) == (2, "") and "one of train_classifier has none\n" in err
    with pytest.raises(SystemExit) as ended:
        said(capsys, wgan_run, "--interpolate", "1")
    assert ended.value.code == 2
    assert "`--interpolate` (1) must be an integer of at least 2" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
