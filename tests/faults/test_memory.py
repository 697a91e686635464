"""A sample of what a long process keeps; ``memory.py`` does it with all plans, by hand."""

import pytest

from tests.faults import memory

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("part, count", [("evaluations", 20), ("trainers", 15)])
def test_many_in_one_process_leave_its_memory_flat_under_graph(part, count):
    fifth, last = memory.told(part, "graph", count)
    assert last <= fifth * (1 + memory.MOST)
