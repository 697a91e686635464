"""Overlapping max pooling in a compiled loop: whether oneDNN computes its gradient must not be chance."""

import pytest

from tests.faults.repeats import traced_anew
from tests.nets.test_conformance import GREY, Case

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("plan", ["graph", "halves"])
def test_one_result_however_often_it_is_traced(plan):
    assert len(traced_anew(Case("nin", GREY, (10,), True, {"width": 8}), plan, 7, cycles=1, size=128)) == 1
