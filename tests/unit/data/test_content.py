"""What is known of items, from the files beside the interactions."""

from pathlib import Path

import numpy as np
import pytest

from fedrec.data.content import read_content
from fedrec.data.interactions import DataError
from fedrec.demo.films import FOLDER
from fedrec_recipes.item_content import unpack_content


def flags(*genres: int) -> str:
    return "|".join(str(int(place in genres)) for place in range(19))


FILES = {
    "movies.csv": "movieId,title,genres\n7,Heat (1995),Crime|Drama\n9,Help! (1965),Comedy\n",
    "movies.dat": "7::Heat (1995)::Crime|Drama\n9::Help! (1965)::Comedy\n",
    "u.item": f"7|Heat|1995||http://a|{flags(6, 8)}\n9|Help!|1965||http://b|{flags(5)}\n",
    "ml.item": 'item_id:token\tmovie_title:token_seq\tclass:token_seq\n7\tHeat\tCrime Drama\n9\t"Help!\tComedy\n',
}


@pytest.mark.parametrize("name", FILES)
def test_genres_lie_beside_the_interactions_in_any_of_the_known_formats(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    content = read_content(tmp_path / "ratings.csv", ["9", "12", "7"])
    assert content.features == ("Comedy", "Crime", "Drama")
    np.testing.assert_array_equal(content.bits, [[True, False, False], [False] * 3, [False, True, True]])


def test_without_such_a_file_nothing_is_known(tmp_path: Path) -> None:
    content = read_content(tmp_path, ["9", "12"])
    assert content.bits.shape == (2, 0)
    assert content.as_config() == {"number_of_features": 0, "content": ""}


def test_a_file_without_genres_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.item").write_text("item_id:token\tname:token_seq\n7\tHeat\n")
    with pytest.raises(DataError, match="class"):
        read_content(tmp_path, ["7"])


def test_a_recipes_configuration_carries_the_genres_of_the_shipped_films() -> None:
    items = [str(film) for film in (1, 2, 3)]
    content = read_content(FOLDER, items)
    config = content.as_config()
    bits = unpack_content(str(config["content"]), 3, len(content.features))
    toy_story = {feature for feature, has in zip(content.features, bits[0], strict=True) if has}
    assert toy_story == {"Adventure", "Animation", "Children", "Comedy", "Fantasy"}
