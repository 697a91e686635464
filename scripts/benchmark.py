"""Time phaseloop against Keras fit, PyTorch, the study notes' eager loop and a bare compiled loop.

  python scripts/benchmark.py                             everything; one to two hours on two cores
  python scripts/benchmark.py --workload vae --against keras bare
  python scripts/benchmark.py --precision bfloat16 --workload resnet18
  python scripts/benchmark.py --verify-only               is it the same mathematics? nothing is timed

Every number is of a fresh process on the CPU. First the best settings of ours and of each peer are found by a short
trial of each, and kept in --settings; then the mathematics is checked to be the same under these; then all run in
rounds, one process after the other, and the ratio is taken round by round. It is of use on an idle machine only.
Keras fit and the notes run the same nets made of Keras's own layers. PyTorch is needed for its row alone:
pip install -e '.[bench]'.
Exit code 1: a contestant does not compute the same, or failed.
"""

import dataclasses
import functools
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import cli
import rules
from benchmarks.agree import Check, Differs
from benchmarks.bars import draw
from benchmarks.ceiling import ceilings
from benchmarks.known import Known
from benchmarks.pairs import Clock, run_rounds, summary, table
from benchmarks.processes import PEERS, Failed, Workers, machine
from benchmarks.workloads import PRECISIONS, WORKLOADS
from fields import option
from rules import Choice

NOT_INSTALLED = "not installed: pip install -e '.[bench]'"


def _threads(text: str) -> int | None:
    return None if text == "default" else int(rules.whole(text))


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    workload: tuple[str, ...] = option(tuple(WORKLOADS), "(default: all)", Choice(*WORKLOADS), nargs="+")
    against: tuple[str, ...] = option(tuple(PEERS), "(default: all)", Choice(*PEERS), nargs="+")
    pairs: int = option(3, "rounds of each workload", rules.whole)
    seconds: float = option(4.0, "timed in each process, after the warm-up", rules.positive)
    trial_seconds: float = option(2.0, "timed per candidate when the best settings are sought", rules.positive)
    precision: str = option("float32", "of all", Choice(*PRECISIONS))
    plan: str | None = option(None, "of ours (default: what plan=auto finds)", Choice("graph", "halves", "xla"))
    threads: int | None = option(None, "inside one operation, for all (default: default, the framework's own; 1 is "
                                 "tried, too, less for PyTorch's convolutions)", _threads, metavar="N|default")
    no_verify: bool = option(False, "do not check that all compute the same", bool)
    verify_only: bool = option(False, "check that, and time nothing", bool)
    json: Path = option(Path("runs/benchmark.json"), "where all results go", Path)
    settings: Path = option(Path("runs/benchmark-settings.json"), "best settings found before on this machine, used "
                            "again and added to", Path)
    picture: Path = option(Path("runs/benchmark.png"), "the ratios as bars", Path)
    torch_python: str = option(sys.executable, "another Python for the PyTorch peer (default: this one)",
                               metavar="PATH")


