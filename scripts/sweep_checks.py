"""The options of a sweep, and of all its trials, looked at before anything is trained."""

import importlib
from argparse import ArgumentTypeError
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import cli
import fields
import search_space
from brackets import Bracket, halving, halvings, hyperband
from cli import refuse
from search_space import Space
from sweep_options import Options
from sweep_plan import CONTINUED, Sweep, longest, shortest

TRIALS = 20  # of a random search, if nothing else is said
MOST = 10_000  # trials, whose draws and options are made before the first begins
# Options of the train scripts that the sweep gives to each trial -> its own option, which says what they are.
GIVEN = {"run-dir": "--run-dir", "goal": "--goal", "better": "--better", "epochs": "--max-epochs",
         "cycles": "--max-cycles", "check": "--check", "smoke": "", "measure": "", "print-config": "", "help": "",
         "config": "what follows --"}


def sweep_of(chosen: Options, rest: Sequence[str]) -> Sweep:
    """The sweep, whose trials' options have all been looked at; ``rest`` are options of all trials."""
    script, space, words = chosen.script.replace("-", "_"), dict(chosen.what.vary), list(rest)
    given = {word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--")}
    if not (chosen.length.max_epochs or chosen.length.max_cycles):
        refuse("`--max-epochs` or `--max-cycles` must be given (see --help)")
    if len(space) < len(chosen.what.vary):
        refuse(f"`--vary` ({', '.join(name for name, _ in chosen.what.vary)}) must be different options")
    for name in [*given, *search_space.names(space)]:
        if name in GIVEN:
            refuse(f"`--{name}` must be left to the sweep" + (f": {GIVEN[name]} says it" if GIVEN[name] else ""))
    for name in space:
        if name in given:
            refuse(f"`--vary` ({name}) must not be an option of all trials, too")
    if chosen.what.search in CONTINUED and "plan" not in {*given, *space}:
        words.append("--plan=graph")  # auto is a measurement
    sweep = Sweep(script, chosen.what.search, space, _brackets(chosen, space), "cycles" if chosen.length.max_cycles else
                  "epochs", words, chosen)
    if "--" in words:
        refuse("`--` must be given once: what follows it goes to the train script")
    command = cli.Command(importlib.import_module(script).Options(), None, files=True)
    known = {leaf.flag.removeprefix("--"): leaf for leaf in fields.leaves(command.defaults)}
    for name, values in space.items():
        option, _, part = name.partition(".")
        if isinstance(values, search_space.Listed) and option in known:
            _look_at_values(name, values, known[option], part)
    for bracket in sweep.brackets:
        for trial in bracket:
            options = command.parse(sweep.command(trial, bracket.rungs[0][1])[1:])
            _look_at(sweep, bracket, SimpleNamespace(**{leaf.name: leaf.value for leaf in fields.leaves(options)}))
    return sweep


def _look_at_values(name: str, values: search_space.Listed, leaf: fields.Leaf, part: str) -> None:
    """Refuse on and off of what is no flag, other values of a flag, and two spellings of one value.

    Args:
      part: Name of the part of the option that is varied, as width of --net-option width=16; empty for all of it.
    """
    flag = leaf.option.rule is bool
    if flag != bool({"on", "off"} & {*values.texts}):
        refuse(f"`--vary` ({name}={values}) must be {'on,off' if flag else 'values, not on or off'}")
    made: list[tuple[str, Any]] = []
    for text in () if flag else values.texts:
        try:
            value = leaf.rule(f"{part}={text}" if part else text)
        except ArgumentTypeError:
            return  # the script says it, with its option's name
        kind = type(value[1] if part else value) is bool  # JSON's true is not 1
        same = next((before for before, other in made if other == (kind, value)), None)
        if same:
            refuse(f"`--vary` ({name}={values}) must be different values: {same} and {text} are the same")
        made.append((text, (kind, value)))


def _brackets(chosen: Options, space: Space) -> list[Bracket]:
    count, length = search_space.size(space), longest(chosen)
    least, trials = _least(chosen), chosen.what.trials
    ranges = [name for name, values in space.items() if isinstance(values, search_space.Range)]
    if chosen.what.search == "grid" and ranges:
        refuse(f"`--vary` ({ranges[0]}) must be a list for --search grid: of a range say how many values, as "
              f"{ranges[0]}={space[ranges[0]]}:5")
    if trials and chosen.what.search in ("grid", "hyperband"):
        refuse(f"`--trials` ({trials}) must be left out for --search {chosen.what.search}: it says itself how many "
               "they are")
    if chosen.what.search == "hyperband":
        made = hyperband(length, least, chosen.length.eta)
    elif chosen.what.search == "halving":
        eta = chosen.length.eta
        made = halving(trials or eta**halvings(length, least, eta), length, least, eta)
    else:
        trials = trials or (int(count) if chosen.what.search == "grid" else int(min(TRIALS, count)))
        made = [Bracket(1, ((trials, length),))]
    wanted = sum(bracket.rungs[0][0] for bracket in made)
    if wanted > count:
        refuse(f"`--vary` must allow as many different trials as --search {chosen.what.search} takes, {wanted}, and "
               f"allows {count:.0f}")
    if wanted > MOST:
        refuse(f"`--vary` must be at most {MOST} trials, and are {wanted}")
    if chosen.length.max_cycles:  # whole ones
        made = [Bracket(each.first, tuple((n, float(round(length))) for n, length in each.rungs)) for each in made]
    return made


def _least(chosen: Options) -> float:
    """The length of the first rung; that of the whole where there is but one."""
    if chosen.what.search not in CONTINUED:
        for name in ("min_epochs", "min_cycles"):
            if getattr(chosen.length, name):
                refuse(f"`--{name.replace('_', '-')}` ({getattr(chosen.length, name):g}) must be left out for --search "
                      f"{chosen.what.search}")
        return longest(chosen)
    unit, other = ("cycles", "epochs") if chosen.length.max_cycles else ("epochs", "cycles")
    if getattr(chosen.length, f"min_{other}"):
        refuse(f"`--min-{other}` must be left out with --max-{unit}: --min-{unit} says it")
    if chosen.length.max_cycles and not chosen.length.min_cycles:
        refuse("`--min-cycles` must be given with --max-cycles: the length of the first rung")
    if shortest(chosen) > longest(chosen):
        refuse(f"`--min-{unit}` ({shortest(chosen):g}) must be at most --max-{unit} ({longest(chosen):g})")
    return shortest(chosen)


def _look_at(sweep: Sweep, bracket: Bracket, options: SimpleNamespace) -> None:
    """Refuse what makes a run that was trained in parts another one than a run in one piece."""
    if sweep.search not in CONTINUED:
        return
    because = f"for --search {sweep.search}, whose trials are trained in parts: "
    for name in ("plan", "threads", "precision"):
        if getattr(options, name, None) == "auto":
            refuse(f"`--{name}` (auto) must be named {because}auto is a measurement, and may find another one")
    if getattr(options, "on_bad_update", None) == "rollback":
        refuse(f"`--on-bad-update` (rollback) must be stop or skip {because}it hangs on when checkpoints were saved")
    decay = getattr(options, "decay", None)
    if decay not in (None, "none") and not getattr(options, "decay_cycles", None):
        refuse(f"`--decay` ({decay}) must come with --decay-cycles {because}it would end with the first part")
    if getattr(options, "patience", None):
        _look_at_patience(sweep, bracket, options, because)


def _look_at_patience(sweep: Sweep, bracket: Bracket, options: SimpleNamespace, because: str) -> None:
    """Each part ends with an evaluation: it must be one that a run in one piece has, too."""
    every = options.evaluate_every
    odd = [length for _, length in bracket.rungs if abs(length / every - round(length / every)) > 1e-6]
    if not sweep.chosen.what.goal.startswith("eval/") or sweep.unit != "epochs" or odd:
        refuse(f"`--patience` ({options.patience:g}) must go with a goal of the evaluation (eval/...), --max-epochs "
               f"and rungs of whole multiples of --evaluate-every ({every:g}) {because}else it would be judged at "
               "other times")
