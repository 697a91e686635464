"""What tests/slow.txt names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_slow_test_exists_and_is_named_once():
    lines = [line for line in (TESTS / "slow.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    for place in sorted({line.partition("[")[0] for line in lines}):
        file, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS.parent / file).read_text(), re.MULTILINE), place
