"""The tokeniser: its examples, and what every word that it gives must be."""

import doctest
import random
import unicodedata

import pytest

from engine.data import tokeniser
from engine.data.tokeniser import is_word, tokenise


def test_the_examples_of_its_docstring():
    assert doctest.testmod(tokeniser) == doctest.TestResults(failed=0, attempted=5)


@pytest.mark.parametrize("text, words", [
    ("one<br>two<br/>three<br />four<BR  />five", ["one", "two", "three", "four", "five"]),
    ("rock'n'roll 'tis o''clock '", ["rock'n'roll", "tis", "o", "clock"]),
    ("tab\tline\nend\u2028next\xa0blank", ["tab", "line", "end", "next", "blank"]),
    ("ÉCOLE Straße ΟΔΟΣ кино 映画", ["école", "straße", "οδος", "кино", "映", "画"]),
    ("1999's 3rd _private_ a_b $5", ["1999's", "3rd", "private", "a", "b", "5"]),
    ("e\u0323\u0301 q\u0301", [unicodedata.normalize("NFC", "e\u0323\u0301"), "q\u0301"]),
    ("bromine <brand> <b>bold</b>", ["bromine", "brand", "b", "bold", "b"]),
    ("what [?] is", ["what", "[?]", "is"]),
    ("यह फ़िल्म अच्छी है", ["यह", "फ़िल्म", "अच्छी", "है"]),  # vowel signs and the like belong to their letter
    ("ดีมาก very", ["ดี", "ม", "า", "ก", "very"]),  # no blanks between words: a character each, with its marks
    ("很好 ひと カメラ 아주 좋아요", ["很", "好", "ひ", "と", "カ", "メ", "ラ", "아주", "좋아요"]),
    ("می‌خواهم", ["می‌خواهم"]),
    ("", []), ("\ufeff \u200b", []),
])
def test_words_by_hand(text, words):
    assert [unicodedata.normalize("NFC", word).replace("ς", "σ") for word in tokenise(text)] == [
        word.replace("ς", "σ") for word in words]


def test_every_word_of_any_text_is_a_word_again_and_canonical_forms_agree():
    draw = random.Random(0)
    letters = [chr(code) for code in range(0x20, 0x3000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    for _ in range(2000):
        text = "".join(draw.choices(letters, k=12)) + draw.choice(["'", "’", "İ", "\u0301", "<br />"])
        words = tokenise(text)
        assert all(unicodedata.is_normalized("NFC", word) for word in words)
        assert all(is_word(word) for word in words if word != tokeniser.UNKNOWN)
        assert tokenise(" ".join(words)) == words
        assert tokenise(unicodedata.normalize("NFD", text)) == words
    assert tokenise("İ\u0327") == ["i\u0327\u0307"]  # lower case parts the dot, and brings it out of order


@pytest.mark.parametrize("text", ["", " ", "Upper", "two words", "end.", "isn’t", "cafe\u0301", "'em", "[?]", "a\n"])
def test_what_is_no_word(text):
    assert not is_word(text)
