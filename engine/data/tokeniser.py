"""Texts to words: one tokeniser for training and for prediction."""

import re
import unicodedata

UNKNOWN = "[?]"  # how an unknown word is written, and read again
BREAK = re.compile(r"<br\s*/?>")  # of a line, in HTML
# Letters, digits and the accents that no single character holds, in parts joined by apostrophes.
WORD = re.compile(r"\[\?\]|(?:[^\W_]|[\u0300-\u036f])+(?:'(?:[^\W_]|[\u0300-\u036f])+)*")


def tokenise(text: str) -> list[str]:
    r"""The words of a text, in lower case and Unicode's composed form (NFC): a function of the text alone.

    A word is of letters and digits; apostrophes within it are kept, straight. All else parts words.

    >>> tokenise("It's GREAT!<br /><br />I'd give it 9/10, or 9.5.")
    ["it's", 'great', "i'd", 'give', 'it', '9', '10', 'or', '9', '5']
    >>> tokenise("The actors' well-made 'homage', isn’t it?")
    ['the', 'actors', 'well', 'made', 'homage', "isn't", 'it']
    >>> tokenise("Cafe\u0301, snake_case, [?]")  # e and an accent make one character; [?] is an unknown word
    ['café', 'snake', 'case', '[?]']
    >>> tokenise("... :-)")
    []
    """
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return WORD.findall(BREAK.sub(" ", lower).replace("\u2019", "'"))


def is_word(word: str) -> bool:
    """Whether the tokeniser gives ``word`` as one word, and a known one."""
    return word != UNKNOWN and tokenise(word) == [word]
