"""What tests/slow.txt and tests/long.txt name is there (conftest.py looks, too) and in one of them."""

from pathlib import Path

TESTS = Path(__file__).parent


def test_every_test_of_a_tier_is_named_once_and_its_file_is_there():
    lines = [line for name in ("slow.txt", "long.txt") for line in (TESTS / name).read_text().splitlines()
             if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    assert [line for line in lines if not (TESTS.parent / line.partition("::")[0]).is_file()] == []
