"""Plain words: no term of our old dialect in names, docstrings, messages, help or pages, and one form of docstrings."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("engine", "losses", "nets", "scripts")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

NAMES = {  # a part of a name, between underscores or capitals: the field's word
    "figure": "metric", "figures": "metrics", "share": "fraction", "shares": "fractions",
    "deviation": "standard deviation", "deviations": "standard deviations", "behind": "completed",
    "lane": "shard", "lanes": "shards", "half": "shard", "halves": "shards", "halved": "sharded",
    "slope": "gradient norm", "slopes": "gradient norms", "leap": "spike", "leaps": "is_spike", "leaping": "spiking",
    "keeper": "CheckpointManager", "salt": "rollbacks", "moment": "fold_in", "moments": "fold_in"}
TEXTS = {  # a pattern in docstrings, messages, comments and pages: the field's word
    r"figures?": "metric, number, result or picture", r"deviations?": "standard deviation",
    r"(?:an?|the|its|their|own|each|whose|this|such|in|of|by|\w's) shares?|shares? (?:of|in|by|at)": "fraction",
    r"behind": "completed, after, in the background", r"written out": "unrolled, in full, derived by hand",
    r"lanes?|two halves|(?:first|second|each|other) half|halves of|half (?:of )?(?:a|the|each) batch": "shard",
    r"slopes?": "gradient norm", r"leap(?:s|t|ing)?": "spike", r"keepers?": "CheckpointManager", r"salts?": "rollbacks",
    r"moments?": "fold_in, time"}
ALLOWED = re.compile(r"""(?x)(?i)  # the field's own phrases; what they cover is not looked at
    \bstandard[ _]deviations?\b | \bhalf[ _]precision(?![a-z])
    | \bnegative[ _]slope\b  # Keras's, of a leaky ReLU
    | \b(?:first|second|its|own)\ moments?\b | \bmoments\ of\b  # Adam's
    | tf\.nn\.moments | "moments" | _moments  # of TensorFlow and Keras
    | \bfigures?\ \d  # of a paper
    | </?figure\b  # HTML's
    """)
FRAGMENT = re.compile(  # a first word that begins no noun phrase
    "(?:After|Are|As|At|Before|Between|By|Call|Called|Compiles|Computes?|For|From|Gives|Go|Hold|If|In|Is|Keep|Leave|"
    "Make|Mix|Of|On|Runs?|Saves|See|Start|Stop|Sum|Takes|That|There|To|Told|Train|Under|Until|Unless|Watches|When|Where|"
    "Which|Whose|With|Without)")


def words_in(text: str) -> set[str]:
    """Words of the old dialect in prose."""
    plain = ALLOWED.sub(" ", re.sub(r"[\s_]+", " ", text))
    return {found[0].lower() for pattern in TEXTS
            for found in re.finditer(rf"(?i)(?<![\w/])(?:{pattern})(?!\w)", plain)}


def names_in(source: str) -> set[str]:
    """Words of the old dialect in names: of variables, arguments, attributes, functions, classes, modules."""
    names = {name for node in ast.walk(ast.parse(source)) for field in ("id", "arg", "attr", "name", "asname", "module")
             for name in (getattr(node, field, None) or "").split(".")}
    plain = [re.sub(r"([a-z])([A-Z])", r"\1_\2", ALLOWED.sub("", name)) for name in names]
    return {part for name in plain for part in name.lower().split("_") if part in NAMES}


def texts_of(source: str) -> str:
    """Strings and comments of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    texts, last = [], None
    for token in tokens:
        if token.type in kinds:
            texts.append((" " if last == tokenize.COMMENT else "\n\n. ") + token.string.lstrip("#"))
        if token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            last = token.type
    return "".join(texts)


def code(folder: str) -> list[Path]:
    """Its modules."""
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_code_speaks_the_fields_words(folder: str) -> None:
    found = {}
    for path in code(folder):
        source, name = path.read_text(), str(path.relative_to(ROOT))
        found[name] = names_in(source) | words_in(texts_of(source)) | names_in(path.stem)
    assert {name: words for name, words in found.items() if words} == {}


def test_pages_speak_the_fields_words() -> None:
    found = {str(path.relative_to(ROOT)): words_in(path.read_text()) for path in PAGES}
    assert {name: words for name, words in found.items() if words} == {}


def docstrings(path: Path) -> list[tuple[str, str]]:
    """(name, docstring) of all that has one."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "name", path.stem), text) for node in nodes if (text := ast.get_docstring(node))]


def entries(docstring: str, section: str) -> list[str]:
    """The entries of a section such as ``Args``: the lines with its least indent."""
    block = re.search(rf"(?ms)^{section}:\n(.*?)(?=^\S|\Z)", docstring)
    lines = [line for line in block[1].splitlines() if line.strip()] if block else []
    least = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return [line for line in lines if line[least] != " "]


def faults(name: str, docstring: str) -> list[str]:
    """Entries that are not indented by two blanks, or do not begin as a noun phrase does; code in single backticks."""
    bad = [f"{name}: {found}" for found in re.findall(r"(?<!`)`[^`\n]+`(?!`)", docstring)]
    for section in ("Args", "Attributes", "Raises"):
        for line in entries(docstring, section):
            found = re.match(r"  \*{0,2}\w+(?:, \w+| and \w+)*: (\w+\b|\S)(?=(.?))", line)
            word = found[1] if found else "Of"
            prose = word.islower() and word.isalpha() and len(word) > 1 and found and found[2] in " ,;"
            if prose or (FRAGMENT.fullmatch(word) and not (section == "Raises" and word == "If")):
                bad.append(f"{name}:{line}")
    return bad


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_have_one_form(folder: str) -> None:
    assert [fault for path in code(folder) for name, text in docstrings(path) for fault in faults(name, text)] == []
