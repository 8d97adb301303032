"""``pnp-exclusion reproduce``: results that come out again, and those that do not."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tomllib
from pathlib import Path

import pytest
from conftest import EXAMPLES, ROOT, change, example, run_command, write_toml

from pnp_exclusion.case.toml import as_toml
from pnp_exclusion.cli.commands import NAMES
from pnp_exclusion.cli.line import command
from pnp_exclusion.cli.main import main
from pnp_exclusion.verification.reproduction import compare_folders
from pnp_exclusion.verification.rerun import COMMANDS as RERUN

MEMBRANE = str(EXAMPLES / "membrane.toml")
COMMANDS = {
    "iv": ["iv", MEMBRANE, "--boundary", "left", "--from", "0 V", "--to", "-20 mV", "--points", "3"],
    "compare": ["compare", MEMBRANE, "--laws", "pnp,vacancy"],
    "noise": ["noise", MEMBRANE, "--from", "1e10", "--to", "1e11", "--count", "2", "--law", "mpnp"],
    "lattice": ["lattice", str(EXAMPLES / "imposed_fields.toml"), "--sizes", "8", "--time", "4", "--seed", "5"],
    "engine": ["engine", *(str(EXAMPLES / f"engine_{leg}.toml") for leg in ("free_gas", "rods")), "--kinetic-limit"],
}


@pytest.fixture(scope="module")
def membrane_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``run`` leaves of the membrane."""
    folder = tmp_path_factory.mktemp("membrane") / "out"
    assert main(["run", MEMBRANE, "-o", str(folder), "--quiet"]) == 0
    return folder


