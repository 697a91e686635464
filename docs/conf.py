"""How Sphinx makes the site: `make docs`."""

from importlib import metadata

project = "phaseloop"
copyright = "the authors of phaseloop"
version = release = metadata.version("phaseloop")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]

smartquotes_action = "D"  # no curly quotes: "same" in a docstring is a value
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"phaseloop {release}"
html_show_copyright = False

myst_heading_anchors = 3  # links to headings, as on a forge
myst_enable_extensions = ["colon_fence"]

default_role = "literal"  # `x` is code, as ``x`` is
napoleon_use_ivar = True  # attributes in one list
napoleon_use_rtype = False
napoleon_custom_sections = ["Source"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
