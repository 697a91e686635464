"""What TensorFlow's profiler has seen: each operation that ran, with its name, its begin and its end."""

from collections.abc import Iterator
from typing import Any, NamedTuple

INSIDE = {"while", "call", "conditional"}  # of XLA, and
AROUND = {"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "PartitionedCall",
          "StatefulPartitionedCall", "XlaLaunch", "_XlaRun", "_XlaCompile", "XlaLaunchV2"}  # whose parts are told, too
Names = dict[tuple[int, str], tuple[str, str]]  # {(XLA program, instruction): (name of the operation, its kind)}


class Operation(NamedTuple):
    """One operation as it ran.

    Attributes:
      name: Name in the graph, with all scopes around it: ``while/body/critic/loss/critic28_1/conv2d_1/Conv2D``; of a
        GPU's kernel that belongs to none, the kernel's.
      kind: ``Conv2D``; under XLA of the instruction, ``convolution`` or ``fusion``.
      begin, end: Picoseconds.
      where: The thread, or the GPU's stream, that it ran on.
      kernel: The GPU's name for it; none on a CPU.
    """

    name: str
    kind: str
    begin: int
    end: int
    where: str
    kernel: str = ""


def read(data: bytes) -> Any:
    """A file ``*.xplane.pb``."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    return xplane_pb2.XSpace.FromString(data)


def operations(space: Any) -> Iterator[Operation]:
    """Everything that ran, but what only surrounds other operations."""
    names = _names(space)
    for plane in space.planes:
        gpu = plane.name.startswith("/device:GPU")
        if not (gpu or plane.name.startswith("/host:CPU")):
            continue
        for line in plane.lines:
            if gpu and not line.name.startswith("Stream"):  # others repeat the same time in other words
                continue
            for event in line.events:
                kind = plane.event_metadata[event.metadata_id]
                begin = line.timestamp_ns * 1000 + event.offset_ps
                found = _named(plane, event, kind, names, gpu)
                if found is not None and (gpu or found[1] not in AROUND | INSIDE):
                    yield Operation(*found, begin, begin + event.duration_ps, line.name, kind.name if gpu else "")


def _named(plane: Any, event: Any, kind: Any, names: Names, gpu: bool) -> tuple[str, str] | None:
    """Name and kind; None for what is no operation."""
    if not gpu and kind.display_name and kind.name.endswith(f":{kind.display_name}"):  # TensorFlow's executor
        return kind.name[:-len(kind.display_name) - 1], kind.display_name
    stats = {plane.stat_metadata[stat.metadata_id].name: stat for stat in (*kind.stats, *event.stats)}
    if "hlo_op" in stats:
        instruction = _text(plane, stats["hlo_op"])
        program = stats.get("program_id")
        number = 0 if program is None else program.int64_value or program.uint64_value
        return names.get((number, instruction), (instruction, instruction.partition(".")[0]))
    if gpu:
        name, colon, of = (_text(plane, stats["tf_op"]) if "tf_op" in stats else "").rpartition(":")
        return (name, of) if colon else (kind.name, kind.name)
    return None


def _text(plane: Any, stat: Any) -> str:
    """The text of a statistic, which may stand elsewhere."""
    return str(plane.stat_metadata[stat.ref_value].name if stat.ref_value else stat.str_value)


def _names(space: Any) -> Names:
    """What the instructions of XLA's programs are made of."""
    from tensorflow.compiler.xla.service import hlo_pb2

    found: Names = {}
    for plane in space.planes:
        for program, kind in plane.event_metadata.items() if plane.name == "/host:metadata" else ():
            for stat in kind.stats:
                if stat.bytes_value:
                    module = hlo_pb2.HloProto.FromString(stat.bytes_value).hlo_module
                    found |= {(program, name): told for name, told in _told(module).items()}
    return found


def _told(module: Any) -> dict[str, tuple[str, str]]:
    """{instruction: (name of the operation, kind)}; a fusion without a name has that of a part of it."""
    bodies = {each.id: each for each in module.computations}
    found = {}
    for each in module.computations:
        for instruction in each.instructions:
            name = instruction.metadata.op_name
            parts = (part for number in instruction.called_computation_ids if instruction.opcode == "fusion"
                     for part in reversed(bodies[number].instructions))
            name = name or next((part.metadata.op_name for part in parts if part.metadata.op_name), "")
            found[instruction.name] = name or instruction.name, instruction.opcode
    return found
