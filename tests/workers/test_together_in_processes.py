"""What 1, 2 and 3 processes do alike: evaluation, training on every kind of source, bad updates, refusals."""

import json

import numpy as np
import pytest

from tests.painted import class_folder
from tests.workers import groups

pytestmark = pytest.mark.fault  # processes
COUNTS = (1, 2, 3)
KINDS = ("array", "files", "dataset", "bucketed", "ragged")
WATCHED = ("stop", "skip", "rollback", "spike")
STOPPED = ("stopped by the health watch at cycle 6, phase fit, update 6: fit/error is nan; nothing of that update was "
           "applied")
REFUSED = {"another seed": "`seed` (0 of worker 0, 1 of worker {last}) must be the same on all workers",
           "another option": "`data.fraction` (0.5 of worker 0, 1.5 of worker {last}) must be the same",
           "another batch size": "`batch_size` (12 of worker 0, 24 of worker {last}) must be the same",
           "another plan": "`plan` ('graph' of worker 0, 'xla' of worker {last}) must be the same",
           "another number": "`data data` ('200 examples, 12 a batch, seed 0, digest ",
           "fewer examples": "`data data` ('200 examples, 12 a batch, seed 0, digest ",
           "another commit": "'another commit' of worker {last}) must be the same on all workers",
           "another net": "`variables` (", "another policy": "`on_bad_update` ('stop' of worker 0, 'skip' of worker ",
           "another spike": "`spike` ('None' of worker 0, 'Spike(window=4, standard_deviations=20.0)' of worker ",
           "other calls": "`cycles_per_call` (3 of worker 0, 4 of worker {last}) must be the same",
           "other data to evaluate on": "`data held_out` ('200 examples, 5 a batch, seed 0, digest "}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{number of processes: what each has found, by act}."""
    made = {}
    for count in COUNTS:
        place = tmp_path_factory.mktemp(f"acts{count}")
        class_folder(place / "pictures", {"cat": 15, "dog": 14})
        why = groups.together("tests.workers.acts", count, place, 500.0)
        assert not why, why
        made[count] = [dict(map(json.loads, (place / f"{rank}.jsonl").read_text().splitlines()))
                       for rank in range(count)]
    return made


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_examples_and_pictures_are_the_same_numbers(found, kind, count):
    alone = found[1][0][f"evaluation of {kind}"]
    assert alone[0] == alone[3] and all(alone[:3]), alone
    assert [each[f"evaluation of {kind}"] for each in found[count]] == [alone] * count


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_training_is_that_of_one_within_rounding_and_the_same_on_all(found, kind, count):
    compare(found, f"training on {kind}", count)


def compare(found, act, count):
    alone, each = found[1][0][act], [one[act] for one in found[count]]
    assert len({one["hash"] for one in each}) == 1
    assert all({**one, "folder": 0, "values": 0, "hash": 0} == {**alone, "folder": 0, "values": 0, "hash": 0}
               for one in each), (alone, each)
    np.testing.assert_allclose(each[0]["values"], alone["values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("act", WATCHED)
def test_what_is_bad_in_the_rows_of_one_worker_is_bad_for_all(found, act, count):
    compare(found, act, count)
    alone = found[1][0][act]
    assert alone["rejected"] == {"fit": 1} and alone["rollbacks"] == int(act == "rollback")
    assert alone["said"] == STOPPED * (act == "stop")
    if act == "rollback":
        assert [one[act]["folder"] for one in found[count]] == [True] + [False] * (count - 1)  # the chief's alone


@pytest.mark.parametrize("count", COUNTS)
def test_gradients_that_overflow_in_the_rows_of_one_worker_halve_the_loss_scale_of_all(found, count):
    """How often hangs on the workers, too: what float16 adds up over fewer examples is smaller."""
    each = [one["loss scale"] for one in found[count]]
    halved = each[0]["rejected"]["fit"]
    assert 1 <= halved <= 4 and each[0]["scale"] == [2.0**15 / 2**halved] and not each[0]["said"]
    assert all({**one, "folder": 0} == {**each[0], "folder": 0} for one in each)


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("act", REFUSED)
def test_another_worker_is_refused_by_name_before_the_first_update(found, act, count):
    told = [one[act] for one in found[count]]
    assert all(each == told[0] for each in told)
    said, updates = told[0]
    assert REFUSED[act].format(last=count - 1) in said and f"of worker {count - 1}) must be the same" in said
    assert updates == 0
    assert found[1][0][act][1] == 2  # alone it trains


@pytest.mark.parametrize("count", COUNTS[1:])
def test_another_length_of_the_run_is_refused_by_name(found, count):
    for one in found[count]:
        assert one["another length"][0].startswith("`cycles` (2 of worker 0, 3 of worker 1) must be the same on all")
        assert one["another length"][1] == 0


@pytest.mark.parametrize("count", COUNTS[1:])
def test_first_weights_are_the_chiefs(found, count):
    """A worker whose nets have begun elsewhere, by another library perhaps, is given them."""
    assert len({tuple(one["other first weights"]) for one in found[count]}) == 1


def test_a_batch_that_workers_do_not_divide_is_refused(found):
    assert found[3][0]["batch of 8"] == ["`batch_size` (8) must be a multiple of 3 workers", 0]
    assert [one["batch of 8"] for one in found[3]] == [found[3][0]["batch of 8"]] * 3
    assert found[2][0]["batch of 8"][1] == 2
    for count in COUNTS:
        assert found[count][0]["three shards"] == ["`reproducible` (3) must be a power of two", 0]
    assert found[3][0]["four shards"] == ["`reproducible` (4) must be a multiple of the number of workers, 3", 0]
    assert found[1][0]["four shards"] == found[2][0]["four shards"] == found[2][1]["four shards"]  # the same bits
