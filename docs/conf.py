"""Sphinx: how these documents become a site (``make docs``)."""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import api_reference

import pnp_exclusion

HERE = Path(__file__).parent

project = "pnp_exclusion"
author = "the pnp_exclusion developers"
version = release = pnp_exclusion.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build", "README.md"]
html_theme = "furo"
html_title = "pnp_exclusion"
html_static_path = ["static"]
html_show_copyright = False
html_css_files = ["site.css"]
html_math_renderer = "mathml"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
# headings of every level are targets, as where the documents are read without Sphinx
myst_heading_anchors = 4

# what stands between single backquotes in a docstring is a link if there is such an object
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {
    "exclude-members": "model_config, model_post_init, everywhere",
}


def write_commands(app: Sphinx) -> None:
    """Write the page of the commands from what ``--help`` prints."""
    from pnp_exclusion.cli import commands
    from pnp_exclusion.cli.line import parser_of

    os.environ["COLUMNS"] = "88"
    pages = ["# Commands\n", "As `pnp-exclusion COMMAND --help` prints them.\n"]
    for name in commands.NAMES:
        help_of = next(
            action.choices[name].format_help()
            for action in parser_of([name])._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        pages.append(f"## {name}\n\n```text\n{help_of}```\n")
    (HERE / "commands.md").write_text("\n".join(pages))


def write_keys(app: Sphinx) -> None:
    """Write the page of all keys of a case file from its schema."""
    import case_reference

    from pnp_exclusion.case.case import Case

    (HERE / "case-reference.md").write_text(case_reference.page(Case.model_json_schema()))


def write_references(app: Sphinx) -> None:
    """Write the table of references from what ``verify`` computes, here and now."""
    computed = subprocess.run(
        [sys.executable, "-m", "pnp_exclusion", "verify", "--markdown"], capture_output=True, text=True
    )
    if computed.returncode:
        logging.getLogger(__name__).warning("pnp-exclusion verify failed: %s", computed.stderr)
    (HERE / "references.inc").write_text(computed.stdout)


ELSEWHERE = {
    "../README.md#what-is-computed-and-how-it-is-checked": "package.md",
    "README.md#what-is-computed-and-how-it-is-checked": "package.md",
    "../README.md#what-it-does-not-do": "index.md#what-it-does-not-do",
    "../README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "../benchmarks/README.md": "benchmarks.md",
    "../benchmarks/scaling.md": "scaling.md",
    "peers/README.md": "peers.md",
    "pore_charging.png": "../benchmarks/pore_charging.png",
    # of the tables beside them
    "README.md": "peers.md",
}
"""Documents outside this folder, and the pages that stand for them here."""


ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', re.MULTILINE)


@cache
def anchors(page: str) -> set[str]:
    """Return the anchors that a page writes out, a page being named by its path from here."""
    path = HERE / f"{page}.md"
    return set(ANCHOR.findall(path.read_text())) if path.exists() else set()


def as_myst(app: Sphinx, name: str, source: list[str]) -> None:
    """Make targets of Sphinx of the anchors that GitHub reads, and links to pages of links to files elsewhere."""

    def link(found: re.Match[str]) -> str:
        page, anchor = found[1] or "", found[2]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(name), page.removesuffix(".md"))) if page else name
        return f"]({page}#{label(there, anchor) if anchor in anchors(there) else anchor})"

    # the same anchor may be in several pages, a target may not
    text = ANCHOR.sub(lambda found: f"({label(name, found[1])})=", source[0])
    # one within a line, as of a row of a table
    text = re.sub(r'<a id="([\w-]+)"></a>(`[^`]+`)', r"[\2]{#\1}", text)
    text = re.sub(r"\]\(([\w./-]+\.md)?#([\w-]+)\)", link, text)
    for there, page in ELSEWHERE.items():
        text = text.replace(f"]({there})", f"]({page})")
    source[0] = api_reference.with_directives(text) if name == "api" else text


def write_formula(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Set a formula as MathML, which browsers draw by themselves: pages need no script and no network for it."""
    try:
        written = tex2mathml(with_spaces(node.astext()), as_block=isinstance(node, nodes.math_block))
    except MathError as error:
        logging.getLogger(__name__).warning("%s in the formula %r", error, node.astext(), location=node)
    else:
        translator.body.append(written)
    raise nodes.SkipNode


FUNCTION = r"\\(?:log|exp|sinh|cosh|tanh|min|max|det|operatorname\{\w+\})"


def with_spaces(formula: str) -> str:
    """Put a space around the names of functions and a proper prime, where TeX does so and docutils does not."""
    formula = re.sub(rf"(?<=[A-Za-z0-9}})])\s*(?={FUNCTION}\s*[\w\\(\[])", r"\\, ", formula)
    formula = re.sub(rf"({FUNCTION})(?=\s*\\?[\w])", r"\1\\,", formula)
    return re.sub(r"'", r"^\\prime ", formula)


def label(page: str, anchor: str) -> str:
    """Return the target of an anchor of a page."""
    return f"{page}--{anchor}"


def read_numpydoc(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Read docstrings in numpydoc style, but for those of attributes: up to a colon they would be taken for a type."""
    if what not in ("attribute", "property", "data"):
        lines[:] = str(NumpyDocstring(lines, Config(), app, what, name, thing, options)).splitlines()
    # that of a whole case names its tables itself
    if api_reference.is_table(thing) and thing is not pnp_exclusion.Case:
        lines += api_reference.keys(thing)
    lines[:] = [re.sub(r"`*docs/([\w-]+)\.md(#[\w-]+)?`*", r":doc:`\1`", line) for line in lines]


def sign(
    app: Sphinx, what: str, name: str, thing: object, options: object, arguments: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write the keys of a table as its signature, and others with the last names of types."""
    if api_reference.is_table(thing):
        return api_reference.signature(thing), returned
    return arguments and api_reference.shortened(arguments), returned and api_reference.shortened(returned)


def setup(app: Sphinx) -> None:
    """Connect what is written before the site is made, and what is changed of its pages."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("autodoc-process-docstring", read_numpydoc)
    app.connect("autodoc-process-signature", sign)
    app.connect("builder-inited", write_commands)
    app.connect("builder-inited", write_keys)
    app.connect("builder-inited", write_references)
    app.connect("source-read", as_myst)
    app.connect("include-read", lambda app, path, parent, source: as_myst(app, parent, source))