def help_of(command_name: str) -> str:
    parser = argparse.ArgumentParser()
    command(command_name).add_to(parser)
    return parser.format_help()


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_is_reproduced_without_its_case_file(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    cases = {word: shutil.copy(word, tmp_path) for word in words if word.endswith(".toml")}
    assert main([*(str(cases.get(word, word)) for word in words), "-o", "out", "--quiet"]) == 0
    for path in cases.values():
        Path(path).unlink()
    capsys.readouterr()
    assert main(["reproduce", "out", "--quiet"]) == 0
    assert "are the same within 1e-06" in capsys.readouterr().out.splitlines()[-1]
    assert {entry.name for entry in tmp_path.iterdir()} == {"out"}


def test_sweep_is_reproduced_and_a_number_changed_in_its_netcdf_is_found(tmp_path: Path, capsys: pytest.CaptureFixture):
    import xarray

    swept = {"axes": [{"key": "boundaries.left.potential", "values": ["-10 mV", "10 mV"]}]}
    case = write_toml(change(example("membrane"), "sweep", to=swept), tmp_path / "case.toml")
    assert main(["sweep", str(case), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    assert main(["reproduce", str(tmp_path / "out"), "--quiet"]) == 0
    with xarray.open_dataset(tmp_path / "out" / "sweep.nc") as dataset:
        changed = dataset.load()
    changed["force"].values[1, 0] *= 1.00001
    changed.to_netcdf(tmp_path / "out" / "sweep.nc", format="NETCDF3_64BIT", engine="scipy")
    assert main(["reproduce", str(tmp_path / "out"), "--quiet"]) == 3
    assert "sweep.nc: force (2, 1): " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "number", "where"),
    [("summary.json", "1.34811502", "force.Na"), ("profile.csv", "0.826237712272", "packing (1)")],
)
def test_a_changed_number_is_found_and_named(
    membrane_results: Path, name: str, number: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = copied(membrane_results, tmp_path / "out")
    text = (folder / name).read_text()
    assert number in text
    (folder / name).write_text(text.replace(number, f"{float(number) * 1.00001:.10g}", 1))
    assert main(["reproduce", str(folder), "--quiet"]) == 3
    assert f"{name}: {where}: " in capsys.readouterr().err
    assert main(["reproduce", str(folder), "--quiet", "--tolerance", "1e-4"]) == 0


def test_versions_ranks_and_a_missing_file_are_told(
    membrane_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = copied(membrane_results, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(manifest | {"ranks": 3}))
    (folder / "profile.csv").unlink()
    assert main(["reproduce", str(folder)]) == 3
    told = capsys.readouterr().err
    assert "numpy was 1.0 then and is " in told
    assert "it ran on 3 ranks then and on 1 now" in told
    assert "profile.csv: the file: none there, written here" in told


def test_two_ranks_reproduce_what_one_has_computed(membrane_results: Path):
    """Sums are rounded in another way, some 1e-12 of the numbers."""
    finished = run_command("reproduce", membrane_results, "--quiet", ranks=2)
    assert finished.returncode == 0, finished.stderr
    assert "it ran on 1 rank then and on 2 now" in finished.stderr


def test_mesh_is_found_where_it_is_now_and_a_change_of_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "meshes").mkdir()
    shutil.copy(ROOT / "meshes" / "slit.msh", tmp_path / "meshes")
    (tmp_path / "examples").mkdir()
    case = shutil.copy(EXAMPLES / "slit.toml", tmp_path / "examples")
    folder = str(tmp_path / "out")
    assert main(["run", str(case), "-o", folder, "--quiet"]) == 0
    shutil.move(tmp_path / "meshes", tmp_path / "elsewhere")
    assert main(["reproduce", folder, "--quiet"]) == 2
    assert "../meshes/slit.msh, but there is no" in capsys.readouterr().err
    with (tmp_path / "elsewhere" / "slit.msh").open("a") as stream:
        stream.write("$Comments\nnothing\n$EndComments\n")
    assert main(["reproduce", folder, "--quiet", "--files", str(tmp_path / "elsewhere")]) == 0
    assert "it has changed since" in capsys.readouterr().err


def test_results_that_are_kept_can_be_reproduced_in_turn(membrane_results: Path, tmp_path: Path):
    assert main(["reproduce", str(membrane_results), "--quiet", "-o", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "profiles.png").is_file()
    assert json.loads((tmp_path / "again" / "manifest.json").read_text())["command_line"][:2] == ["run", MEMBRANE]
    assert main(["reproduce", str(tmp_path / "again"), "--quiet"]) == 0


def test_what_cannot_be_reproduced_is_told_in_a_sentence(
    membrane_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    def refused(*words: object) -> str:
        assert main(["reproduce", *map(str, words)]) == 2
        return capsys.readouterr().err

    assert "is no folder" in refused(tmp_path / "none")
    assert "has no manifest.json" in refused(tmp_path)
    folder = copied(membrane_results, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    copied(folder, folder / "shdl")
    assert f"is a part of the results in {folder}" in refused(folder / "shdl")
    assert "--tolerance must be greater than 0" in refused(folder, "--tolerance", "0")
    assert "takes PETSc's options from the manifest" in refused(folder, "--", "-ksp_monitor")
    (folder / "manifest.json").write_text(json.dumps(manifest | {"command_line": ["run", "case.toml", "--ruin"]}))
    assert "is of words that this version does not know" in refused(folder)


def test_no_command_is_run_because_a_folder_says_so_unless_it_leaves_results():
    """Every command that leaves results is told by its ``--overwrite``."""
    assert {name for name in NAMES if "--overwrite" in help_of(name)} == set(RERUN)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["info"], "no command of this version that leaves results"),
        (["reproduce", "m8"], "no command of this version that leaves results"),
        (["mesh", "script.py"], "no command of this version that leaves results"),
        (["--version"], "no command of this version that leaves results"),
        (["run", "case.toml", "--", "-dll_append", "lib.so"], 'the option "dll_append" of PETSc'),
        (["run", "case.toml", "--", "-ksp_type", "gmres", "-pc_Python_type", "m.C"], 'the option "pc_Python_type"'),
        (["run", "case.toml", "--", "-ksp_view", ":file"], "so its value must be true"),
        (["run", "case.toml", "--", "-ksp_rtol", "-1", "--options_file", "f"], 'the option "-options_file"'),
        (["run", "case.toml", "--", "-ksp_type", "python"], "no file or code"),
    ],
)
def test_a_folder_of_results_runs_no_code(
    line: list[str], sentence: str, membrane_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = copied(membrane_results, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"command_line": line}))
    assert main(["reproduce", str(folder)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in ("command_line", "versions", "ranks", "case", "case_file", "files_sha256")),
        *(("cases", [1]), ("cases", []), ("case", []), ("command_line", "run case.toml"), ("command_line", [1])),
        *(("case_file", ".."), ("case_file", "a\0b"), ("versions", {"numpy": 2}), ("ranks", "1"), ("ranks", 0)),
        *(("files_of_command", {"output": {"file": "a", "sha256": "b"}}), ("files_of_command", {"data": "a"})),
    ],
)
def test_a_damaged_manifest_is_told_in_a_sentence(
    key: str, value: object, membrane_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """Without a key, and with something else in its place."""
    manifest = json.loads((membrane_results / "manifest.json").read_text())
    for content in [manifest | {key: value}] + ([{k: v for k, v in manifest.items() if k != key}] if not value else []):
        if key == "cases" and "cases" not in content:
            continue
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        assert main(["reproduce", str(tmp_path)]) == 2
        told = capsys.readouterr().err
        assert f'"{key}' in told
        assert len(told.splitlines()) == 1


def test_rounding_beside_numbers_of_the_same_kind_is_no_difference(tmp_path: Path):
    """A flux of 1e-12 beside one of 1 is nothing; alone, or where it is 1e-8, it is a number."""

    def written(folder: str, content: object) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "summary.json").write_text(json.dumps(content))
        return tmp_path / folder

    def count(one: object, other: object) -> int:
        (report,) = compare_folders(written("there", one), written("here", other), {"Na", "Cl"}, set(), (1e-6, 1e-3))
        return len(report.differences)

    assert count({"flux": {"Na": 1.0, "Cl": 1e-12}}, {"flux": {"Na": 1.0, "Cl": -1e-12}}) == 0
    assert count({"flux": {"Na": 1.0, "Cl": 1e-8}}, {"flux": {"Na": 1.0, "Cl": -1e-8}}) == 1
    assert count({"flux": 1.0, "charge": 1e-12}, {"flux": 1.0, "charge": -1e-12}) == 1
    assert count({"balance": 1e-12, "seconds": 1.0}, {"balance": 3e-9, "seconds": 7.0}) == 0
    assert count({"balance": 1e-12}, {"balance": 1e-3}) == 1
    assert count({"flux": None}, {"flux": None}) == 0
    assert count({"flux": None}, {"flux": 0.0}) == 1
    assert count({"regime": {"Na": "uphill"}}, {"regime": {"Na": "fickian"}}) == 1
    assert count({"fluxes": [1.0, 2.0]}, {"fluxes": [1.0]}) == 1
    assert count({"flux": 0.0}, {"flux": 0.0}) == 0
    one, other = (written(side, {"flux": {"Na": 1.0, "Cl": small}}) for side, small in (("a", 1e-12), ("b", -1e-12)))
    assert compare_folders(one, other, {"Na", "Cl"}, set(), (1e-6, 0.0))[0].differences


