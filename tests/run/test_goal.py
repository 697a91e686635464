"""What a run is to reach: the best checkpoint beside the newest, and an end when nothing gets better."""

import pytest

from engine import Event, Every, Goal, Invalid, Trainer
from engine.run import checkpoint
from engine.run.counters import Counters
from engine.run.goal import Best
from losses.strategies import Supervised
from tests import toys


def at(cycle):
    """The counters after ``cycle`` cycles of a run of 10 cycles an epoch."""
    return Counters(cycle, {"fit": cycle}, cycle, cycle / 10)


@pytest.mark.parametrize("better, values, best", [("lower", [3.0, 2.0, 2.0, 4.0, 1.5], [0, 1, 4]),
                                                  ("higher", [-3.0, -2.0, -2.0, 0.5, 0.1], [0, 1, 3])])
def test_the_first_of_the_best_values_counts(better, values, best):
    kept = Best(Goal("eval/x", better))
    assert [i for i, value in enumerate(values) if kept.note({"eval/x": value}, at(i), 2.0 * i)] == best
    assert kept.facts == {"metric": "eval/x", "better": better, "value": values[best[-1]], "cycle": best[-1],
                          "epoch": best[-1] / 10, "seconds": 2.0 * best[-1]}


def test_nan_other_metrics_and_small_gains_do_not_count():
    kept = Best(Goal("eval/x", "lower", least=0.5))
    assert not kept.note({"eval/x": float("nan")}, at(1), 0.0) and not kept.note({"eval/y": 1.0}, at(1), 0.0)
    assert kept.note({"eval/x": 2.0}, at(2), 0.0)
    assert not kept.note({"eval/x": 1.5}, at(3), 0.0)
    assert kept.note({"eval/x": 1.25}, at(4), 0.0)


@pytest.mark.parametrize("patience, last", [(Every(cycles=5), 9), (Every(epochs=0.5), 9), (Every(seconds=12), 10)])
def test_patience_ends_on_the_counter_that_it_names(patience, last):
    kept = Best(Goal("eval/x", "lower", patience=patience))
    assert kept.exhausted(at(99), 99.0) == ""  # there was no value yet
    kept.note({"eval/x": 0.25}, at(4), 8.0)
    lengths = [bool(kept.exhausted(at(cycle), 2.0 * cycle)) for cycle in range(4, 14)]
    assert lengths.index(True) + 4 == last and all(lengths[last - 4:])
    assert kept.exhausted(at(13), 26.0) == (f"eval/x has not got better than 0.25 for {patience.amount:g} "
                                            f"{patience.unit}, since cycle 4")


def test_without_patience_training_goes_on():
    kept = Best(Goal("eval/x", "lower"))
    kept.note({"eval/x": 1.0}, at(1), 0.0)
    assert kept.exhausted(at(10**9), 1e9) == ""


@pytest.mark.parametrize("options, text", [({"better": "more"}, r"`better` \(more\) must be lower or higher"),
                                           ({"least": -0.1}, r"`least` \(-0.1\) must be at least 0")])
def test_a_goal_that_is_none_is_refused(options, text):
    with pytest.raises(Invalid, match=text):
        Goal("eval/x", **options)


def trainer(folder, patience, goal=None, said=None):
    """Notes a metric every 2 cycles that is best at cycle 6, and saves every 2."""
    def note(trainer, means):
        trainer.note({"eval/x": abs(trainer.counters.cycles - 6.0)})

    save = Event(Every(cycles=2), lambda trainer, means: trainer.save(), at_end=False)
    events = [Event(Every(cycles=2), note), save]
    return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=folder, record=False,
                   events=events, keep=2,
                   goal=goal or Goal("eval/x", "lower", patience), say=[].append if said is None else said.append)


def test_a_goal_without_a_direction_that_is_no_column_names_the_columns(tmp_path):
    with pytest.raises(Invalid, match=r"`goal` \(eval/nothing\) must be one of fit/objective, "):
        trainer(tmp_path, None, Goal("eval/nothing"))


def test_the_best_checkpoint_is_kept_beside_the_newest_and_the_run_ends_early(tmp_path):
    made = trainer(tmp_path, Every(cycles=8))
    made.train(cycles=10)
    assert [path.name for path in checkpoint.listed(tmp_path / "checkpoints")] == ["6", "8", "10"]
    assert made.stopped == ""
    again = trainer(tmp_path, Every(cycles=8))  # its patience goes on
    assert again.best.facts["cycle"] == 6
    again.train(cycles=100)
    assert again.counters.cycles == 14 and "since cycle 6" in again.summary()["stopped"]
    assert [path.name for path in checkpoint.listed(tmp_path / "checkpoints")] == ["6", "12", "14"]
    finished = trainer(tmp_path, Every(cycles=8))
    finished.train(cycles=100)
    assert finished.counters.cycles == 14
    longer = trainer(tmp_path, Every(cycles=10))  # of more patience
    longer.train(cycles=100)
    assert longer.counters.cycles == 16


def test_the_metric_says_which_way_is_better():
    strategy = Supervised()
    for metric, better in (("eval/accuracy", "higher"), ("classifier/accuracy", "higher"),
                           ("eval/cross_entropy", "lower"), ("classifier/objective", "lower")):
        assert Goal(metric).directed(strategy, {"objective", "cross_entropy"}, list).better == better
    assert Goal("eval/accuracy", "lower").directed(strategy, set(), list).better == "lower"
    with pytest.raises(Invalid, match=r"`goal` \(eval/margin\) must be given with better, lower or higher: nothing"):
        Goal("eval/margin").directed(strategy, {"objective"}, lambda: ["eval/margin"])


def test_the_best_of_another_goal_is_not_this_ones_best(tmp_path):
    made = trainer(tmp_path, None)
    made.train(cycles=10)
    assert made.best.facts["cycle"] == 6
    for goal in (Goal("eval/x", "higher"), Goal("fit/objective", "lower")):
        assert trainer(tmp_path, None, goal).best.facts == {}
    assert trainer(tmp_path, None).best.facts["cycle"] == 6


def test_an_early_end_is_said(tmp_path):
    said = []
    made = trainer(tmp_path, Every(cycles=4), said=said)
    made.train(cycles=100)
    plan, *others = said
    assert plan.startswith("plan ") and others == [f"training ends: {made.stopped}"]
    assert "has not got better than 0 for 4 cycles" in made.stopped
