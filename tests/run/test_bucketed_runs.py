"""Evaluation, pictures, checks and trials of a run on several lengths."""

import keras
import numpy as np
import pytest

from engine import BucketedSource, Invalid, Trainer, Update
from engine.run.trial import Trial
from engine.testing import assert_resumes
from tests import toys
from tests.bucketed import BUCKETS, INDEX, LENGTHS, ROWS, Steps, net, rows


def trainer(plan="graph", **options):
    keras.utils.set_random_seed(0)
    return Trainer(Steps(), {"net": net()}, Update(toys.adam(), accumulate=2), rows(), plan=plan,
                   say=lambda line: None, **options)


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_evaluation_counts_every_example_once_at_its_own_length(plan):
    one = trainer(plan)
    one.strategy.seen.clear()
    held_out = rows(5, seed=9)
    found = one.examples(one.strategy.metrics, held_out)
    np.testing.assert_array_equal(found["index"], INDEX)
    np.testing.assert_array_equal(found["length"], LENGTHS)
    np.testing.assert_array_equal(found["padded"], [min(each for each in BUCKETS if each >= n) for n in LENGTHS])
    np.testing.assert_allclose(found["sum"], [row.sum() for row in ROWS], rtol=1e-4, atol=1e-5)
    means = one.evaluate(held_out)
    for name, values in found.items():
        assert means[name] == pytest.approx(values.astype(np.float64).mean(), rel=1e-5)
    assert set(one.strategy.seen) == set(BUCKETS)


def test_metrics_of_another_form_are_refused_by_name():
    one = trainer()
    with pytest.raises(Invalid, match=r"`steps of evaluation for x\[4, 3, 2\]` \(float32\[4, 3\]\) must be of one"):
        one.examples(lambda nets, batch, noise: {"steps": batch["x"][:, :, 0]}, rows())


def test_pictures_show_the_first_examples_as_stored():
    class Shown(Steps):
        def pictures(self, nets, batch, noise):
            return {"index": batch["index"], "x": batch["x"]}

    keras.utils.set_random_seed(0)
    one = Trainer(Shown(), {"net": net()}, toys.adam(), rows(), plan="graph")
    found = one.pictures(7)
    np.testing.assert_array_equal(found["index"], INDEX[:7])
    for row, x in zip(ROWS, found["x"], strict=False):
        np.testing.assert_array_equal(x, np.pad(row, [(0, 10 - len(row)), (0, 0)]))


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_check_tries_a_bucketed_run(plan):
    one = trainer(plan)
    found = one.check(cycles=4)
    assert found.faults == [] and not any("/bucket" in line for line in found.lines)
    report = [" ".join(line.split()) for line in found.lines]
    assert "buckets: x[4, 3, 2]; x[4, 6, 2]; x[4, 10, 2]" in report
    assert any(line.startswith("length int32") for line in report)
    assert any(line.startswith("x float32") for line in report)
    assert one.engine.place.slot == 0


def test_a_run_continues_with_the_same_buckets_and_not_with_others(tmp_path):
    assert_resumes(lambda **options: trainer(**{"plan": "graph", **options}))
    trainer(run_dir=tmp_path / "run", record=False).save()
    keras.utils.set_random_seed(0)
    with pytest.raises(Invalid, match="buckets"):
        Trainer(Steps(), {"net": net()}, Update(toys.adam(), accumulate=2),
                BucketedSource({"x": ROWS, "index": INDEX}, 4, (5, 10)), plan="graph", run_dir=tmp_path / "run",
                record=False)


def test_the_trial_chooses_among_plans_and_puts_the_state_back():
    one = trainer()
    before = toys.bits(one.engine, one.nets)
    clock = iter(np.arange(0.0, 1e6, 0.5))
    choice = Trial(one.engine, 10**6, lambda: float(next(clock))).choose()
    assert choice.plan in ("graph", "halves", "xla") and len(choice.speeds) + len(choice.left_out) >= 2
    np.testing.assert_array_equal(toys.bits(one.engine, one.nets), before)
    one.train(cycles=3)


def test_auto_trains():
    one = trainer("auto")
    one.train(cycles=4)
    assert one.counters.updates == {"fit": 4} and one.counters.batches == 8
