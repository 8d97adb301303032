"""The folder of a sweep: nothing that counts is lost, nothing that is torn counts, nothing of others is touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import dimensionless_case

from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.studies.sweeps.plan import Plan, plan_of
from pnp_exclusion.studies.sweeps.record import line_of
from pnp_exclusion.studies.sweeps.store import Part, Store


def plan(count: int = 6, **tables: object) -> Plan:
    axis = {"key": "species.A.field", "from": 0.0, "to": 5.0, "count": count}
    return plan_of(make_case(dimensionless_case() | {"sweep": {"axes": [axis]}} | tables))


def record(index: int, **more: object) -> dict:
    return {"index": index, "at": {"A_field": float(index)}, "converged": True, **more}


def opened(folder: Path, part: Part = Part(), **options: bool) -> Store:  # noqa: B008
    store = Store(folder, plan(), part)
    store.open(**options)
    return store


def test_records_come_back_in_the_order_of_the_points(tmp_path: Path):
    store = opened(tmp_path)
    assert store.append([record(4), record(2, force=float("nan"))]) == 2
    assert store.append([record(2), record(0)]) == 1
    assert [found["index"] for found in store.records()] == [0, 2, 4]
    assert [found.get("force", 0) for found in store.records()] == [0, None, 0]
    store.finish()
    assert [json.loads(line)["index"] for line in (tmp_path / "points.jsonl").open()] == [0, 2, 4]
    store.append([record(1)])
    assert [found["index"] for found in store.records()] == [0, 1, 2, 4]
    store.close()


def test_line_is_on_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synchronised: list[int] = []
    store = opened(tmp_path)
    size = lambda number: synchronised.append((tmp_path / "points.jsonl").stat().st_size)  # noqa: E731
    monkeypatch.setattr("os.fsync", size)
    store.append([record(1)])
    assert synchronised == [len((tmp_path / "points.jsonl").read_bytes())] != [0]
    store.close()


@pytest.mark.parametrize("torn", [b'{"index":3,"conv', b'{"index":3,"at":{},"converged":true}', b"\x00" * 40])
def test_torn_line_is_dropped_and_what_follows_is_whole(tmp_path: Path, torn: bytes):
    store = opened(tmp_path)
    store.append([record(0), record(1)])
    store.close()
    with (tmp_path / "points.jsonl").open("ab") as stream:
        stream.write(torn)
    store = opened(tmp_path)
    assert np.flatnonzero(store.done).tolist() == [0, 1]
    store.append([record(3)])
    store.close()
    assert [json.loads(line)["index"] for line in (tmp_path / "points.jsonl").open()] == [0, 1, 3]


def line(index: object, fingerprint: str = "", **more: object) -> bytes:
    return line_of({"index": index, "at": {}, "converged": True, **more}, fingerprint or plan().fingerprint).encode()


NO_RECORDS = {
    "zeros": b"\x00\x00\n",
    "a list": b"[1]\n",
    "an empty table": b"{}\n",
    "brackets without end": b"[" * 100_000 + b"\n",
    "no such point": line(99),
    "no number of a point": line("a"),
    "no checksum": json.dumps(record(4)).encode() + b"\n",
    "a digit changed": line(4, force=1.25).replace(b"1.25", b"1.26"),
    "of another plan": line(4, plan(7).fingerprint),
}


@pytest.mark.parametrize("name", NO_RECORDS)
def test_line_that_is_no_record_of_the_plan_does_not_count_and_goes_at_the_end(tmp_path: Path, name: str):
    opened(tmp_path).close()
    (tmp_path / "points.jsonl").write_bytes(NO_RECORDS[name] + line(5))
    store = opened(tmp_path)
    assert np.flatnonzero(store.done).tolist() == [5]
    assert store.dropped == 1
    store.append([record(4)])
    store.finish()
    store.close()
    assert [json.loads(kept)["index"] for kept in (tmp_path / "points.jsonl").open()] == [4, 5]


def test_folder_of_another_sweep_is_refused_and_kept(tmp_path: Path):
    store = opened(tmp_path)
    store.append([record(0)])
    store.close()
    other = Store(tmp_path, plan(7))
    with pytest.raises(UsageError, match="holds another sweep: its plan or its case differs from this one"):
        other.open()
    assert len((tmp_path / "points.jsonl").read_text().splitlines()) == 1
    other.open(overwrite=True)
    assert not other.done.any()
    other.close()


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json"])
def test_plan_that_cannot_be_read_is_another_one(tmp_path: Path, content: str):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(UsageError, match="holds another sweep"):
        opened(tmp_path)


def test_folder_with_other_results_is_refused_and_never_emptied(tmp_path: Path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(UsageError, match=r"holds other results \(summary.json\), which are kept"):
        opened(tmp_path)
    opened(tmp_path, overwrite=True).close()
    assert (tmp_path / "summary.json").exists()
    with pytest.raises(UsageError, match="is a file; -o names a folder"):
        opened(tmp_path / "summary.json")


def test_folder_that_cannot_be_made_is_the_disks_fault():
    with pytest.raises(DiskError, match="cannot write to /proc/sweep"):
        opened(Path("/proc/sweep"))


def test_two_at_a_time_are_refused_but_parts_go_together(tmp_path: Path):
    first = opened(tmp_path, Part(0, 2))
    second = opened(tmp_path, Part(1, 2))
    for part in (Part(1, 2), Part()):
        with pytest.raises(UsageError, match=r"another process is at this sweep: it writes .*points-"):
            opened(tmp_path, part)
    first.append([record(3)])
    second.append([record(1)])
    first.close()
    second.close()
    whole = opened(tmp_path)
    assert np.flatnonzero(whole.done).tolist() == [1, 3]
    assert not whole.complete
    whole.append([record(index) for index in range(6)])
    whole.finish()
    assert whole.complete
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "points.jsonl"]
    whole.close()


def test_failed_points_are_forgotten_on_demand(tmp_path: Path):
    store = opened(tmp_path)
    store.append([record(0), {"index": 1, "at": {}, "converged": False, "reason": "no"}])
    assert store.failed.tolist() == [False, True, False, False, False, False]
    store.forget_failed()
    assert np.flatnonzero(store.done).tolist() == [0]
    assert not store.failed.any()
    store.close()


def test_unfinished_file_takes_no_place(tmp_path: Path):
    store = opened(tmp_path)
    (tmp_path / "sweep.nc").write_text("earlier")
    with pytest.raises(DiskError, match="No space left"):
        _fill(store)
    assert (tmp_path / "sweep.nc").read_text() == "earlier"
    assert not list(tmp_path.glob(".*"))
    store.close()


def _fill(store: Store) -> None:
    with store.on_disk(), store.replacing("sweep.nc") as path:
        path.write_text("half")
        raise OSError(28, "No space left on device")