def main(chosen: Options) -> int:
    with tempfile.TemporaryDirectory(prefix="phaseloop-benchmark-") as folder:
        workers = Workers(Path(folder), chosen.torch_python, chosen.precision)
        torch = workers.torch_version()
        facts = machine(torch)
        print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
        if facts["load"] > 0.5 and not chosen.verify_only:
            print(f"warning: the load is {facts['load']}: numbers of a busy machine mean little", file=sys.stderr)
        try:
            workers.prepare(list(chosen.workload))
            peers = [peer for peer in chosen.against if peer != "torch" or torch]
            known = Known(chosen.settings, facts)
            settings = {workload: {} if chosen.verify_only else _settings(chosen, workers, known, workload, peers)
                        for workload in chosen.workload}
            verified = _verify(chosen, workers, peers, settings)
            if chosen.verify_only:
                return 0
            found = known.of("ceiling", lambda: ceilings())
            rows: list[dict[str, Any]] = []
            clock = Clock(len(chosen.workload) * (len(peers) + 1) * chosen.pairs)
            for workload in chosen.workload:
                rows += _rows(chosen, workers, peers, workload, settings[workload], clock,
                              found["matmul"][chosen.precision]["gflops"])
                _write(chosen, {"machine": facts, "ceiling": found, "pairs": chosen.pairs, "seconds": chosen.seconds,
                                "verified": verified, "rows": rows})
        except (Differs, Failed) as error:
            print(error if isinstance(error, Differs) else f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted: settings found, and results of whole workloads, are kept", file=sys.stderr)
            return 130
    print(table(rows))
    draw(rows, chosen.picture)
    print(f"{chosen.json}\n{chosen.picture}")
    return 0


def _settings(chosen: Options, workers: Workers, known: Known, workload: str, peers: list[str]
              ) -> dict[str, dict[str, Any]]:
    """{contestant: the line of its best candidate}."""
    options = ["--trial", "--seconds", str(chosen.trial_seconds)]
    options += [] if chosen.threads is None else ["--threads", str(chosen.threads)]

    def trial(contestant: str) -> dict[str, Any]:
        print(f"{workload}, {contestant}: a trial of its settings", file=sys.stderr, flush=True)
        return workers.run(contestant, workload, *options)

    found = {}
    for contestant in ("ours", *peers):
        if contestant == "ours" and chosen.plan:
            found[contestant] = {"settings": {"plan": chosen.plan, "threads": chosen.threads}}
        else:
            name = f"{contestant} {workload} {chosen.precision} {chosen.threads or ''}".strip()
            found[contestant] = known.of(name, functools.partial(trial, contestant))
    return found


def _verify(chosen: Options, workers: Workers, peers: list[str],
            settings: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """{workload: {peer: largest relative difference}}. Raises ``Differs`` after all."""
    found: dict[str, dict[str, float]] = {}
    faults = []
    for workload in chosen.workload if chosen.verify_only or not chosen.no_verify else ():
        def of(contestant: str, workload: str = workload) -> Any:
            return settings[workload].get(contestant, {}).get("settings")

        check, found[workload] = Check(workers, workload, of("ours")), {}
        for peer in peers:
            try:
                found[workload][peer] = check.of(peer, of(peer))
            except Differs as error:
                faults.append(str(error))
        print(f"{workload}, {chosen.precision}: one update agrees with ours; largest relative difference: "
              + ", ".join(f"{peer} {value:.0e}" for peer, value in found[workload].items()), flush=True)
    if faults:
        raise Differs("\n".join(faults))
    return found


def _rows(chosen: Options, workers: Workers, peers: list[str], workload: str,
          found: dict[str, dict[str, Any]], clock: Clock, ceiling: float) -> list[dict[str, Any]]:
    """A row for each peer of ``workload``; ``found`` holds everybody's settings."""
    timers = {name: lambda n=name: workers.run(n, workload, "--seconds", str(chosen.seconds),
                                               settings=found[n]["settings"]) for name in ("ours", *peers)}
    pairs = run_rounds(timers, chosen.pairs, lambda number, rates: clock.tell(
        f"{workload}, round {number} of {chosen.pairs}, cycles/s: "
        + ", ".join(f"{name} {rate:.4g}" for name, rate in rates.items()), len(rates)))
    return [{**summary(workload, chosen.precision, peer, found[peer]["settings"], pairs[peer], ceiling),
             "trial": found[peer]} if peer in peers else
            {"workload": workload, "precision": chosen.precision, "peer": peer, "missing": NOT_INSTALLED}
            for peer in chosen.against]


def _write(chosen: Options, result: dict[str, Any]) -> None:
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    part = chosen.json.with_name(f"{chosen.json.name}.part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(part, chosen.json)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that the temporary folder goes
    raise SystemExit(main(cli.Command(Options(), __doc__).parse()))
