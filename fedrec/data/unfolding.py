"""Rows of one interaction each, out of lines that hold something else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fedrec.data.layout import WHITESPACE, Layout, Shape, cells_of

NAMES: Mapping[Shape, tuple[str, ...]] = {
    Shape.SEQUENCES: ("user", "item"),
    Shape.COUNTED: ("user", "item"),
    Shape.GROUPED: ("item", "user", "rating", "date"),
    Shape.IMPRESSIONS: ("user", "item", "time"),
}
"""Columns of the rows that `rows_of` makes; a table has its own."""


def rows_of(lines: Iterable[str], layout: Layout) -> Iterator[Sequence[str]]:
    """The rows of a file, each a list of cells."""
    unfold = _UNFOLDING.get(layout.shape)
    return cells_of(lines, layout) if unfold is None else unfold(lines, layout)


def _sequences(lines: Iterable[str], layout: Layout) -> Iterator[Sequence[str]]:
    for words in _words_of(lines, layout):
        yield from ((words[0], item.strip()) for item in words[1:])


def _counted(lines: Iterable[str], layout: Layout) -> Iterator[Sequence[str]]:
    """Users are called by the numbers of their lines, from 1."""
    for number, words in enumerate(_words_of(lines, layout), 1):
        yield from ((str(number), item.strip()) for item in words[1:])


def _words_of(lines: Iterable[str], layout: Layout) -> Iterator[list[str]]:
    delimiter = None if layout.delimiter == WHITESPACE else layout.delimiter
    return (line.split(delimiter) for line in lines)


def _grouped(lines: Iterable[str], layout: Layout) -> Iterator[Sequence[str]]:
    item = ""
    for line in lines:
        text = line.rstrip("\r\n")
        if text.endswith(":"):
            item = text[:-1]
        else:
            yield (item, *text.split(layout.delimiter))


def _impressions(lines: Iterable[str], layout: Layout) -> Iterator[Sequence[str]]:
    """What was chosen before, and then what was chosen of what was shown, at the time of the line.

    What was chosen before comes again with every line of a user, and counts at the first time.
    """
    for line in lines:
        _, user, time, before, shown = line.rstrip("\r\n").split(layout.delimiter)
        yield from ((user, item, time) for item in before.split())
        yield from ((user, item.removesuffix("-1"), time) for item in shown.split() if item.endswith("-1"))


_UNFOLDING: Mapping[Shape, Callable[[Iterable[str], Layout], Iterator[Sequence[str]]]] = {
    Shape.SEQUENCES: _sequences,
    Shape.COUNTED: _counted,
    Shape.GROUPED: _grouped,
    Shape.IMPRESSIONS: _impressions,
}
