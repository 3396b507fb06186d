"""The demonstration's data: MovieLens ml-latest-small, shipped with its README as its licence allows."""

from dataclasses import dataclass
from pathlib import Path

from fedrec.data.movielens import read_titles
from fedrec.data.opening import read_interactions
from fedrec.data.split import Split, leave_last_out

FOLDER = Path(__file__).parents[2] / "examples" / "ml-latest-small"


@dataclass(frozen=True)
class Films:
    """People's histories, split by time, and the films' titles."""

    split: Split
    titles: list[str]
    """Title of each item."""

    @property
    def number_of_items(self) -> int:
        """Size of the catalogue."""
        return len(self.titles)


def load_films(minimum_ratings: int = 5, participants: int | None = None) -> Films:
    """Read the ratings of films that have enough of them; with `participants`, of the first so many people only.

    Each person's last film is for the test, the second last for validation; popularity and central training
    are measured on the same split.
    """
    interactions = read_interactions(FOLDER / "ratings.csv").with_item_support(minimum_ratings)
    titles = read_titles(FOLDER / "movies.csv")
    histories = [history for history in interactions.histories() if len(history) >= 3]
    return Films(leave_last_out(histories[:participants]), [titles[item] for item in interactions.item_ids])
