"""Data sets as strangers have them: what is in them is found and said, or refused with the option that helps."""

import bz2
import gzip
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fedrec.data.choice import ColumnChoice
from fedrec.data.interactions import DataError, Interactions
from fedrec.data.opening import read_interactions

WANTED = {"ann": ["Heat", "Ran", "Alien"], "bob": ["Ran", "Heat"]}
"""Who chose what, in the order of time; the sources below have Alien before Ran."""

ROWS = [("ann", "Heat", 1), ("ann", "Alien", 3), ("ann", "Ran", 2), ("bob", "Ran", 1), ("bob", "Heat", 2)]
MAY = 1_430_000_000
"""Seconds since the epoch, on 25 April 2015."""


def chosen(interactions: Interactions) -> dict[str, list[str]]:
    names = interactions.item_ids
    histories = interactions.histories()
    return {
        user: [names[item] for item in history.items]
        for user, history in zip(interactions.user_ids, histories, strict=True)
    }


def lines(header: str, row: str) -> str:
    """A table of `ROWS`; times as seconds (`{s}`), milliseconds (`{ms}`) and days of May (`{day}`)."""
    body = [row.format(user=u, item=i, s=MAY + t, ms=1000 * (MAY + t), day=t + 12) for u, i, t in ROWS]
    return "\n".join([header, *body] if header else body) + "\n"


SHAPES = {
    "shop.csv": lines("customer;product;when", "{user};{item};2015-05-{day}"),
    "amazon.csv": lines("reviewerID,asin,overall,unixReviewTime", "{user},{item},5.0,{s}"),
    "amazon2023.csv": lines("rating,title,parent_asin,user_id,timestamp", '4.0,"Yes, fine",{item},{user},{ms}'),
    "ratings_Books.csv": lines("", "{user},{item},5.0,{s}"),
    "recbole.inter": lines("user_id:token\titem_id:token\ttimestamp:float", "{user}\t{item}\t{s}.0"),
    "retailrocket.csv": lines("timestamp,visitorid,event,itemid,transactionid", "{ms},{user},view,{item},"),
    "yoochoose-clicks.dat": lines("", "{user},2014-04-{day}T10:51:09.277Z,{item},0"),
    "h-and-m.csv": lines("t_dat,customer_id,article_id,price", "2019-05-{day},{user},{item},0.05"),
    "goodreads.csv": lines("user_id,book_id,rating,date_added", "{user},{item},0,Fri May {day} 09:08:21 -0700 2017"),
    "foursquare.txt": lines(
        "", "{user}\t{item}\t4bf58\tArt, Crafts\t40.7\t-74.0\t-240\tThu Apr {day} 18:00:09 +0000 2012"
    ),
    "gowalla-checkins.txt": lines("", "{user}\t2010-10-{day}T23:55:27Z\t30.2\t-97.7\t{item}"),
    "online-retail.csv": lines("InvoiceNo,StockCode,InvoiceDate,CustomerID", "A,{item},5/{day}/2011 8:26,{user}"),
    "rees46.csv": lines("event_time,event_type,product_id,user_id", "2019-10-{day} 00:00:00 UTC,view,{item},{user}"),
    "bars.psv": lines("User Name|Movie Title|Rated At", "{user}|{item}|2015-05-{day} 10:00:00+02:00"),
    "dots.dat": lines("", "{user}::{item}::5::{s}"),
    "epinions.tab": lines("user\titems\tdate", "{user}\t{item}\t2015-05-{day}"),
    "blanks.txt": lines("user item ts", "{user} {item} {s}"),
    "diginetica.csv": lines("sessionId;userId;itemId;timeframe;eventdate", "{user};NA;{item};7;2016-05-{day}"),
    "hetrec.dat": lines("userID\tartistID\tweight\ttimestamp", "{user}\t{item}\t13\t{ms}"),
    "indexed.csv": lines(",user,item,time", "7,{user},{item},{s}"),
    "strange.csv": lines("alpha,beta,gamma", "{user},{item},2015-05-{day}T00:00:00Z"),
    "german.csv": lines("Kunde;product;date", "{user};{item};{day}.05.2015"),
    "mind.inter": lines("user_id:token\titem_id:token\tlabel:float\ttimestamp:float", "{user}\t{item}\t1.0\t{s}"),
    "steam.json": lines("", '{{"user_id": "{user}", "app_id": "{item}", "date": "2015-05-{day}", "early": {{}}}}'),
    "objects.txt": lines("", '{{"user": "{user}", "item": "{item}", "when": {s}}}'),
    "old-steam.jsonl": lines("", "{{u'username': u'{user}', 'product_id': u'{item}', 'date': u'2015-05-{day}'}}"),
    "lists.jsonl": '{"user_id": "ann", "items": ["Heat", "Ran", "Alien"], "tags": ["a"]}\n'
    '{"user_id": "bob", "items": ["Ran", "Heat"]}\n{"user_id": "cat", "items": []}\n',
    "histories.json": '{"ann": ["Heat", "Ran", "Alien"], "bob": ["Ran", "Heat"]}',
    "history.jsonl": '{"user_id": "ann", "history": ["Heat", "Ran", "Alien"]}\n'
    '{"user_id": "bob", "history": ["Ran", "Heat"]}\n',
    "timed.jsonl": '{"userId": "ann", "itemIds": ["Alien", "Heat", "Ran"], "timestamps": [9, 4, 6]}\n'
    '{"userId": "bob", "itemIds": ["Heat", "Ran"], "timestamps": [8, 7]}\n',
    "otto.jsonl": '{"session": "ann", "events": [{"aid": "Alien", "ts": 9}, {"aid": "Heat", "ts": 4}, '
    '{"aid": "Ran", "ts": 6}]}\n{"session": "bob", "events": [{"aid": "Ran", "ts": 7}, {"aid": "Heat", "ts": 8}]}\n',
    "kuairand.csv": lines("user_id,video_id,date,hourmin,time_ms,is_click", "{user},{item},20220421,900,{ms},1"),
    "days.csv": lines("user,item,date", "{user},{item},201505{day}"),
    "sequences.txt": "ann Heat Ran Alien\nbob Ran Heat\n",
    "commas.txt": "ann,Heat,Ran,Alien\nbob,Ran,Heat\n",
    "news.tsv": "1\tann\t5/14/2019 8:00:00 AM\tHeat Ran\tAlien-1 Up-0\n"
    "2\tbob\t5/13/2019 8:00:00 PM\t\tUp-0 Ran-1\n3\tann\t5/13/2019 8:00:00 PM\tHeat Ran\tUp-0\n"
    "4\tbob\t5/14/2019 8:00:00 AM\tRan\tHeat-1\n",
    "netflix.txt": "1:\nann,3,2005-09-01\nbob,4,2005-09-02\n2:\nann,5,2005-09-02\nbob,1,2005-09-01\n"
    "3:\nann,4,2005-09-03\n",
}


