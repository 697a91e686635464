"""Several workers train what one trains: acceptance line 1 of issue 18, a line for each case.

  python -m tests.workers.matrix           nine trainings, three plans, three precisions, 2 and 4 workers: some hours

Modes:
  default   after 20 updates by SGD the state is that of one process, within rounding, and the same bits on all workers
  exact     with reproducible=4 one SHA-256 of the state for 1, 2 and 4 workers
  resume    the same SHA-256 where 1, 2, 4 and 1 workers continue one another

The difference is |w_n - w_1| / |w_1 - w_start|, by the Euclidean norm: of all variables together, and of the variable
where it is largest. Variables are all floating numbers of the state that may move: weights, statistics, averages, the
strategy's own. In float32 both are to be within 1e-6, in half precision the first within what was measured; what is
beyond is shown to be rounding, by one of:
  shards    one process that adds up as many shards has the same bits as the workers (without batch norm and dropout,
            which shards have of their own), so that all of the difference is the order of additions
  nudged    one process whose weights started one rounding away (2^-23 of each; in half precision of that) ends at
            least a quarter as far
  plans     one process of plan graph and one of plan xla, whose functions round otherwise, are at least as far apart
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.workers import cases, groups
from tests.workers.cases import Case
from tests.workers.groups import Found

BARS = {"float32": 1e-6, "bfloat16": 3e-2, "float16": 3e-3}
UPDATES, SHARDS = 20, 4
CHAIN = ((1, 0.25), (2, 0.5), (4, 0.75), (1, 1.0))  # workers, and the fraction of the run at whose end they stop
PLANS, PRECISIONS, MODES = ("graph", "xla", "auto"), ("float32", "bfloat16", "float16"), ("default", "exact", "resume")


class Difference(NamedTuple):
    """How far two runs are apart. ``whole``: by all variables; ``each``: by each of them."""

    whole: float
    each: dict[str, float]

    @classmethod
    def of(cls, one: Found, other: Found) -> "Difference":
        """Relative to the way that ``one`` has gone."""
        apart = {name: np.linalg.norm(other.values[name] - value) for name, value in one.values.items()}
        gone = {name: np.linalg.norm(value - one.start[name]) for name, value in one.values.items()}
        return cls(ratio(*(np.sqrt(sum(x * x for x in found.values())) for found in (apart, gone))),
                   {name: ratio(apart[name], gone[name]) for name in apart})

    @property
    def name(self) -> str:
        """Variable where it is largest."""
        return max(self.each, key=self.each.__getitem__)

    @property
    def worst(self) -> float:
        """The largest."""
        return self.each[self.name]

    def __str__(self) -> str:
        return f"together {self.whole:.1e}, worst {self.worst:.1e} ({self.name})"


def ratio(apart: float, gone: float) -> float:
    """Infinite for what should not have moved."""
    return float(apart / gone) if gone else (0.0 if not apart else float("inf"))


def cases_of(options: argparse.Namespace, **more: object) -> list[Case]:
    """Those that are asked for."""
    found = []
    for precision in options.precision:
        for plan in options.plan:
            for name in options.workload:
                case = Case(name, plan, precision, UPDATES if name != "wgan-gp" else UPDATES // 5)
                # Outside graph a process draws dropout shard by shard, or as XLA does: there layers drop nothing. Of
                # batch norm several workers compute outside XLA, and so draw as a graph does.
                found.append(case._replace(**{"dropout": plan == "graph", **more}))
    return found


class Matrix:
    """Runs cases, and counts the good ones."""

    def __init__(self, folder: Path, workers: list[int]) -> None:
        self._folder, self._workers, self._groups = folder, workers, 0
        self.good = self.all = 0

    def _found(self, count: int, todo: list[Case]) -> list[Found]:
        self._groups += 1
        return groups.found_by(count, todo, self._folder / f"group{self._groups}")

    def _say(self, mode: str, case: Case, workers: str, problems: list[str], text: str) -> None:
        self.good, self.all = self.good + (not problems), self.all + 1
        verdict = "ok" if not problems else "FAILED: " + "; ".join(problems)
        print(f"{mode:8}{case.workload:13}{case.plan:6}{case.precision:9} {workers:11} {text}  {verdict}", flush=True)

    def default(self, todo: list[Case]) -> None:
        """The trajectory of one process."""
        many = {count: self._found(count, todo) for count in self._workers}
        wanted = {count: [reference(case, each.plan) for case, each in zip(todo, found, strict=True)]
                  for count, found in many.items()}
        alone = list(dict.fromkeys(case for each in wanted.values() for case in each))
        found = dict(zip(alone, self._found(1, alone), strict=True))
        pairs = [(case, count, many[count][place], wanted[count][place])
                 for place, case in enumerate(todo) for count in self._workers]
        doubtful = list(dict.fromkeys(
            other for case, count, each, like in pairs if is_beyond(case, each, found[like])
            for other in others(like, count).values() if other not in found))
        found |= zip(doubtful, self._found(1, doubtful), strict=True)
        for case, count, each, like in pairs:
            self._compared(case, count, each, like, found)

    def _compared(self, case: Case, count: int, many: Found, like: Case, found: dict[Case, Found]) -> None:
        one = found[like]
        if error := many.error or one.error:
            self._say("default", case, f"{count} workers", [error], "")
            return
        apart, why = Difference.of(one, many), ""
        problems = [] if len(set(many.hashes)) == 1 else [f"{len(set(many.hashes))} hashes"]
        if is_beyond(case, many, one):
            why = reasons(apart, one, many, {name: found[other] for name, other in others(like, count).items()})
            problems += ["no rounding"] * (not why)
        sums = f"{many.sums} sums in {case.updates} updates" if case.plan != "auto" else f"chose {many.plan}"
        if case.plan != "auto" and case.workload in cases.ONE_SUM and many.sums != case.updates:
            problems.append("not one sum per update")
        # After a trial the bytes are those of the trial, too.
        size = f", {many.sent / case.updates:.0f} B an update" if case.plan != "auto" else ""
        against = f"one of {like.plan}" + " without dropout" * (not like.dropout and case.workload in DROPS)
        self._say("default", case, f"{count} workers", problems,
                  f"{apart}; against {against}; {sums}{size}{'; rounding: ' * bool(why)}{why}")

    def exact(self, todo: list[Case]) -> None:
        """The same bits."""
        many = {count: self._found(count, todo) for count in self._workers}
        alone = sorted({(case, each.plan) for found in many.values() for case, each in zip(todo, found, strict=True)})
        found = dict(zip(alone, self._found(1, [case._replace(plan=plan or "graph") for case, plan in alone]),
                         strict=True))
        for place, case in enumerate(todo):
            for count in self._workers:
                each = many[count][place]
                one = found[case, each.plan]
                hashes = {*each.hashes, *one.hashes}
                problems = [error] if (error := each.error or one.error) else ["other bits"] * (len(hashes) != 1)
                self._say("exact", case, f"1 and {count}", problems, f"{each.plan}: {' '.join(h[:8] for h in hashes)}")

    def resume(self, todo: list[Case]) -> None:
        """The same bits whoever continues."""
        kept = [case._replace(folder=str(self._folder / f"run{place}")) for place, case in enumerate(todo)]
        stages = [self._found(count, [case._replace(cycles=max(1, int(case.cycles * part))) for case in kept])
                  for count, part in CHAIN]
        whole = self._found(1, [case._replace(plan=last.plan or "graph")
                                for case, last in zip(todo, stages[-1], strict=True)])
        for place, (case, one) in enumerate(zip(todo, whole, strict=True)):
            each = [stage[place] for stage in stages]
            error = next((found.error for found in [*each, one] if found.error), "")
            problems = [error] if error else ["other bits"] * (each[-1].hashes != one.hashes)
            ends = f"{one.hashes[0][:8]}, continued {each[-1].hashes[0][:8]}" if not error else ""
            self._say("resume", case, "1, 2, 4, 1", problems, f"{each[-1].plan}: undisturbed {ends}")


def is_beyond(case: Case, many: Found, one: Found) -> bool:
    """Whether a variable is, so that it must be asked why."""
    if many.error or one.error:
        return False
    apart = Difference.of(one, many)
    return (apart.worst if case.precision == "float32" else apart.whole) > BARS[case.precision]


def others(like: Case, count: int) -> dict[str, Case]:
    """What one process trains to show what rounding does to ``like``."""
    shards = in_shards(like, count)
    return {**({"shards": shards} if shards else {}), "nudged": like._replace(nudged=True),
            **({"plans": like._replace(plan="graph")} if like.plan == "xla" else {})}


def reasons(apart: Difference, one: Found, many: Found, others: dict[str, Found]) -> str:
    """Why ``apart`` is rounding; "" if nothing shows it."""
    found = []
    if "shards" in others and others["shards"].hashes == many.hashes[:1]:
        found.append("shards the same bits")
    for name, times in (("nudged", 4), ("plans", 1)):
        if name in others and not others[name].error:
            other = Difference.of(one, others[name])
            if apart.whole <= times * other.whole and apart.worst <= times * other.each[apart.name]:
                found.append(f"{name} together {other.whole:.1e}, there {other.each[apart.name]:.1e}")
    return ", ".join(found)


DROPS = ("accumulation", "lstm")  # and the classifier, whose batch norm has all compute as a graph does


def in_shards(case: Case, count: int) -> Case | None:
    """One process that adds up what ``count`` workers do; None where shards have statistics or dropout of their own."""
    own = case.workload == "classifier" or (case.dropout and case.workload in DROPS)
    return None if own or case.precision != "float32" else case._replace(shards=count)


def reference(case: Case, chosen: str) -> Case:
    """What one process is to train, where several have chosen a plan."""
    plan = "graph" if case.workload == "classifier" else chosen or case.plan
    return case._replace(plan=plan if plan != "auto" else "graph")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=[2, 4])
    for name, every in (("workload", cases.NAMES), ("plan", PLANS), ("precision", PRECISIONS), ("mode", MODES)):
        parser.add_argument(f"--{name}", nargs="+", choices=every, default=list(every))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        matrix = Matrix(Path(folder), options.workers)
        for mode in options.mode:
            for precision in options.precision:
                for plan in options.plan:
                    chosen = argparse.Namespace(**{**vars(options), "precision": [precision], "plan": [plan]})
                    more = {} if mode == "default" else {"shards": SHARDS, "adam": True, "dropout": True}
                    getattr(matrix, mode)(cases_of(chosen, **more))
    print(f"{matrix.good} of {matrix.all}")
    return int(matrix.good < matrix.all)


if __name__ == "__main__":
    raise SystemExit(main())
