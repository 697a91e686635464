"""Is it the same mathematics? One update of each phase from the same weights, batch and draws, compared."""

from collections.abc import Sequence

from benchmarks.processes import Workers
from benchmarks.worker import Figures

RTOL, ATOL = 1e-4, 1e-5  # of terms and of the gradients' norm
STEP_RTOL = 2e-3  # of the length of the update: Keras and PyTorch place Adam's epsilon differently


def difference(ours: Figures, theirs: Figures) -> tuple[float, list[str]]:
    """The largest relative difference of terms and gradient norms, and a line for each figure that disagrees."""
    largest, faults = 0.0, []
    for phase, figures in ours.items():
        for name, expected in figures.items():
            found = theirs.get(phase, {}).get(name, float("nan"))
            apart, step = abs(found - expected), name == "step"
            if not apart <= (STEP_RTOL if step else RTOL) * abs(expected) + ATOL:
                faults.append(f"{phase}/{name} is {found:.7g} and must be {expected:.7g}")
            elif not step:
                largest = max(largest, apart / max(abs(expected), ATOL / RTOL))
    return largest, faults


def check(workers: Workers, workload: str, peers: Sequence[str], plan: str | None
          ) -> tuple[dict[str, float], list[str]]:
    """Every peer against ours: ({peer: largest relative difference}, lines for what disagrees)."""
    exchange = ("--verify", str(workers.data))
    given = {"plan": plan, "threads": None} if plan else None
    ours: Figures = workers.run("ours", workload, *exchange, settings=given)["figures"]
    differences, faults = {}, []
    for peer in peers:
        theirs = workers.run(peer, workload, *exchange, settings=given if peer == "bare" else None)["figures"]
        differences[peer], wrong = difference(ours, theirs)
        faults += [f"{workload}, {peer} against ours: {fault}" for fault in wrong]
    return differences, faults
