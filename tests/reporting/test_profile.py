"""A profile of a training: what it says, what it leaves on the disk, and that it changes nothing."""

import gzip
import json

import keras
import numpy as np
import pytest
from tensorflow.compiler.xla.service import hlo_pb2
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from engine import Event, Every, Invalid, Recording, Trainer, prepare
from engine.reporting import operations, xspace
from engine.reporting.chrome_trace import chrome_trace
from engine.reporting.xspace import Operation
from tests import toys


def made(folder, said=None, plan="graph", cycles=6, **options):
    prepare(0)
    nets = {name: keras.Sequential([keras.layers.Dense(16, name="hidden", activation="tanh"),
                                    keras.layers.Dense(width, name="last")], name=f"net_{name}")
            for name, width in (("generator", 6), ("critic", 1))}
    return Trainer(toys.TinyGAN(), nets, {"critic": toys.adam(), "generator": toys.adam()}, toys.points(8),
                   run_dir=folder, record=Recording(profile=cycles, evaluate=Every(epochs=1000)), plan=plan,
                   say=(said if said is not None else []).append, **options)


def weights(trainer):
    return np.concatenate([v.numpy().ravel() for net in trainer.nets.values() for v in net.variables])


@pytest.fixture(scope="module", params=["graph", "xla"])
def profiled(request, tmp_path_factory):
    folder, said = tmp_path_factory.mktemp(request.param) / "run", []
    trainer = made(folder, said, request.param, writers=[])
    trainer.train(cycles=30)
    return request.param, folder, trainer, said


def test_it_tells_where_the_time_of_each_phase_went(profiled):
    _, folder, _, said = profiled
    table, line = next(text for text in said if "profile of" in text).rsplit("\n", 1)
    assert line.startswith(f"profile of 6 cycles: {folder}/profile/trace.json.gz opens at ui.perfetto.dev")
    assert (folder / "profile" / "operations.txt").read_text() == f"{table}\n"
    rows = [row.split() for row in table.splitlines()]
    assert rows[0] == ["phase", "layer", "operation", "ms", "per", "cycle", "%", "of", "all"]
    wholes = {row[0]: float(row[2]) for row in rows[1:] if len(row) == 4 and row[1] == "all"}
    assert set(wholes) >= {"critic", "generator"} and wholes["critic"] > wholes["generator"] > 0


def test_perfettos_file_names_phases_layers_and_directions(profiled):
    _, folder, _, _ = profiled
    trace = json.loads(gzip.decompress((folder / "profile" / "trace.json.gz").read_bytes()))["traceEvents"]
    ran = [event for event in trace if event["ph"] == "X"]
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in ran)
    found = {(event["args"].get("phase"), event["args"].get("layer")) for event in ran}
    assert found >= {(phase, f"net_{net}/{layer}") for phase in ("critic", "generator")
                     for net in ("generator", "critic") for layer in ("hidden", "last")}
    assert any(event["name"].endswith("gradient") for event in ran)
    assert {event["args"]["name"] for event in trace if event["name"] == "thread_name"}


def test_the_profilers_own_file_is_where_tensorboard_looks(profiled):
    _, folder, _, _ = profiled
    file, = (folder / "profile" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert list(xspace.operations(xspace.read(file.read_bytes())))


def test_the_bits_are_those_of_a_run_without_it(profiled, tmp_path):
    plan, _, trainer, _ = profiled
    other = made(tmp_path / "run", plan=plan, cycles=0, writers=[])
    other.train(cycles=30)
    np.testing.assert_array_equal(weights(trainer), weights(other))


@pytest.mark.parametrize("plan, cycles, folder, line", [
    ("graph", 21, "run", r"`profile` \(21\) must be at most 20: 30 cycles are left to train, and the first 10 warm up"),
    ("eager", 6, "run", r"`profile` \(6\) must be left out under the plan eager, which tells no phases"),
    ("graph", 6, None, r"`profile` \(6\) must be left out without a run_dir, where it is written"),
    ("graph", -1, "run", r"`profile` \(-1\) must be a whole number of cycles, or 0")])
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, plan, cycles, folder, line):
    with pytest.raises(Invalid, match=line):
        made(folder and tmp_path / folder, plan=plan, cycles=cycles, writers=[]).train(cycles=30)
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_inside_can_be_profiled_again(tmp_path):
    def fail(trainer, means):
        raise RuntimeError("here")

    broken = made(tmp_path / "broken", writers=[], events=[Event(Every(cycles=12), fail)])
    with pytest.raises(RuntimeError, match="here"):
        broken.train(cycles=30)
    assert not (tmp_path / "broken" / "profile" / "trace.json.gz").exists()
    made(tmp_path / "again", writers=[]).train(cycles=20)
    assert (tmp_path / "again" / "profile" / "trace.json.gz").exists()