def test_a_word_among_numbers_and_files_that_cannot_be_read_are_told_once(tmp_path: Path):
    """In a plain sentence, of the file that is to blame."""

    def told(name: str, there: str, here: str) -> list[str]:
        for side, text in (("there", there), ("here", here)):
            (tmp_path / side).mkdir(exist_ok=True)
            (tmp_path / side / name).write_text(text)
        (report,) = compare_folders(tmp_path / "there", tmp_path / "here", set(), set(), (1e-6, 0.0))
        for side in ("there", "here"):
            (tmp_path / side / name).unlink()
        return [str(difference) for difference in report.differences]

    table = "x [nm],c\n" + "".join(f"{row},{row / 3}\n" for row in range(30))
    spoilt = table.replace("\n3,1.0\n", "\n3,one\n")
    assert told("a.csv", spoilt, table) == ['a.csv: c has "one" in row 4 there, where the other file has a number']
    assert told("a.csv", table, spoilt) == ['a.csv: c has "one" in row 4 here, where the other file has a number']
    cut = table[: table.index(",1.0\n")]
    assert told("a.csv", cut, table) == ["a.csv: the file there cannot be read: row 4 has 1 cells in place of 2"]
    whole, half = '{\n"flux": 1.0,\n"charge": 2.0}', '{\n"flux": 1.0,\n"cha'
    assert told("a.json", half, whole) == ["a.json: the file there cannot be read: it is no JSON from line 3 on"]
    (now,) = told("a.json", whole, half)
    assert now == "a.json: the file that was written now cannot be read: it is no JSON from line 3 on"
    assert told("a.json", '{"steps": 4, "jacobians": 5, "flux": 1.0}', '{"steps": 7, "flux": 1.0}') == []
    assert told("a.json", '{"flux": "uphill"}', '{"flux": 1.0}') == [
        'a.json: flux has "uphill" there, where the other file has a number'
    ]


@pytest.mark.parametrize("text", ['a "b" \\ c', "µm ²", "line\nbreak\ttab", "\x7f\x01", ""])
def test_what_is_written_as_a_case_file_is_read_as_it_was(text: str):
    tables = {text or "key": {"b c": [1, 2.5, -1e300, True, text, [], {}, {"x": [{"y": 1e-300}]}]}, "inf": math.inf}
    assert tomllib.loads(as_toml(tables)) == tables
