"""A manifest whose seal is right and whose facts are none that a run writes."""

import json

import pytest

from engine.run.plausible import KINDS, strange
from tests.run import golden

MANIFEST = json.loads((golden.FOLDER / "checkpoints" / "4" / "manifest.json").read_text())


def test_what_a_run_writes_is_plausible():
    assert strange(MANIFEST) is None and set(KINDS) <= set(MANIFEST)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", [
    None, -1, float("nan"), 10**400, 1.5, True, "x", [1], {"a": -1}, [{"totals": 1}], {"a": {}}], ids=repr)
def test_no_other_kind_of_value_is(name, value):
    fits = {"plan": ["x"], "seconds": [1.5], "trial": [{"a": -1}, {"a": {}}], "kept": [{"a": -1}, {"a": {}}],
            "config": [{"a": -1}, {"a": {}}]}
    expected = None if value in fits.get(name, []) else f"its {name} is not what a run writes"
    assert strange({**MANIFEST, name: value}) == expected
