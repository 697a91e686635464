"""A net of the user's own, "module:Class", in the place of a name."""

import re

import pytest
import tensorflow as tf

import nets

MODULE = '''
import keras
import nets

class Wide(keras.Model):
    def __init__(self, classes=10, width=8):
        super().__init__()
        self.logits = keras.layers.Dense(classes)

    def call(self, x, training=False):
        return self.logits(x)

class Open(Wide):
    def __init__(self, **options):
        super().__init__(options.pop("classes"))
        self.rest = str(options)

def helper():
    pass

NUMBER = 3
'''


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """A folder on the path with ``own_nets``, ``own_package.deep`` and two that are broken."""
    (tmp_path / "own_nets.py").write_text(MODULE)
    (tmp_path / "own_broken.py").write_text("import no_such_package\n")
    (tmp_path / "own_faulty.py").write_text("1 / 0\n")
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "deep.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["own_nets:Wide", "own_package.deep:Wide"])
def test_a_class_is_made_with_its_options(name):
    net = nets.create(name, classes=3)
    assert type(net).__name__ == "Wide"
    assert net(tf.zeros([2, 5])).shape == (2, 3)


def test_a_class_that_takes_any_option_gets_them_all():
    assert nets.create("own_nets:Open", classes=3, colour="red").rest == "{'colour': 'red'}"


@pytest.mark.parametrize(
    "name, options, message",
    [
        (":Wide", {}, "`net` (:Wide) must be module:Class"),
        ("own_nets:", {}, "`net` (own_nets:) must be module:Class"),
        ("own_nets.py:Wide:x", {}, "`net` (own_nets.py:Wide:x) must be module:Class"),
        (".own_nets:Wide", {}, "`net` (.own_nets:Wide) must be module:Class"),
        ("folder/own_nets:Wide", {}, "`net` (folder/own_nets:Wide) must be module:Class"),
        (
            "no_such_nets:Wide",
            {},
            "`net` (no_such_nets:Wide) must be in a module that can be imported: No module named 'no_such_nets'",
        ),
        (
            "own_broken:Wide",
            {},
            "`net` (own_broken:Wide) must be in a module that can be imported: No module named 'no_such_package'",
        ),
        ("own_nets:Wyde", {}, "`class of own_nets` (Wyde) must be one of Wide, Open; nearest: Wide"),
        ("own_package:Wide", {}, "`class of own_package` (Wide) must be one of (none)"),
        ("own_nets:helper", {}, "`net` (own_nets:helper) must be a subclass of keras.Model"),
        ("own_nets:NUMBER", {}, "`net` (own_nets:NUMBER) must be a subclass of keras.Model"),
        (
            "own_nets:Wide",
            {"widht": 3},
            "`option of own_nets:Wide` (widht) must be one of classes, width; nearest: width",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        nets.create(name, **options)


def test_a_fault_inside_the_module_is_shown_as_it_is():
    with pytest.raises(ZeroDivisionError):
        nets.create("own_faulty:Wide")