@pytest.mark.parametrize("name", SHAPES)
def test_who_chose_what_and_when_is_found_whatever_the_shape(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SHAPES[name])
    films = {"1": "Heat", "2": "Ran", "3": "Alien"} if name == "netflix.txt" else {}
    found = {user: [films.get(item, item) for item in items] for user, items in chosen(read_interactions(path)).items()}
    assert found == WANTED


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed_text_is_found_by_the_name_within(tmp_path: Path, ending: str, pack: type) -> None:
    path = tmp_path / f"steam.json{ending}"
    path.write_bytes(pack(SHAPES["steam.json"].encode()))
    assert chosen(read_interactions(path)) == WANTED


def test_a_list_beside_a_single_item_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "reviews.json"
    path.write_text(
        '{"user": "ann", "item": "Heat", "movies": ["x", "y"]}\n{"user": "ann", "item": "Ran", "movies": []}\n'
    )
    assert read_interactions(path).item_ids == ("Heat", "Ran")


def test_an_array_of_objects_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([{"visitor": u, "video_id": i, "watched_at": t} for u, i, t in ROWS], indent=1))
    assert chosen(read_interactions(path)) == WANTED


def test_parquet_is_found_by_name_and_by_content(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    users, items, times = [row[0] for row in ROWS], [row[1] for row in ROWS], [MAY + row[2] for row in ROWS]
    columns = {"a": users, "b": items, "c": pa.array(times, pa.timestamp("s")), "d": [[1]] * 5}
    parquet.write_table(pa.table(columns), path)
    assert chosen(read_interactions(path)) == WANTED


def test_lists_in_parquet_are_histories(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    events = [{"item": "Heat", "when": 4}, {"item": "Alien", "when": 9}, {"item": "Ran", "when": 6}]
    for columns in (
        {"user": list(WANTED), "items": list(WANTED.values())},
        {"user": list(WANTED), "events": [events, [{"item": "Ran", "when": 7}, {"item": "Heat", "when": 8}]]},
    ):
        parquet.write_table(pa.table(columns), path)
        assert chosen(read_interactions(path)) == WANTED


def test_a_folder_that_holds_nothing_but_a_folder_is_that_one(tmp_path: Path) -> None:
    (tmp_path / "data" / "ml-1m").mkdir(parents=True)
    (tmp_path / "data" / "ml-1m" / "ratings.dat").write_text(SHAPES["dots.dat"])
    assert chosen(read_interactions(tmp_path)) == WANTED


def test_how_often_is_not_when(tmp_path: Path) -> None:
    path = tmp_path / "usersha1-artmbid-artname-plays.tsv"
    path.write_text("a\tx\tthe x\t2137\na\ty\ty & z\t1099\nb\tx\tthe x\t12\nb\ty\ty & z\t897\n")
    assert read_interactions(path).times is None


def test_of_many_files_that_with_users_and_items_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "shop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("category_tree.csv", "categoryid,parentid\n1,2\n")
        archive.writestr("events.csv", SHAPES["retailrocket.csv"])
        archive.writestr("item_properties.csv", "timestamp,itemid,property\n1435460400000,7,size\n")
    found = read_interactions(path)
    assert chosen(found) == WANTED
    assert found.remarks[0].startswith(f"{path}/events.csv: users from 'visitorid'")


def test_a_tar_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "plays.tsv").write_text(lines("user\titem\ttime", "{user}\t{item}\t{s}"))
    path = tmp_path / "lastfm.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "plays.tsv", "lastfm/plays.tsv")
    assert chosen(read_interactions(path)) == WANTED


def test_an_archive_is_read_as_the_folder_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ml-20m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-20m/ratings.csv", lines("userId,movieId,rating,timestamp", "{user},{item},3.5,{s}"))
        archive.writestr("ml-20m/tags.csv", "userId,movieId,tag,timestamp\n")
        archive.writestr("ml-20m/README.txt", "terms")
    assert chosen(read_interactions(path)) == WANTED


def test_what_was_set_aside_to_test_comes_after_what_was_to_train(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 5 7\n1 7\n")
    (tmp_path / "test.txt").write_text("0 9\n1 5\n")
    (tmp_path / "README.txt").write_text("user item item")
    found = read_interactions(tmp_path)
    assert chosen(found) == {"0": ["5", "7", "9"], "1": ["7", "5"]}
    assert ["train.txt" in found.remarks[0], "test.txt" in found.remarks[1]] == [True, True]


def test_of_several_files_one_has_to_be_given(tmp_path: Path) -> None:
    for name in ("Beauty.txt", "LastFM.txt"):
        (tmp_path / name).write_text("0 5 7\n")
    with pytest.raises(DataError, match=r"Beauty\.txt, LastFM\.txt; give one"):
        read_interactions(tmp_path)


def test_what_was_taken_for_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(lines("alpha,beta,rating,ms", "{user},{item},5,{ms}"))
    told = " ".join(read_interactions(path).remarks)
    assert "users from 'alpha' by its content, items from 'beta' by its content" in told
    assert "times from 'ms' by its content (milliseconds, 2015-04-25 to 2015-04-25)" in told
    assert "Any rating in 'rating' is an interaction: --at-least" in told


def test_columns_are_chosen_by_name_or_by_number(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(lines("alpha,beta,gamma,delta", "{s},x,{item},{user}"))
    for choice in (ColumnChoice(user="delta", item="gamma", time="alpha"), ColumnChoice("4", "3", "1")):
        assert chosen(read_interactions(path, choice)) == WANTED


@pytest.mark.parametrize(
    ("text", "choice", "complaint"),
    [
        ("a,b,c\nx,y,z\nx,w,z\n", ColumnChoice(), "no column for the user and the item.*--user NAME --item NAME"),
        ("user,b,c\nx,y,z\n", ColumnChoice(), "no column for the item: the columns are user, b, c; say.*--item NAME"),
        ("user,item\nx,y\n", ColumnChoice(time="when"), "no column 'when': the columns are user, item"),
        ("user,item\nx,y\n", ColumnChoice(at_least=4), "--rating NAME"),
        ("user,item,rating\nx,y,good\n", ColumnChoice(at_least=4), "line 2: the rating 'good' is not a number"),
        ("user,item,date\nx,y,3/4/2024\nx,z,5/6/2024\n", ColumnChoice(), "--time-format '%d/%m/%Y'"),
        ("user,item,date\nx,y,1:2024\n", ColumnChoice(), "line 2: the time '1:2024'.*--time-format"),
        ("user,item,date\nx,y,1:24\n", ColumnChoice(time_format="%d-%y"), "not a date like %d-%y"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_option_that_helps(
    tmp_path: Path, text: str, choice: ColumnChoice, complaint: str
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_interactions(path, choice)


def test_one_day_tells_how_all_dates_are_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item,date\nx,a,3/4/2024\nx,b,5/2/2024\nx,c,13/1/2024\n")
    assert chosen(read_interactions(path)) == {"x": ["c", "b", "a"]}
    path.write_text("user,item,date\nx,a,3/4/2024\nx,b,5/2/2024\n")
    assert chosen(read_interactions(path, ColumnChoice(time_format="%m/%d/%Y"))) == {"x": ["a", "b"]}


def test_low_ratings_are_left_out_where_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item,Book-Rating\nx,a,5\nx,b,\nx,c,3.5\nx,d,4\n")
    assert chosen(read_interactions(path)) == {"x": ["a", "b", "c", "d"]}
    found = read_interactions(path, ColumnChoice(at_least=4))
    assert chosen(found) == {"x": ["a", "d"]}
    assert "2 rows with a rating below 4 were left out." in found.remarks


def test_what_was_only_shown_is_no_interaction(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item,click\nx,a,1\nx,b,0\ny,b,1\n")
    found = read_interactions(path)
    assert chosen(found) == {"x": ["a"], "y": ["b"]}
    assert any("with 0 in 'click'" in remark for remark in found.remarks)


def test_rows_without_a_value_are_nobodys_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("user,item,time\nx,a,1\n,a,2\nx,NaN,3\nx,b,\n\nx,c,0\n")
    found = read_interactions(path)
    assert chosen(found) == {"x": ["c", "a"]}
    assert "3 rows without a value were left out." in found.remarks


def test_lines_that_begin_with_the_number_of_their_items_are_a_user_each(tmp_path: Path) -> None:
    path = tmp_path / "users.dat"
    path.write_text("3 7 8 9\n2 8 7\n2 9 8\n")
    assert chosen(read_interactions(path)) == {"1": ["7", "8", "9"], "2": ["8", "7"], "3": ["9", "8"]}
    path.write_text("3 7 8 9\n2 8 7\n1 9 8\n")
    assert chosen(read_interactions(path)) == {"3": ["7", "8", "9"], "2": ["8", "7"], "1": ["9", "8"]}


def test_a_column_that_is_always_the_same_is_no_rating(tmp_path: Path) -> None:
    path = tmp_path / "steam-200k.csv"
    path.write_text("".join(f"{hours % 3},game {hours},play,{hours + 0.5},0\n" for hours in range(30)))
    with pytest.raises(DataError, match="no column for the rating"):
        read_interactions(path, ColumnChoice(at_least=1))


def test_text_that_is_not_unicode_is_read_as_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(b"user,item\n1,Am\xe9lie\n1,b\n")
    assert chosen(read_interactions(path)) == {"1": ["Amélie", "b"]}
    path.write_text("user,item\n1,Amélie\n1,漫画\n", encoding="utf-16")
    assert chosen(read_interactions(path)) == {"1": ["Amélie", "漫画"]}


def test_a_quotation_mark_in_a_name_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text('user\tartist\nx\t"Weird Al" Yankovic\nx\t"broken\nx\tb\n')
    assert chosen(read_interactions(path)) == {"x": ['"Weird Al" Yankovic', '"broken', "b"]}


def test_the_older_ratings_of_amazon_begin_with_the_product(tmp_path: Path) -> None:
    path = tmp_path / "Video_Games.csv"
    path.write_text("0439381673,A21ROB4YDOZA5P,1.0,1402272000\n0700026657,A3TNZ2Q5E7HTHD,3.0,1399680000\n")
    assert chosen(read_interactions(path)) == {"A21ROB4YDOZA5P": ["0439381673"], "A3TNZ2Q5E7HTHD": ["0700026657"]}
