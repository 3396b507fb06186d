"""Interactions are found by what a file is called and what its header says."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fedrec.data.interactions import DataError
from fedrec.data.opening import read_interactions

FILES = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.0,5\n1,20,3.0,6\n2,10,5.0,7\n",
    "ratings.dat": "1::10::4::5\n1::20::3::6\n2::10::5::7\n",
    "u.data": "1\t10\t4\t5\n1\t20\t3\t6\n2\t10\t5\t7\n",
    "some.inter": "user_id:token\titem_id:token\ttimestamp:float\n1\t10\t5\n1\t20\t6\n2\t10\t7\n",
    "some.sequences.txt": "1 10 20\n2 10\n",
    "interactions.csv": "user,item,time\n1,10,5\n1,20,6\n2,10,7\n",
    "interactions.tsv": "uid\tasin\tTimestamp\n1\t10\t5\n1\t20\t6\n2\t10\t7\n\n",
    "interactions.dat": "1,10,4,5\n1,20,3,6\n2,10,5,7\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_and_the_folder_that_holds_it_are_read_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    for place in (path, tmp_path):
        interactions = read_interactions(place)
        assert interactions.user_ids == ("1", "2")
        assert interactions.item_ids == ("10", "20")
        assert [history.items.tolist() for history in interactions.histories()] == [[0, 1], [0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_what_is_between_the_columns(tmp_path: Path, delimiter: str) -> None:
    rows = [("User ID", "Item ID", "Event Time"), ("ann", '"Heat, Ran; or | Alien"', "5"), ("ann", "b", "4")]
    path = tmp_path / "mine.csv"
    path.write_text("\r\n".join(delimiter.join(row) for row in rows))
    interactions = read_interactions(path)
    assert interactions.item_ids == ("Heat, Ran; or | Alien", "b")
    assert interactions.histories()[0].items.tolist() == [1, 0]


def test_dates_are_seconds_of_utc(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item,date\n1,a,1970-01-02\n1,b,1970-01-01T01:00:00+01:00\n1,c,1970-01-01 00:00:01.5Z\n")
    times = read_interactions(path).times
    assert times is not None
    assert times.tolist() == [86_400.0, 0.0, 1.5]


@pytest.mark.parametrize("name", ["interactions.csv", "ratings.dat", "u.data", "some.sequences.txt"])
def test_gzipped_text_is_read_as_it_is_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(FILES[name].encode()))
    plain, packed = (read_interactions(tmp_path / each) for each in (name, f"{name}.gz"))
    assert [each.items.tolist() for each in packed.histories()] == [each.items.tolist() for each in plain.histories()]
    assert packed.item_ids == plain.item_ids


def test_an_empty_line_between_sequences_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("1 10 20\n\n2 10\n")
    assert read_interactions(path).user_ids == ("1", "2")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("mine.csv", b"", "no column for the user and the item"),
        ("mine.csv", b"user,item,time\n", "no interactions"),
        ("mine.csv", b"user,item,time\n1,a\n", "line 2: 2 columns, at least 3"),
        ("mine.csv", b"user,item,time\n1,a,5\n1,b,soon\n", "line 3: the time 'soon' is not"),
        ("mine.csv", b"user,item\n1,a\0\n", "not a file of text"),
        ("mine.csv.gz", b"user,item\n1,a\n", "[Nn]ot a gzipped file"),
        ("mine.csv.gz", gzip.compress(b"user,item\n1,a\n", mtime=0)[:-9], "ended before"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint) as refused:
        read_interactions(path)
    assert str(path) in str(refused.value)


def test_a_csv_without_times_keeps_the_order_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item\n1,b\n1,a\n")
    assert read_interactions(path).times is None


@pytest.mark.parametrize(("name", "complaint"), [("", "none of ratings.csv"), ("x.csv", "no such"), ("x.zip", "not a")])
def test_what_cannot_be_read_is_explained(tmp_path: Path, name: str, complaint: str) -> None:
    if name == "x.zip":
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=complaint):
        read_interactions(tmp_path / name if name else tmp_path)


@pytest.mark.parametrize(
    ("header", "complaint"), [("x,item,y", "no column for the user"), ("user,item_id,itemId", "item_id, itemId")]
)
def test_columns_that_cannot_be_told_apart_are_named(tmp_path: Path, header: str, complaint: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(header + "\n1,2,3\n")
    with pytest.raises(DataError, match=complaint):
        read_interactions(path)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item\n1,b\n", encoding="utf-8-sig")
    assert read_interactions(path).user_ids == ("1",)


def test_a_parquet_file_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"user_id": ["a", "a"], "item_id": [7, 8], "timestamp": [2, 1]}), path)
    (history,) = read_interactions(path).histories()
    assert history.items.tolist() == [1, 0]


def test_times_of_parquet_are_seconds_in_whatever_unit_they_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    for unit, per_second in (("s", 1), ("ms", 1000), ("ns", 10**9)):
        times = pa.array([3 * per_second, 2 * per_second], pa.timestamp(unit))
        parquet.write_table(pa.table({"user": ["a", "a"], "item": [7, 8], "time": times}), path)
        read = read_interactions(path).times
        assert read is not None
        assert read.tolist() == [3.0, 2.0]


def test_a_parquet_row_without_a_value_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"user": ["a", None], "item": [7, 8]}), path)
    found = read_interactions(path)
    assert found.item_ids == ("7",)
    assert found.remarks[-1] == "1 rows without a value were left out."


def test_a_file_that_only_claims_to_be_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"user,item")
    with pytest.raises(DataError, match=r"mine\.parquet"):
        read_interactions(path)
