"""Options: frozen dataclasses, the help and the lines about bad ones, and files of options."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import arguments
import cli
import config_file
import fields
import groups
import kfold
import pytest
import rules
from fields import option

from tests.scripts.running import ENVIRONMENT, ROOT, run_process

SCRIPTS = ("train_autoencoder", "train_classifier", "train_gan", "train_regression", "train_text", "train_vae",
           "train_wgan_gp", "compare_nets")
READERS = ("evaluate", "predict", "sample", "export", "inspect_run", "compare_runs", "demo")


def command(script):
    return cli.Command(importlib.import_module(script).Options(), None, files=True)


def parsed(script, *given):
    return command(script).parse(list(map(str, given)))


@pytest.mark.parametrize("script", [*SCRIPTS, *READERS])
def test_options_are_frozen_named_once_and_each_says_what_it_is(script):
    options = importlib.import_module(script).Options()
    leaves = list(fields.leaves(options))
    assert leaves and len({leaf.name for leaf in leaves}) == len({leaf.flag for leaf in leaves}) == len(leaves)
    assert all(leaf.option.help for leaf in leaves)
    hash(options)  # all the way down: what is frozen and holds no list or dict has one


def test_a_value_cannot_be_changed():
    options = parsed("train_vae", "--latent-dim", 7)
    assert options.training.latent_dim == 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.training.latent_dim = 8
    other = fields.replaced(options, {"latent_dim": 8, "net_option": [["width", 3]], "of another script": 1})
    assert (other.training.latent_dim, other.net.net_option, options.training.latent_dim) == (8, (["width", 3],), 7)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_run_is_what_its_options_say_but_for_length_place_and_frequency(script):
    """These are not in config.json: a run may be continued with others. Nor are a page's own options."""
    leaves = list(fields.leaves(importlib.import_module(script).Options()))
    free = {leaf.name for leaf in leaves if not leaf.option.identity}
    assert free - {"nets", "of_net"} == {leaf.name for leaf in leaves} & {
        "run_dir", "data_dir", "cache", "epochs", "cycles", "log_every", "checkpoint_every", "evaluate_every", "check",
        "smoke", "keep", "goal", "better", "patience", "measure", "autopsy", "histograms", "profile", "reproducible"}
    assert {leaf.name for leaf in leaves if leaf.option.identity and not leaf.option.speed} == {
        leaf.name for leaf in leaves} & {"seed", "learning_rate", "validation", "fold"}


def test_what_nobody_gave_is_not_in_config_json():
    found = json.loads(json.dumps(arguments.config(parsed("train_regression", "--without", "a", "--without", "b"))))
    assert found == {
        "script": "train_regression", "batch_size": 10, "dataset": "linear", "error": "squared", "l2": 0.0,
        "learning_rate": 0.02, "momentum": 0.0, "net": "linear", "not_deterministic": False, "on_bad_update": "stop",
        "plan": "auto", "precision": "float32", "seed": 0, "spike_threshold": 0.0, "threads": "default",
        "validation": 0.0, "weight_decay": 0.0, "without": ["a", "b"]}


@dataclasses.dataclass(frozen=True)
class Small:
    TITLE = "small"
    width: int = option(3, "channels, 100 % of them", rules.whole)
    place: Path = option(fields.REQUIRED, "where", Path, flag="--at")  # noqa: RUF009
    names: tuple[str, ...] = option((), "of all", nargs="+")
    secret: bool = option(False, "not told", bool, hidden=True)


def test_the_help_shows_groups_defaults_and_values(capsys):
    with pytest.raises(SystemExit):
        cli.Command(Small(), "What it does.").parse(["--help"])
    told = capsys.readouterr().out
    for line in ("small:", "--width N", "channels, 100 % of them (default: 3)", "--at PATH",
                 "--names NAMES [NAMES ...]"):
        assert line in told
    assert "secret" not in told and "(default: required)" not in told
    with pytest.raises(SystemExit):
        cli.Command(Small(), None).parse([])
    assert capsys.readouterr().err == "error: `--at` must be given (see --help)\n"
    assert cli.Command(Small(), None).parse(["--at", "x", "--names", "a", "b"]) == Small(3, Path("x"), ("a", "b"))


