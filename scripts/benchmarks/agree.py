"""Is it the same mathematics? One update of each phase from the same weights, batch and draws, compared."""

from dataclasses import dataclass, replace

from benchmarks.processes import Workers
from benchmarks.worker import Metrics, Settings


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may be apart: a fraction of the expected one, plus ``absolute`` for terms and norms."""

    term: float
    norm: float  # of the gradients
    step: float  # the length of the update
    absolute: float


# bfloat16 has 8 bits of mantissa, so one rounding is up to 4e-3, and frameworks do not round at the same places. A
# difference of two means, as the critic's, keeps the rounding of the means: hence the larger absolute one.
TOLERANCES = {"float32": Tolerance(1e-4, 1e-4, 1e-3, 1e-5), "bfloat16": Tolerance(3e-2, 3e-2, 3e-2, 1e-2)}
# A ReLU's gradient jumps where its input is 0. Deep after batch normalisations rounding moves some inputs across: in
# ResNet-18 the gradients' norm of TensorFlow and of PyTorch's layouts are up to 8e-4 from that of PyTorch in float64.
KINKS = {"resnet18": 5e-3, "densenet": 5e-3}  # workload -> ``Tolerance.norm``, at least
# TensorFlow's BiasAddGrad adds up in bfloat16, and stops growing: in eager the bias of a convolution gets half its
# gradient (in graphs it is fused with the kernel's, which adds in float32). All else is as exact as elsewhere.
EAGER_BIAS = {("notes", "bfloat16"): 0.25}  # (peer, precision) -> ``Tolerance.norm``, at least

# Keras's Adam squares the slices of an embedding's gradient one by one; the square of a token that is there twice is
# that of their sum, as ours and PyTorch have it. The length of the update differs by 0.14 %.
SLICES = {"lstm": 2e-3}  # workload -> ``Tolerance.step``, at least


def tolerance(workload: str, peer: str, precision: str) -> Tolerance:
    """That of ``precision``, and wider for the gradients of nets that amplify rounding, and of a faulty kernel."""
    allowed = TOLERANCES[precision]
    norm = max(allowed.norm, KINKS.get(workload, 0.0), EAGER_BIAS.get((peer, precision), 0.0))
    return replace(allowed, norm=norm, step=max(allowed.step, SLICES.get(workload, 0.0)))


def difference(ours: Metrics, theirs: Metrics, allowed: Tolerance = TOLERANCES["float32"]) -> tuple[float, list[str]]:
    """The largest relative difference of terms and gradient norms, and a line for each number that disagrees.

    A number below what the absolute tolerance allows for counts as that large.
    """
    largest, faults = 0.0, []
    for phase, metrics in ours.items():
        for name, expected in metrics.items():
            found = theirs.get(phase, {}).get(name, float("nan"))
            apart, step = abs(found - expected), name == "step"
            relative = {"step": allowed.step, "gradient_norm": allowed.norm}.get(name, allowed.term)
            if not apart <= relative * abs(expected) + (0.0 if step else allowed.absolute):
                faults.append(f"{phase}/{name} is {found:.7g} and must be {expected:.7g}")
            elif not step:
                largest = max(largest, apart / max(abs(expected), allowed.absolute / relative))
    return largest, faults


class Differs(RuntimeError):
    """A peer computes something else than ours: a line for each number."""


class Check:
    """Compares peers with ours on one workload; ours is run once.

    Args:
      settings: Settings of ours; None for a graph.
    """

    def __init__(self, workers: Workers, workload: str, settings: Settings | None = None) -> None:
        self._workers, self._workload = workers, workload
        self._ours = self._metrics("ours", settings)

    def of(self, peer: str, settings: Settings | None = None) -> float:
        """The largest relative difference of ``peer``, at its first candidate by default. Raises ``Differs``."""
        allowed = tolerance(self._workload, peer, self._workers.precision)
        found, faults = difference(self._ours, self._metrics(peer, settings), allowed)
        if faults:
            raise Differs("\n".join(f"error: {self._workload}, {peer} against ours: {fault}" for fault in faults))
        return found

    def _metrics(self, contestant: str, settings: Settings | None) -> Metrics:
        exchange = str(self._workers.data)
        return self._workers.run(contestant, self._workload, "--verify", exchange, settings=settings)["metrics"]
