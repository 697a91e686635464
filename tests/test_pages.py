"""What people read: every snippet runs as printed, every link leads somewhere, the API reference is complete."""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import cli
import numpy as np
import pytest

import engine
import engine.testing
import losses
import losses.gradients
import losses.strategies
import nets
from tests import painted

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Page -> what is shorter in the test than on the page.
PAGES = {
    "README.md": {"epochs=5": "cycles=3"},
    "docs/tutorial.md": {"epochs=60": "cycles=3"},
    "docs/own_data.md": {},
    "docs/own_net.md": {},
    "docs/several_sources.md": {},
    "docs/resume.md": {},
    "docs/use_a_run.md": {},
    "docs/workers.md": {},
}
APART = {"docs/write_your_own_strategy.md": "test_docs.py"}  # pages whose snippets another file tests
README_FIRST = 1  # of its snippets the others are pieces


READ = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
COMMAND = re.compile(r"(?:PYTHONPATH=\. )?(?:python scripts/([\w/]+)\.py|phaseloop ([a-z][\w-]+))(.*)")


def commands(page):
    """(module, options) of each command of ours on a page: in blocks without a language, and in single backticks."""
    text = page.read_text()
    blocks = [line for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)
              for line in block.replace("\\\n", " ").splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    inline = [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", rest)]
    lines = [each for line in [*blocks, *inline] for each in (line, line.partition(" -- ")[2])]  # what launch.py runs
    for found in filter(None, map(COMMAND.fullmatch, lines)):
        yield (found[1] or found[2].replace("-", "_")).replace("/", "."), shlex.split(found[3], comments=True)


def snippets(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The folder in which a page's program runs; it holds the pictures that one of them reads."""
    monkeypatch.chdir(tmp_path)
    for name, low in (("dark", 0), ("light", 180)):
        for i in range(20):
            painted.save(tmp_path / "photos" / name / f"{i}.png", np.full((12, 10, 3), low + i, "uint8"))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_of_a_page_are_one_program_that_runs(page, tmp_path, photos):
    source = "\n".join(snippets(page)[:README_FIRST if page == "README.md" else None])
    for long, short in PAGES[page].items():
        assert long in source
        source = source.replace(long, short)
    (tmp_path / "page.py").write_text(source)
    runpy.run_path(str(tmp_path / "page.py"), run_name="page")


def test_every_page_with_a_snippet_is_tested():
    pages = {str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
             if "```python" in path.read_text()}
    assert pages == {*PAGES, *APART}


def test_the_readme_is_short_and_its_strategy_is_that_of_the_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    example, strategy, _ = snippets("README.md")
    assert sum(1 for line in example.splitlines() if line.strip()) <= 15
    assert strategy in (DOCS / "write_your_own_strategy.md").read_text()


def test_every_command_is_one_that_its_script_takes(monkeypatch, tmp_path):
    checked = 0
    monkeypatch.chdir(tmp_path)
    for page in READ:
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):  # its first line names the file
            Path(block.split()[1]).write_text(block)
        for name, options in commands(page):
            script = importlib.import_module(name)
            monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
            if {"--help", "--print-config"} & {*options} or not {"parse", "Options"} & {*dir(script)}:
                continue
            if name == "launch":
                monkeypatch.setattr(script.shutil, "which", lambda program: f"/{program}")
                assert script.parse(options)
            elif hasattr(script, "parse"):
                assert script.parse(), (page, name)
            else:
                assert cli.Command(script.Options(), None, files=True).parse(intermixed=name == "predict")
            checked += 1
    assert checked > 30


@pytest.mark.parametrize("page", READ, ids=lambda path: path.name)
def test_links_and_pictures_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        file, _, heading = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        headings = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in path.read_text().splitlines() if line.startswith("#")] if heading else []
        assert not heading or heading in headings, target


@pytest.mark.parametrize("package", [engine, engine.testing, losses, losses.strategies, losses.gradients, nets],
                         ids=lambda package: package.__name__)
def test_the_reference_has_every_public_name(package):
    pages = "".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    found = set(re.findall(rf":: {re.escape(package.__name__)}\.(\w+)$", pages, re.MULTILINE))
    assert found >= {name for name in package.__all__ if callable(getattr(package, name))}
