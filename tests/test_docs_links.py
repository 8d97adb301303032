"""References lead somewhere: documents and anchors named in any text, and relative links between documents."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from conftest import ROOT

PLACES = ("pnp_exclusion", "tests", "examples", "benchmarks", "docs")
KINDS = {".py", ".md", ".toml", ".sh", ".c"}


def texts(*kinds: str) -> list[Path]:
    """Return the files of the project of some kinds."""
    found = [
        ROOT / "README.md",
        ROOT / "CITATION.cff",
        *(path for place in PLACES for path in (ROOT / place).rglob("*")),
    ]
    return [path for path in found if path.suffix in kinds]


@cache
def anchors(document: Path) -> set[str]:
    """Return those that a document writes out, and those that GitHub makes of its headings."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)"></a>', prose))


def leads_somewhere(there: Path, anchor: str) -> bool:
    return there.exists() and (not anchor or anchor in anchors(there))


def test_every_document_and_anchor_that_a_text_names_exists():
    named = {
        (path.relative_to(ROOT), document, anchor)
        for path in texts(".cff", *KINDS)
        for document, anchor in re.findall(r"\bdocs/([\w-]+\.md)(?:#([\w-]+))?", path.read_text())
    }
    assert len({path for path, _, anchor in named if anchor}) > 30
    assert not [where for where in named if not leads_somewhere(ROOT / "docs" / where[1], where[2])]


def test_every_relative_link_of_a_document_leads_to_a_file_and_a_place_in_it():
    links = {
        (path, target, anchor)
        for path in texts(".md")
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text())
        if not re.match(r"\w+:", target)
    }
    assert len({path for path, _, _ in links}) > 5
    assert not [
        link for link in links if not leads_somewhere((link[0].parent / link[1]) if link[1] else link[0], link[2])
    ]


def test_anchors_written_out_are_all_different():
    for path in texts(".md"):
        written = re.findall(r'<a id="([^"]+)"></a>', path.read_text())
        assert len(written) == len(set(written)), path
