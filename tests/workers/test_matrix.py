"""A sample of the matrix, in real processes: rounding, the same bits of fixed shards, workers that come and go."""

import argparse

import pytest

from tests.workers import cases
from tests.workers.matrix import Matrix, cases_of

pytestmark = pytest.mark.fault  # processes
SAMPLE = ("classifier", "vae", "accumulation", "state")


@pytest.mark.parametrize("mode", ["default", "exact", "resume"])
def test_two_processes_train_what_one_trains(mode, tmp_path, capsys):
    chosen = argparse.Namespace(workload=SAMPLE[:3] if mode == "default" else SAMPLE[::3], plan=["graph"],
                                precision=["float32"])
    matrix = Matrix(tmp_path, [2])
    getattr(matrix, mode)(cases_of(chosen, **({} if mode == "default" else {"shards": 4, "adam": True})))
    assert matrix.good == matrix.all == len(chosen.workload), capsys.readouterr().out


def test_every_workload_is_made():
    assert set(cases.MAKERS) == set(cases.RATES) and set(cases.ONE_SUM) < set(cases.MAKERS)
