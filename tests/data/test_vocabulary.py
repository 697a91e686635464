"""The vocabulary: ids by hand, the same in every process; files that come back or are refused by their line."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.data.vocabulary import Vocabulary
from engine.errors import Invalid

# good 3; bad 2, film 2; a, plot, zoo 1
TEXTS = ["Good film, good GOOD plot", "bad film", "a bad zoo"]
WORDS = ("good", "bad", "film", "a", "plot", "zoo")


def vocabulary(words=WORDS):
    return Vocabulary(words)


def test_the_most_frequent_come_first_and_ties_are_in_alphabetical_order():
    assert Vocabulary.build(TEXTS).words == WORDS
    assert Vocabulary.build(reversed(TEXTS)) == Vocabulary.build(TEXTS)
    assert Vocabulary.build(TEXTS, size=4).words == WORDS[:4]
    assert Vocabulary.build(TEXTS, minimum=2).words == WORDS[:3]
    assert Vocabulary.build(TEXTS, size=1, minimum=3).words == ("good",)


def test_unknown_signs_are_never_words():
    assert Vocabulary.build(["[?] [?] one"]).words == ("one",)


def test_ids_by_hand():
    ids = vocabulary().encode(["A good, GOOD zebra!", "film film film bad bad", "", "?!"], 4)
    assert ids.dtype == np.int32
    assert ids.tolist() == [[5, 2, 2, 1], [4, 4, 4, 3], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert vocabulary().ids == 8
    assert vocabulary().encode([], 3).shape == (0, 3)


def test_decode_is_the_inverse_for_what_is_known():
    ids = np.array([[5, 2, 1, 7], [3, 0, 0, 0], [0, 0, 0, 0]], np.int32)
    texts = vocabulary().decode(ids)
    assert texts == ["a good [?] zoo", "bad", ""]
    np.testing.assert_array_equal(vocabulary().encode(texts[:2], 4), ids[:2])


def test_coverage_by_hand():
    assert vocabulary().coverage(["good zebra", "a very bad zebra"]) == 0.5
    assert math.isnan(vocabulary().coverage(["..."]))


def test_a_saved_vocabulary_encodes_the_same_in_another_process(tmp_path):
    path = tmp_path / "run" / "vocabulary.txt"
    texts = ["Le cinéma isn’t dead", "cinéma cine\u0301ma", "o'clock é"]
    built = Vocabulary.build(texts)
    built.save(path)
    assert path.read_bytes().decode() == "cinéma\ndead\nisn't\nle\no'clock\né\n"
    assert [each.name for each in path.parent.iterdir()] == ["vocabulary.txt"]
    assert Vocabulary.load(path) == built
    script = ("import json, sys; from engine.data.vocabulary import Vocabulary; texts = json.loads(sys.argv[2]); "
              "ids = [each.encode(texts, 5).tolist() for each in (Vocabulary.load(sys.argv[1]), "
              "Vocabulary.build(texts))]; print(json.dumps(ids))")
    run = subprocess.run([sys.executable, "-c", script, path, json.dumps(texts)], check=True, capture_output=True,
                         cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": "1"})
    assert json.loads(run.stdout) == [built.encode(texts, 5).tolist()] * 2


def test_saving_replaces_whole_or_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.txt"
    path.write_text("old\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Invalid, match=r"`vocabulary` \(.*\) must be writable: No space left on device"):
            vocabulary().save(path)
    assert path.read_text() == "old\n" and [each.name for each in tmp_path.iterdir()] == ["vocabulary.txt"]
    vocabulary().save(path)
    assert path.read_text().split() == list(WORDS)
    with pytest.raises(Invalid, match=r"must be writable: (File exists|Not a directory)"):
        vocabulary().save(path / "below")


@pytest.mark.parametrize("content, text", [
    (b"", "of at least one word, but is empty"),
    (b"\n", "of one word a line, but line 1 is empty"),
    (b"a\n\nb\n", "of one word a line, but line 2 is empty"),
    (b"a\nb\n\n", "of one word a line, but line 3 is empty"),
    (b"a\nb\na\n", r"of one word a line, but line 3 \(a\) is line 1 again"),
    (b"a\nThe\n", r"of one word a line, but line 2 \('The'\) is not"),
    (b"a b\n", r"of one word a line, but line 1 \('a b'\) is not"),
    (b"a\r\nb\r\n", r"of one word a line, but line 1 \('a\\r'\) is not"),
    (b"[?]\n", r"of one word a line, but line 1 \('\[\?\]'\) is not"),
    (b"a\ncaf\xe9\n", "UTF-8, but has the byte e9 in line 2, at 5 from the start"),
    (b"a\nb\0\n", "text, but has a NUL character in line 2"),
])
def test_wrong_files(tmp_path, content, text):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(Invalid, match=rf"^`(vocabulary|file)` \({path}\) must be {text}") as caught:
        Vocabulary.load(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(Invalid, match="must be readable: No such file"):
        Vocabulary.load(tmp_path / "none")


@pytest.mark.parametrize("make, text", [
    (lambda: Vocabulary(()), r"`words` \(none\) must be at least one word"),
    (lambda: Vocabulary(("a", "b", "a")), r"`words` \(a\) must be each there once"),
    (lambda: Vocabulary(("a", "B", "")), r"`words` \('B', ''\) must be words as the tokeniser gives them"),
    (lambda: Vocabulary.build(TEXTS, size=0), r"`size` \(0\) must be an integer of at least 1"),
    (lambda: Vocabulary.build(TEXTS, size=2.5), r"`size` \(2.5\) must be an integer of at least 1"),
    (lambda: Vocabulary.build(TEXTS, minimum=0), r"`minimum` \(0\) must be an integer of at least 1"),
    (lambda: Vocabulary.build(TEXTS, minimum=4), r"`minimum` \(4\) must be at most 3, the count of the most"),
    (lambda: Vocabulary.build(["", "..."]), r"`texts` \(no words\) must be of at least one word"),
    (lambda: vocabulary().encode(TEXTS, 0), r"`length` \(0\) must be an integer of at least 1"),
    (lambda: vocabulary().decode([[8]]), r"`ids` \(0 to 8\) must be in 0..7"),
    (lambda: vocabulary().decode([[-1]]), r"`ids` \(-1 to 0\) must be in 0..7"),
    (lambda: vocabulary().decode([1, 2]), r"`ids` \(int64 \(2,\)\) must be integers \[N, T\]"),
    (lambda: vocabulary().decode([[0.5]]), r"`ids` \(float64 \(1, 1\)\) must be integers \[N, T\]"),
])
def test_wrong_use_is_named(make, text):
    with pytest.raises(Invalid, match=text):
        make()
