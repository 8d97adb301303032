"""The site's page of all keys has every key that a case file may have, with the words of the schema."""

from __future__ import annotations

import re
import sys

from conftest import ROOT

from pnp_exclusion.case.case import Case

sys.path.insert(0, str(ROOT / "docs"))

import case_reference


def test_every_key_of_the_schema_is_on_the_page_once_in_its_table():
    schema = Case.model_json_schema()
    page = case_reference.page(schema)
    sections = re.split(r"^<a id=.*$", page, flags=re.MULTILINE)[1:]
    listed = [re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) for section in sections]
    assert all(len(keys) == len(set(keys)) for keys in listed)
    found = {key for keys in listed for key in keys}
    assert found == {key for table in schema["$defs"].values() for key in table["properties"]}


def test_a_row_says_kind_default_and_meaning():
    page = case_reference.page(Case.model_json_schema())
    assert re.search(r"^\| `length` \| length, `\"5 nm\"` \| needed \| ", page, flags=re.MULTILINE)
    assert re.search(
        r"^\| `permittivity` \| number above 0 \| `78.5` \| Relative permittivity", page, flags=re.MULTILINE
    )


def test_links_of_the_page_lead_to_its_own_sections():
    page = case_reference.page(Case.model_json_schema())
    linked = set(re.findall(r"\(#(key-[\w-]+)\)", page))
    assert linked
    assert linked <= set(re.findall(r'^<a id="(key-[\w-]+)"></a>$', page, flags=re.MULTILINE))
