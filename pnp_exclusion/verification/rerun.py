"""What the manifest of a results folder asks to be run again: its command, and its cases as files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnp_exclusion.case.toml import as_toml
from pnp_exclusion.errors import UsageError

MANIFEST = "manifest.json"
COMPARED_FIELDS = ("csv",)
"""Formats of fields that are numbers of a table."""


@dataclass(frozen=True)
class Manifest:
    """What a folder of results says of how it came about.

    entries
        Of its cases: each as written, where its file was, and the hashes of the files that it names.
    """

    folder: Path
    command_line: list[str]
    entries: list[dict[str, Any]]
    versions: dict[str, str]
    ranks: int
    files: dict[str, dict[str, str]]
    """Those that the command takes beside its cases, by the words that name them: where they were, and their hashes."""

    @property
    def cases(self) -> list[dict[str, Any]]:
        """The cases as nested tables."""
        return [entry["case"] for entry in self.entries]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of results; `UsageError` in a sentence where there is none to go by."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    content = _content(folder)
    if content is None:
        raise UsageError(f"{folder} has no {MANIFEST} that can be read, which says what was run")
    entries = content.get("cases", [content])
    needed = isinstance(entries, list) and all(
        {"case", "case_file", "files_sha256"} <= entry.keys() for entry in entries
    )
    if not needed or not content.get("command_line"):
        raise UsageError(
            f"{folder / MANIFEST} does not say all that it takes to run again: it is of an earlier version"
        )
    files = content.get("files_of_command", {})
    above = _content(folder.parent)
    if above is not None and above.get("command_line") == content["command_line"]:
        raise UsageError(f"{folder} is a part of the results in {folder.parent}; reproduce these")
    return Manifest(folder, content["command_line"], entries, content["versions"], content["ranks"], files)


def _content(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_cases(manifest: Manifest, folder: Path, files: Path | None, drawn: bool) -> tuple[list[Path], list[str]]:
    """Write the cases of a manifest as files in a folder, each under its own name.

    files
        Where the files are that the cases name, if not where they were.
    drawn
        Whether pictures and fields are wanted, which are not compared.

    Returns their paths, and in sentences which of the files that they name have changed since. Raises `UsageError` for
    a file that is not there.
    """
    paths, changed = [], []
    for position, entry in enumerate(manifest.entries):
        origin = Path(entry["case_file"])
        found = {name: _file_named(name, files or origin.parent, files is None) for name in entry["files_sha256"]}
        tables = _with_files(entry["case"], found)
        if not drawn:
            given = tables.get("output", {})
            compared = [
                kind for kind in COMPARED_FIELDS if isinstance(given.get("fields"), list) and kind in given["fields"]
            ]
            tables["output"] = given | {"pictures": False, "fields": compared or False}
        path = folder / str(position) / origin.name
        path.parent.mkdir()
        path.write_text(as_toml(tables), encoding="utf-8")
        paths.append(path)
        for name, file in found.items():
            changed += _changed(file, entry["files_sha256"][name])
    return paths, changed


def find_files(manifest: Manifest, files: Path | None) -> tuple[dict[str, Path], list[str]]:
    """Return the files that the command takes beside its cases, and in sentences which of them have changed since."""
    found, changed = {}, []
    for word, given in manifest.files.items():
        origin = Path(given["file"])
        found[word] = _file_named(origin.name, files or origin.parent, files is None)
        changed += _changed(found[word], given["sha256"])
    return found, changed


def _changed(file: Path, sha256: str) -> list[str]:
    same = hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    return [] if same else [f"{file} is not what was run: it has changed since"]


def _file_named(name: str, folder: Path, where_it_was: bool) -> Path:
    candidates = [folder / name, folder / Path(name).name]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    advice = "; --files DIR says where it is now" if where_it_was else ""
    raise UsageError(f"the command or its case names the file {name}, but there is no {candidates[0]}{advice}")


def _with_files(tables: Any, found: Mapping[str, Path]) -> Any:
    """Return tables in which files are named by where they are now."""
    match tables:
        case dict():
            return {
                key: str(found[value])
                if key in ("file", "table") and isinstance(value, str) and value in found
                else _with_files(value, found)
                for key, value in tables.items()
            }
        case list():
            return [_with_files(value, found) for value in tables]
    return tables