@pytest.mark.parametrize("script", ["train_vae.py", "train_classifier.py", "train_regression.py", "kfold.py"])
def test_the_help_fits_80_columns_and_needs_nothing_installed(script, tmp_path):
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-S", ROOT / "scripts" / script, "--help"], capture_output=True, text=True,
                          env={**ENVIRONMENT, "COLUMNS": "80"}, cwd=tmp_path, check=True)
    assert time.monotonic() - began < 5.0  # a third of a second on an idle machine; TensorFlow alone takes several
    long = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert all(line.startswith("  python scripts/") for line in long), long


@pytest.mark.parametrize("given", [
    (), ("--cycles", 7, "--freeze", "a.*", "--freeze", "b", "--net-option", "blocks=[2, 2]", "--net-option", "kind=x"),
    ("--epochs", 0.3, "--strict", "--check", "a b.png", "--fold", "2/3", "--learning-rate", "1e-30"),
    ("--check", "--validation", 0.25, "--threads", 3, "--plan", 'critic=graph generator=xla', "--goal", 'a"\\\x7f\té')])
def test_the_file_that_is_shown_gives_the_same_options(given, tmp_path):
    options = parsed("train_vae", *given)
    (tmp_path / "run.toml").write_text(config_file.text(options))
    again = parsed("train_vae", "--config", tmp_path / "run.toml")
    assert again == options
    assert config_file.text(again) == config_file.text(options)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_scripts_file_gives_its_defaults(script, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(script, "--print-config")
    assert end.value.code == 0
    (tmp_path / "run.toml").write_text(capsys.readouterr().out)
    assert parsed(script, "--config", tmp_path / "run.toml") == importlib.import_module(script).Options()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path):
    (tmp_path / "run.toml").write_text('cycles = 5\nlatent_dim = 3\nbeta = 2\nnet-option = ["width=8"]\nsmoke = true\n'
                                       'validation = 0.5\n')
    options = parsed("train_vae", "--config", tmp_path / "run.toml", "--beta", 4, "--epochs", 2, "--fold", "1/2")
    assert (options.training.latent_dim, options.training.beta, options.training.samples) == (3, 4.0, 1)
    assert (options.run.epochs, options.run.cycles) == (2.0, None)  # one of the two counts
    assert (options.data.fold, options.data.validation) == ("1/2", 0.0)
    assert options.often.smoke and dict(options.net.net_option) == {"width": 8}


