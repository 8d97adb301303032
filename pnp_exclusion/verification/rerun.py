"""What the manifest of a results folder asks to be run again: its command, and its cases as files."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PositiveInt, ValidationError

from pnp_exclusion.case.petsc_options import why_not
from pnp_exclusion.case.toml import as_toml
from pnp_exclusion.errors import UsageError

MANIFEST = "manifest.json"
COMMANDS = (
    "run",
    "compare",
    "iv",
    "capacitance",
    "cv",
    "noise",
    "correlations",
    "impedance",
    "gradient",
    "fit",
    "couple",
    "engine",
    "sweep",
    "diagram",
    "lattice",
    "gas",
)
"""Those that leave a manifest. A folder of results is data: no other command is run because it says so."""
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


def _path_of_file(text: str) -> str:
    if "\0" in text or Path(text).name in ("", ".."):
        raise ValueError("no path of a file")
    return text


class _Entry(BaseModel, strict=True):
    """What a manifest says of a case."""

    case: dict[str, Any]
    case_file: Annotated[str, AfterValidator(_path_of_file)]
    files_sha256: dict[str, str]


class _File(BaseModel, strict=True):
    """What a manifest says of a file that its command takes."""

    file: str
    sha256: str


class _Run(BaseModel, strict=True):
    """What every manifest says beside its cases."""

    command_line: Annotated[list[str], Field(min_length=1)]
    versions: dict[str, str]
    ranks: PositiveInt
    files_of_command: dict[Literal["data"], _File] = {}


class _SeveralCases(BaseModel, strict=True):
    cases: Annotated[list[_Entry], Field(min_length=1)]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of results; `UsageError` in a sentence where there is none to go by."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    content = _content(folder)
    if content is None:
        raise UsageError(f"{folder} has no {MANIFEST} that can be read, which says what was run")
    try:
        run = _Run.model_validate(content)
        several = "cases" in content
        entries = _SeveralCases.model_validate(content).cases if several else [_Entry.model_validate(content)]
    except ValidationError as error:
        raise UsageError(f"{folder / MANIFEST} {_damage(error)}") from None
    _refuse_others(folder, run.command_line)
    above = _content(folder.parent)
    if above is not None and above.get("command_line") == run.command_line:
        raise UsageError(f"{folder} is a part of the results in {folder.parent}; reproduce these")
    files: dict[str, dict[str, str]] = {word: file.model_dump() for word, file in run.files_of_command.items()}
    return Manifest(folder, run.command_line, [entry.model_dump() for entry in entries], run.versions, run.ranks, files)


def _damage(error: ValidationError) -> str:
    """Say the first thing that is not as commands write it."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    if first["type"] == "missing":
        return f'does not say all that it takes to run again: it is of an earlier version, or damaged, without "{key}"'
    return f'is damaged: its "{key}" is not what a command writes there'


def _refuse_others(folder: Path, line: Sequence[str]) -> None:
    """Refuse a command that leaves no results, and options that write files or run code: a folder of results is data.

    The parser of a command takes none of these itself, and what it says of files is replaced by those found.
    """
    if line[0] not in COMMANDS:
        raise UsageError(
            f"{folder / MANIFEST} says that {shlex.join(['pnp-exclusion', *line])} was run, which is no command of "
            f"this version that leaves results: {', '.join(COMMANDS)}"
        )
    for name, value in _petsc_options(line[line.index("--") + 1 :] if "--" in line else []):
        if reason := why_not(name, value):
            raise UsageError(
                f'{folder / MANIFEST} names the option "{name}" of PETSc, which is not run again: {reason}'
            )


def _petsc_options(words: Sequence[str]) -> Iterator[tuple[str, str | bool]]:
    """Return the names and values of options as PETSc reads them: what begins with a dash and a letter is a name."""
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else "-a"
        if _is_name(word):
            yield word[1:], True if _is_name(following) else following
        elif position == 0 or not _is_name(words[position - 1]):
            yield word, True


def _is_name(word: str) -> bool:
    return word[:1] == "-" and not (word[1:2].isdecimal() or word[1:2] == ".")


def _content(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        # half of a pair of surrogates, which JSON can say, is in no file
        json.dumps(content, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError):
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
