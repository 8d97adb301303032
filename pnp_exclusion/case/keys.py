"""Keys of a case by name, as sweeps and diagrams write them: ``species.Na.field``, ``boundaries.left.potential``.

A key is the way through the nested tables of a case file, its words joined by dots. Entries of arrays of tables go by
name, entries of lists by position from 1; a word that holds a dot is put in quotation marks. What a case can have is
read off the classes of ``tables.py``, so that keys which a file leaves to their defaults can be set too.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from pnp_exclusion.case.base import Table, name_of_entry
from pnp_exclusion.case.law_tables import without_parameters_of_others
from pnp_exclusion.case.quantities import Dimension
from pnp_exclusion.case.sentences import listed, nearest
from pnp_exclusion.case.tables import CaseTables
from pnp_exclusion.errors import PnpExclusionError

PER_SPECIES = ("concentration", "fraction", "chemical_potential", "flux", "diffusivity", "partition")
"""Tables whose keys are the names of species."""

_WORD = re.compile(r'"([^"]+)"|([^."]+)')


class CaseKeyError(PnpExclusionError):
    """A key that the case cannot have, or a value that it cannot take; names the nearest."""

    exit_code = 2


def set_key(tables: dict[str, Any], key: str, value: Any) -> None:
    """Set a key in the nested tables of a case, as of `Case.as_written` or of a TOML file, in place.

    Raises `CaseKeyError` for a key that the case cannot have. Whether the value is right is for `make_case` to say.
    """
    put(tables, _find(tables, key).path, value)


def key_in_words(key: str) -> str:
    """Return a key as people say it: "potential of left", "concentration of Na, left", "length of the domain"."""
    table, *way = [quoted or bare for quoted, bare in _WORD.findall(key)]
    if table in ("species", "regions", "boundaries", "reactions") and len(way) > 1:
        entry, what, *rest = way
        return f"{what.replace('_', ' ')} of {', '.join([*reversed(rest), entry])}"
    what, *rest = way or [table]
    of = f" of {', '.join(rest)}" if rest else {"domain": " of the domain"}.get(table, "")
    return what.replace("_", " ") + of


def put(tables: dict[str, Any], path: Sequence[str | int], value: Any) -> None:
    """Set what is at the end of a way through the nested tables of a case (`path_of_key`), in place."""
    node: Any = tables
    for step in path[:-1]:
        # a table that the file leaves to its defaults
        node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
    node[path[-1]] = copy.deepcopy(value)
    if tuple(path) == ("model", "law"):
        without_parameters_of_others(tables["model"])


def dimension_of_key(tables: dict[str, Any], key: str) -> Dimension | None:
    """Return what kind of quantity a key holds, None for pure numbers and words; `CaseKeyError` as for `set_key`."""
    return next((kind for kind in _find(tables, key).kinds if isinstance(kind, Dimension)), None)


def path_of_key(tables: dict[str, Any], key: str) -> tuple[str | int, ...]:
    """Return the way of a key through the tables, entries of arrays by position; `CaseKeyError` as for `set_key`."""
    return _find(tables, key).path


def _tables_of_case(tables: dict[str, Any]) -> type[Table]:
    if "gas" in tables:
        # no other case waits for them
        from pnp_exclusion.case.gas_tables import GasCaseTables

        return GasCaseTables
    return CaseTables


class _Place:
    """Where the words of a key have led so far."""

    def __init__(self, key: str, tables: dict[str, Any]) -> None:
        self.key = key
        self.tables = tables
        self.node: Any = tables
        self.kinds: tuple[Any, ...] = (_tables_of_case(tables),)
        """What may stand here: tables, lists, dictionaries, dimensions, other types."""
        self.path: tuple[str | int, ...] = ()
        self.words: tuple[str, ...] = ()

    def enter(self, word: str) -> None:
        """Go one word further."""
        table = _table_meant(self.kinds, self.node)
        lists, names = self._of(list), self._of(dict)
        arrays = [kind for kind in lists if _is_array_of_tables(kind)]
        if table is not None:
            self._enter_table(table, word)
        elif arrays and not self.node:
            self.refuse(f"the case has no [[{self.words[-1]}]]")
        elif arrays and isinstance(self.node, list):
            self._enter_array(arrays[0], word)
        elif lists and isinstance(self.node, list):
            self._enter_list(lists[0], word)
        elif names and (self.node is None or isinstance(self.node, dict)):
            self._enter_names(names[0], word)
        else:
            self.refuse(f'"{".".join(self.words)}" is a single value in this case, which has no "{word}"')
        self.words += (word,)

    def _of(self, origin: type) -> list[Any]:
        return [kind for kind in self.kinds if get_origin(kind) is origin]

    def _go(self, step: str | int, kinds: tuple[Any, ...], node: Any) -> None:
        self.path += (step,)
        self.kinds, self.node = kinds, node

    def _enter_table(self, table: type[Table], word: str) -> None:
        keys = _keys_of(table)
        known = table.can_vary or tuple(keys)
        if word not in known:
            owner = "the case" if not self.words else f'"{".".join(self.words)}"'
            what = "table that can be varied" if not self.words else "key"
            self.refuse(f'{owner} has no {what} "{word}"; {nearest(word, known)}')
        self._go(word, keys[word], self.node.get(word) if isinstance(self.node, dict) else None)

    def _enter_array(self, array: Any, word: str) -> None:
        names = {name: position for position, name in enumerate(map(_name_of, self.node)) if name is not None}
        if word not in names:
            self.refuse(f'the case has no entry "{word}" in [[{self.words[-1]}]]; {nearest(word, names)}')
        self._go(names[word], _alternatives(get_args(array)[0]), self.node[names[word]])

    def _enter_list(self, array: Any, word: str) -> None:
        if not word.isdecimal() or not 1 <= int(word) <= len(self.node):
            self.refuse(f'"{".".join(self.words)}" is a list; its entries go by position, 1 to {len(self.node)}')
        position = int(word) - 1
        self._go(position, _alternatives(get_args(array)[0]), self.node[position])

    def _enter_names(self, names: Any, word: str) -> None:
        species = [name for name in map(_name_of, self.tables.get("species", [])) if name is not None]
        if self.words[-1] in PER_SPECIES and word not in species:
            self.refuse(f'the case has no species "{word}"; {nearest(word, species)}')
        self._go(word, _alternatives(get_args(names)[1]), (self.node or {}).get(word))

    def refuse(self, what: str) -> NoReturn:
        """Raise `CaseKeyError` for the whole key."""
        raise CaseKeyError(f'key "{self.key}": {what}')


def _find(tables: dict[str, Any], key: str) -> _Place:
    place = _Place(key, tables)
    words = _words(key)
    if not words:
        place.refuse('is not a key; words are joined by dots, e.g. "species.Na.charge"')
    for word in words:
        place.enter(word)
    if any(map(_is_array_of_tables, place.kinds)):
        entries = [name for name in map(_name_of, place.node or []) if name is not None]
        place.refuse(f"is an array of tables; name one of its entries, there is {listed(entries)}")
    return place


def _name_of(entry: Any) -> str | None:
    """The name of an entry of an array of tables, or of which two kinds it speaks."""
    if not isinstance(entry, dict):
        return None
    kinds = entry.get("kinds")
    pair = "-".join(map(str, kinds)) if isinstance(kinds, list) else None
    name = name_of_entry(entry) or pair
    return name if isinstance(name, str) else None


def _words(key: str) -> list[str]:
    """The words between the dots; none if the key is not made of words."""
    found = list(_WORD.finditer(key))
    rebuilt = ".".join(match[0] for match in found)
    return [match[1] or match[2] for match in found] if rebuilt == key else []


# ---- what the classes of tables.py declare ----


@cache
def _keys_of(table: type[Table]) -> dict[str, tuple[Any, ...]]:
    """The keys of a table as they are written, with what each may hold."""
    fields = {field.alias or name: field for name, field in table.model_fields.items()}
    return {name: _kinds_of(field) for name, field in fields.items()}


def _kinds_of(field: FieldInfo) -> tuple[Any, ...]:
    dimensions = [item for item in field.metadata if isinstance(item, Dimension)]
    annotation: Any = field.annotation
    return tuple(dimensions) or _alternatives(annotation)


@cache
def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, each as its `Dimension` if it is a quantity, without what else it is annotated with."""
    return tuple(_members(annotation))


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        kind, *notes = get_args(annotation)
        dimensions = [note for note in notes if isinstance(note, Dimension)]
        yield from dimensions or _members(kind)
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _tables_among(kinds: Sequence[Any]) -> list[type[Table]]:
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Table)]


@cache
def _is_array_of_tables(kind: Any) -> bool:
    return get_origin(kind) is list and bool(_tables_among(_alternatives(get_args(kind)[0])))


def _table_meant(kinds: Sequence[Any], node: Any) -> type[Table] | None:
    """The table that a node of a case is: the one written there, or the only one that can be."""
    tables = _tables_among(kinds)
    if node is None:
        return tables[0] if tables and set(kinds) <= {tables[0], type(None)} else None
    return next((table for table in tables if isinstance(node, dict) and _is_meant(table, node)), None)


def _is_meant(table: type[Table], node: dict[str, Any]) -> bool:
    """Whether a node is this of several tables, which differ in ``shape``, ``kind`` or ``law``, or in all keys."""
    for word in ("shape", "kind", "law"):
        if word in table.model_fields:
            annotation = table.model_fields[word].annotation
            # any other word is that of a law that Python has registered, whose table comes last
            return get_origin(annotation) is not Literal or node.get(word) in get_args(annotation)
    return not node or not node.keys().isdisjoint(_keys_of(table))