@pytest.mark.parametrize("text, line", [
    ("latent-dim = 0", "`latent-dim` (0) must be an integer of at least 1"),
    ("latent_dim = 2.5", "`latent_dim` (2.5) must be an integer of at least 1"),
    ('latent-dim = "3"', '`latent-dim` ("3") must be a number, without quotation marks'),
    ("lantent-dim = 3", "`lantent-dim` must be an option of this script; nearest: latent-dim"),
    ("lr = 3", "`lr` must be an option of this script; nearest: learning-rate"),
    ("qqq = 3", "`qqq` must be an option of this script"),
    ("measure = true", "`measure` must be an option of this script"),
    ("run-dir = 3", "`run-dir` (3) must be a text, in quotation marks"),
    ('run-dir = ""', "`run-dir` () must be a path: it is empty"),
    ("dataset = true", "`dataset` (true) must be a number or a text"),
    ("smoke = 1", "`smoke` (1) must be true or false"),
    ("seed = 1979-05-27", '`seed` ("1979-05-27") must be a number or a text'),
    ("epochs = nan", "`epochs` (nan) must be a number above 0"),
    ('precision = "half"', "`precision` (half) must be one of float32, bfloat16, float16, auto"),
    ('freeze = "a.*"', '`freeze` ("a.*") must be an array, as ["a.*"]'),
    ("epochs = 3\ncycles = 4", "`cycles` must be left out beside epochs"),
    ("latent-dim = 3\nlatent_dim = 4", "`latent_dim` must be left out beside latent-dim"),
    ("[run]\nepochs = 3", "`[run]` must be left out: options are not in tables"),
    ('goal = ["\\u001b[31m"]', '`goal` (["\\u001b[31m"]) must be a number or a text'),
])
def test_a_bad_file_is_one_line_with_file_and_key(text, line, tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_text(text + "\n")
    with pytest.raises(SystemExit) as end:
        parsed("train_vae", "--config", path)
    told = capsys.readouterr()
    assert (end.value.code, told.out, told.err) == (2, "", f"error: {path}: {line}\n")


@pytest.mark.parametrize("make, line", [
    (lambda path: None, "must be a file that can be read: No such file or directory"),
    (lambda path: path.mkdir(), "must be a file that can be read: Is a directory"),
    (lambda path: path.write_bytes(b"net = '\xff'"), "must be TOML: .*"),
    (lambda path: path.write_text("epochs = \n"), "must be TOML: .*line 1.*")], ids=["none", "folder", "bytes", "TOML"])
def test_what_is_no_file_of_options_is_one_line(make, line, tmp_path):
    make(tmp_path / "run.toml")
    done = run_process("train_vae.py", "--config", "run.toml", cwd=tmp_path)
    assert done.returncode == 2 and re.fullmatch(rf"error: `--config` \(run\.toml\) {line}\n", done.stderr)


@pytest.mark.parametrize("script, given, line", [
    ("train_vae", ["--run-dir", ""], "`--run-dir` () must be a path: it is empty (see --help)"),
    ("train_vae", ["--data-dir="], "`--data-dir` () must be a path: it is empty (see --help)"),
    ("evaluate", [""], "`RUN_DIR` () must be a path: it is empty (see --help)"),
    ("train_vae", ["vae"], "`vae` must be left out, or be the value of an option (see --help)"),
    ("train_vae", ["--seed", "1", "2", "3"], "`2` must be left out, or be the value of an option (see --help)"),
    ("train_vae", ["-s"], "`-s` must be an option of this script (see --help)")])
def test_a_word_that_no_option_takes_and_an_empty_path_are_one_line(script, given, line, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(script, *given)
    told = capsys.readouterr()
    assert (end.value.code, told.out, told.err) == (2, "", f"error: {line}\n")


def test_folds_and_nets_read_the_same_files(tmp_path, monkeypatch):
    path = tmp_path / "run.toml"
    path.write_text("folds = 3\ndegree = 4\nepochs = 2\n")
    monkeypatch.setattr(sys, "argv", ["kfold.py", "regression", "--config", str(path), "--epochs", "1"])
    what, options = kfold.parse()
    assert (what, options.kfold.folds, options.train.data.degree, options.train.run.epochs) == ("regression", 3, 4, 1.0)
    assert options.train.run.run_dir == Path("runs/kfold-regression")
    path.write_text(config_file.text(options))
    monkeypatch.setattr(sys, "argv", ["kfold.py", "regression", "--config", str(path)])
    assert kfold.parse() == (what, options)
    path.write_text('nets = ["mlp", "resnet18"]\nnet-option = ["resnet18.width=8"]\n')
    nets = parsed("compare_nets", "--config", path).nets
    assert nets.nets == ("mlp", "resnet18") and nets.of_net == (("resnet18", ("width", 8)),)


def test_a_run_from_a_file_is_the_run_of_its_options(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('epochs = 2\nrun-dir = "run"\ndegree = 3\ndataset = "polynomial"\nplan = "eager"\n')
    done = run_process("train_regression.py", "--config", "run.toml", "--batch-size", 20, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["degree"], config["batch_size"], config["plan"]) == (3, 20, "eager") and "config" not in config
    path.write_text(path.read_text().replace("degree = 3", "degree = 4"))
    other = run_process("train_regression.py", "--config", "run.toml", "--batch-size", 20, cwd=tmp_path)
    assert other.returncode == 2 and "degree was 3 and is 4" in other.stderr


def test_a_run_keeps_what_hangs_on_its_data(monkeypatch, tmp_path, capsys):
    """Sizes, rates and lengths that are left to the script are settled once the data are known, in new options."""
    class Data:
        image_shape = (32, 30, 3)

        @staticmethod
        def size(part):
            return 1000

    gan = parsed("train_gan", "--kind", "wasserstein")
    found = gan.resolved(Data).training
    assert (found.size, found.learning_rate, found.discriminator_updates) == (32, 5e-5, 5)
    assert gan.training.size is None and parsed("train_gan").resolved(Data).training.learning_rate == 2e-4
    assert parsed("train_wgan_gp").resolved(Data).training.size == 64
    decay = parsed("train_classifier", "--decay", "cosine", "--batch-size", 100, "--run-dir", tmp_path / "run")
    assert decay.resolved(Data).training.decay_cycles == 80 and capsys.readouterr().err == ""
    longer = fields.replaced(decay, {"decay_cycles": 50}).resolved(Data)
    assert longer.training.decay_cycles == 50 and "ends at cycle 50 of 80" in capsys.readouterr().err
    assert isinstance(longer, groups.TrainOptions)
