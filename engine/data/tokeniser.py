"""Texts to words: one tokeniser for training and for prediction."""

import re
import unicodedata

UNKNOWN = "[?]"  # how an unknown word is written, and read again
BREAK = re.compile(r"<br\s*/?>")  # of a line, in HTML
JOINERS = "\u200c\u200d"  # between the letters of a word, in Persian and in India's scripts
# Scripts that put no blanks between words: each character is a word of its own. Thai, Lao, Myanmar, Khmer; Chinese,
# Japanese.
UNSPACED = ("\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
            "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff")


def _marks() -> str:
    """Accents, vowel signs and the like, which belong to the letter before: categories Mn, Mc and Me, as ranges."""
    found: list[list[int]] = []
    for code in range(0x300, 0x1F000):
        if unicodedata.category(chr(code)).startswith("M"):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)


MARKS = _marks()
LETTER = f"(?:(?![{UNSPACED}])[^\\W_]|[{MARKS}{JOINERS}])"
# Letters and digits with their marks, in parts joined by apostrophes; or one character of a script without blanks.
WORD = re.compile(rf"\[\?\]|(?:(?=[{UNSPACED}])[^\W_])[{MARKS}]*|{LETTER}+(?:'{LETTER}+)*")


def tokenise(text: str) -> list[str]:
    r"""The words of a text, in lower case and Unicode's composed form (NFC): a function of the text alone.

    A word is of letters and digits with their marks; apostrophes within it are kept, straight. All else parts words.
    Of scripts without blanks between words each character is one.

    >>> tokenise("It's GREAT!<br /><br />I'd give it 9/10, or 9.5.")
    ["it's", 'great', "i'd", 'give', 'it', '9', '10', 'or', '9', '5']
    >>> tokenise("The actors' well-made 'homage', isn’t it?")
    ['the', 'actors', 'well', 'made', 'homage', "isn't", 'it']
    >>> tokenise("Cafe\u0301, snake_case, [?]")  # e and an accent make one character; [?] is an unknown word
    ['café', 'snake', 'case', '[?]']
    >>> tokenise("नमस्ते दुनिया, 很好看!")
    ['नमस्ते', 'दुनिया', '很', '好', '看']
    >>> tokenise("... :-)")
    []
    """
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return WORD.findall(BREAK.sub(" ", lower).replace("\u2019", "'"))


def is_word(word: str) -> bool:
    """Whether the tokeniser gives ``word`` as one word, and a known one."""
    return word != UNKNOWN and tokenise(word) == [word]
