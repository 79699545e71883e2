"""Frames: what was written comes back, what is torn is passed over, what is damaged is an error."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.prediction_log import DamagedLogError, PredictionRecord
from monitoring.prediction_log.frames import encode, read_items
from tests.prediction_records import expected, record, records, shown


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def ids(path: Path) -> list[str]:
    return [each.id for each in read_items(path, PredictionRecord)]


@given(given=st.lists(records(), max_size=4))
@settings(deadline=None)
def test_records_come_back_as_they_were(
    given: list[PredictionRecord], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    written(path, b"".join(map(encode, given)))
    back = list(read_items(path, PredictionRecord))
    rows = [row for each in given for row in expected(each)]
    assert shown(row for each in back for row in expected(each)) == shown(rows)
    for one, other in zip(given, back, strict=True):
        for name, column in one.features.items():
            assert getattr(column, "dtype", None) == getattr(other.features[name], "dtype", None)


def test_a_torn_last_frame_is_passed_over_wherever_it_is_cut(tmp_path: Path) -> None:
    whole, torn = encode(record("whole")), encode(record("torn"))
    for cut in range(len(torn)):
        assert ids(written(tmp_path / "x.log", whole + torn[:cut])) == ["whole"]
    assert ids(written(tmp_path / "x.log", whole + torn)) == ["whole", "torn"]


def test_zeros_at_the_end_are_a_power_failure_and_not_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "x.log", encode(record("whole")) + bytes(5000))
    assert ids(path) == ["whole"]
    written(path, path.read_bytes() + b"x")
    with pytest.raises(DamagedLogError):
        ids(path)


def test_any_damaged_byte_is_an_error_with_its_place_and_never_a_missing_row(
    tmp_path: Path,
) -> None:
    first, second, third = (encode(record(name)) for name in "abc")
    for at in range(len(second)):
        damaged = bytearray(second)
        damaged[at] ^= 0x41
        path = written(tmp_path / "x.log", first + damaged + third)
        with pytest.raises(DamagedLogError, match=f"x.log: damaged at byte {len(first)}"):
            ids(path)


def test_a_frame_of_another_kind_is_named_too(tmp_path: Path) -> None:
    path = written(tmp_path / "x.log", encode({"not": "a record"}))
    with pytest.raises(DamagedLogError, match="of another kind"):
        ids(path)


def test_numpys_scalars_and_texts_are_plain_values(tmp_path: Path) -> None:
    features = {"a": [np.float32(0.5)], "b": np.array(["x"], object), "c": np.array(["y"])}
    path = written(tmp_path / "x.log", encode(record("a", features=features)))
    (back,) = read_items(path, PredictionRecord)
    assert back.features == {"a": [0.5], "b": ["x"], "c": ["y"]}


def test_what_cannot_be_kept_is_named() -> None:
    with pytest.raises(TypeError, match="cannot keep a PosixPath"):
        encode(record("a", features={"a": [Path()]}))


def test_nothing_that_could_run_code_is_unpacked(tmp_path: Path) -> None:
    alien = msgspec.msgpack.Ext(99, b"anything")
    path = written(tmp_path / "x.log", encode(record("a", features={"a": [alien]})))
    with pytest.raises(DamagedLogError, match="extension 99"):
        ids(path)
