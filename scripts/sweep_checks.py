"""The options of a sweep, and of all its trials, looked at before anything is trained."""

import argparse
import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import search_space
from brackets import Bracket, halving, halvings, hyperband
from search_space import Space
from sweep_plan import CONTINUED, Sweep, longest, shortest

TRIALS = 20  # of a random search, if nothing else is said
MOST = 10_000  # trials, whose draws and options are made before the first begins
# Options of the train scripts that the sweep gives to each trial -> its own option, which says what they are.
GIVEN = {"run-dir": "--run-dir", "goal": "--goal", "better": "--better", "epochs": "--max-epochs",
         "cycles": "--max-cycles", "check": "--check", "smoke": "", "measure": ""}
Refuse = Callable[[str], NoReturn]


def sweep_of(chosen: argparse.Namespace, error: Refuse) -> Sweep:
    """The sweep, whose trials' options have all been looked at. ``error(line)`` refuses."""
    script, space, words = chosen.script.replace("-", "_"), dict(chosen.vary), list(chosen.rest)
    given = {word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--")}
    if len(space) < len(chosen.vary):
        error(f"`--vary` ({', '.join(name for name, _ in chosen.vary)}) must be different options")
    for name in [*given, *search_space.names(space)]:
        if name in GIVEN:
            error(f"`--{name}` must be left to the sweep" + (f": {GIVEN[name]} says it" if GIVEN[name] else ""))
    for name in space:
        if name in given:
            error(f"`--vary` ({name}) must not be an option of all trials, too")
    if chosen.search in CONTINUED and "plan" not in {*given, *space}:
        words.append("--plan=graph")  # auto is a measurement
    sweep = Sweep(script, chosen.search, space, _brackets(chosen, space, error), "cycles" if chosen.max_cycles else
                  "epochs", words, chosen)
    parser = importlib.import_module(script).options()
    for bracket in sweep.brackets:
        for trial in bracket:
            _look_at(sweep, bracket, parser.parse_args(sweep.command(trial, bracket.rungs[0][1])[1:]), error)
    return sweep


def _brackets(chosen: argparse.Namespace, space: Space, error: Refuse) -> list[Bracket]:
    count, length = search_space.size(space), longest(chosen)
    least, trials = _least(chosen, error), chosen.trials
    ranges = [name for name, values in space.items() if isinstance(values, search_space.Range)]
    if chosen.search == "grid" and ranges:
        error(f"`--vary` ({ranges[0]}) must be a list for --search grid: of a range say how many values, as "
              f"{ranges[0]}={space[ranges[0]]}:5")
    if trials and chosen.search in ("grid", "hyperband"):
        error(f"`--trials` ({trials}) must be left out for --search {chosen.search}: it says itself how many they are")
    if chosen.search == "hyperband":
        made = hyperband(length, least, chosen.eta)
    elif chosen.search == "halving":
        made = halving(trials or chosen.eta**halvings(length, least, chosen.eta), length, least, chosen.eta)
    else:
        trials = trials or (int(count) if chosen.search == "grid" else int(min(TRIALS, count)))
        made = [Bracket(1, ((trials, length),))]
    wanted = sum(bracket.rungs[0][0] for bracket in made)
    if wanted > count:
        error(f"`--vary` must allow as many different trials as --search {chosen.search} takes, {wanted}, and allows "
              f"{count:.0f}")
    if wanted > MOST:
        error(f"`--vary` must be at most {MOST} trials, and are {wanted}")
    if chosen.max_cycles:  # whole ones
        made = [Bracket(each.first, tuple((n, float(round(length))) for n, length in each.rungs)) for each in made]
    return made


def _least(chosen: argparse.Namespace, error: Refuse) -> float:
    """The length of the first rung; that of the whole where there is but one."""
    if chosen.search not in CONTINUED:
        for name in ("min_epochs", "min_cycles"):
            if getattr(chosen, name):
                error(f"`--{name.replace('_', '-')}` ({getattr(chosen, name):g}) must be left out for --search "
                      f"{chosen.search}")
        return longest(chosen)
    unit, other = ("cycles", "epochs") if chosen.max_cycles else ("epochs", "cycles")
    if getattr(chosen, f"min_{other}"):
        error(f"`--min-{other}` must be left out with --max-{unit}: --min-{unit} says it")
    if chosen.max_cycles and not chosen.min_cycles:
        error("`--min-cycles` must be given with --max-cycles: the length of the first rung")
    if shortest(chosen) > longest(chosen):
        error(f"`--min-{unit}` ({shortest(chosen):g}) must be at most --max-{unit} ({longest(chosen):g})")
    return shortest(chosen)


def _look_at(sweep: Sweep, bracket: Bracket, options: Any, error: Refuse) -> None:
    """Refuse what makes a run that was trained in parts another one than a run in one piece."""
    if sweep.search not in CONTINUED:
        return
    because = f"for --search {sweep.search}, whose trials are trained in parts: "
    for name in ("plan", "threads", "precision"):
        if getattr(options, name, None) == "auto":
            error(f"`--{name}` (auto) must be named {because}auto is a measurement, and may find another one")
    if getattr(options, "on_bad_update", None) == "rollback":
        error(f"`--on-bad-update` (rollback) must be stop or skip {because}it hangs on when checkpoints were saved")
    decay = getattr(options, "decay", None)
    if decay not in (None, "none") and not getattr(options, "decay_cycles", None):
        error(f"`--decay` ({decay}) must come with --decay-cycles {because}it would end with the first part")
    if getattr(options, "patience", None):
        _look_at_patience(sweep, bracket, options, because, error)


def _look_at_patience(sweep: Sweep, bracket: Bracket, options: Any, because: str, error: Refuse) -> None:
    """Each part ends with an evaluation: it must be one that a run in one piece has, too."""
    every = options.evaluate_every
    odd = [length for _, length in bracket.rungs if abs(length / every - round(length / every)) > 1e-6]
    if not sweep.chosen.goal.startswith("eval/") or sweep.unit != "epochs" or odd:
        error(f"`--patience` ({options.patience:g}) must go with a goal of the evaluation (eval/...), --max-epochs and "
              f"rungs of whole multiples of --evaluate-every ({every:g}) {because}else it would be judged at other "
              "moments")