def test_a_continued_run_may_be_profiled_or_not(tmp_path):
    """What a checkpoint holds of events does not depend on it."""
    class Noted:
        def __init__(self):
            self.means = []

        def __call__(self, trainer, means):
            self.means.append(means["critic/penalty"])

    notes = []
    for first, then in ((0, 0), (5, 0), (0, 5)):
        folder, note = tmp_path / f"{first} {then}", Noted()
        made(folder, cycles=first, writers=[], events=[Event(Every(cycles=40), note)]).train(cycles=20)
        made(folder, cycles=then, writers=[], events=[Event(Every(cycles=40), note)]).train(cycles=40)
        notes.append(note.means)
    assert notes[0] == notes[1] == notes[2]


# Without a run


def operation(name, kind="MatMul", begin=0, end=1_000_000_000, where="t1", kernel=""):
    return Operation(name, kind, begin, end, where, kernel)


PLACES = operations.Places(["critic", "my phase"], ["critic", "conv2d", "conv2d_1"])


@pytest.mark.parametrize("name, place", [
    ("while/body/_1/critic/loss/critic_1/conv2d_1/Conv2D", ("critic", "critic/conv2d", "MatMul")),
    ("while/critic_2/loss_1/x", ("", "", "MatMul")),
    ("while/critic_2/loss/critic_1/conv2d_1_2/Conv2D", ("critic", "critic/conv2d_1", "MatMul")),
    ("a/gradient_tape/critic/loss/critic_3/conv2d_1/MatMul/MatMul", ("critic", "critic/conv2d", "MatMul gradient")),
    ("my_phase/apply/mul", ("my phase", "(apply)", "MatMul")),
    ("while/body/add", ("", "", "MatMul"))])
def test_the_place_of_an_operation(name, place):
    assert tuple(PLACES.of(operation(name))) == place


def test_a_table_by_phase_the_slowest_first():
    ran = [operation("critic/apply/mul", "Mul", 0, 3_000_000_000), operation("x", "Add", 0, 1_000_000_000),
           operation("my_phase/loss/x", "Add", 0, 6_000_000_000)]
    rows = operations.table(operations.times(ran, PLACES), cycles=2, top=1)
    assert rows[1:] == [("my phase", "", "all", "3.000", "60.0"), ("", "(loss)", "Add", "3.000", "60.0"),
                        ("critic", "", "all", "1.500", "30.0"), ("", "(apply)", "Mul", "1.500", "30.0"),
                        ("(around)", "", "all", "0.500", "10.0"), ("", "", "Add", "0.500", "10.0")]
    lines = operations.aligned(rows).splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}


def test_chromes_format_has_microseconds_from_the_first_operation_on():
    events = json.loads(gzip.decompress(chrome_trace(
        [operation("critic/apply/mul", "Mul", 7_000_000, 9_000_000), operation("x", "Add", 5_000_000, 6_000_000, "t2")],
        PLACES)))["traceEvents"]
    first, second = [event for event in events if event["ph"] == "X"]
    assert (first["ts"], first["dur"], first["name"], first["cat"]) == (0.0, 1.0, "Add", "around")
    assert (second["ts"], second["dur"], second["name"]) == (2.0, 2.0, "critic (apply) Mul")
    assert first["tid"] != second["tid"]
    assert json.loads(gzip.decompress(chrome_trace([], PLACES)))


def test_kernels_of_a_gpu_belong_to_the_operation_that_started_them():
    space = xplane_pb2.XSpace()
    program = hlo_pb2.HloProto()
    body = program.hlo_module.computations.add(id=3)
    body.instructions.add(name="part", opcode="multiply").metadata.op_name = "critic/loss/critic_1/conv2d_1/mul"
    program.hlo_module.computations.add(id=4).instructions.add(name="fusion.1", opcode="fusion",
                                                               called_computation_ids=[3])
    metadata = space.planes.add(name="/host:metadata")
    metadata.event_metadata[7].stats.add(metadata_id=1, bytes_value=program.SerializeToString())
    plane = space.planes.add(name="/device:GPU:0")
    for number, name in enumerate(("", "tf_op", "hlo_op", "program_id")):
        plane.stat_metadata[number].name = name
    line = plane.lines.add(name="Stream #1(Compute)")
    for number, stats in ((1, {1: "critic/apply/mul:Mul"}), (2, {2: "fusion.1", 3: 7}), (3, {})):
        plane.event_metadata[number].name = f"kernel {number}"
        event = line.events.add(metadata_id=number, duration_ps=5)
        for key, value in stats.items():
            event.stats.add(metadata_id=key, **({"str_value": value} if isinstance(value, str)
                                                else {"int64_value": value}))
    found = list(xspace.operations(space))
    assert [each.kernel for each in found] == ["kernel 1", "kernel 2", "kernel 3"]
    assert [tuple(PLACES.of(each)) for each in found] == [
        ("critic", "(apply)", "Mul"), ("critic", "critic/conv2d", "mul"), ("", "", "kernel 3")]
