"""The results as a page."""

from collections.abc import Sequence

from benchmarks.quality.entries import TABLES
from benchmarks.quality.paired import Difference, paired
from benchmarks.quality.rows import Interval, Row
from benchmarks.quality.run import CENTRAL

_HEADER = """# Results

Made by `./run results --data FOLDER`, and never by hand: rows are kept in `docs/results.json`, which the command adds
to. FOLDER holds the data sets in folders of their own; `fedrec_recipes`' shipped defaults are used throughout, but for
what a model's name says.

- **Ranking** is full: all items that the person has not seen compete, ties count against the model. `99 neg.` is the
  older protocol with published sampled negatives, for comparison with papers; it can reverse an order.
- **Fit**: `train` leaves out the validation item (which is in the history that is scored from: it is known by then);
  `train + validation` is a refit after every choice was made on validation.
- **Intervals** are 95% bootstrap intervals over people; **+-** is the standard deviation of NDCG over seeds.
- **Federated** rows come from the simulator, which publishes the bits that the services publish over HTTP
  (`tests/integration/test_simulator_equals_http.py`). Linear recipes equal
  central training exactly, or to rounding where sums are not of whole numbers; EASE shows it.
- **Central** rows train the same recipe with the data in one place, from the same first parameters.
- **Test items** were looked at more than once while the linear recipes were developed; choices were made on validation.
  Seconds are of one run on a shared machine of two cores, and say little.
- **Older rows**: that of `blend` on Amazon Instant Video was made before
  [ADR 0013](adr/0013-devices-choose-the-regularisation-too.md).
- **Up** and **down** are the bytes of one person over all rounds. Everybody takes part in every round, but for `sasrec`
  on MovieLens-1M: 128 people do, bytes are a person's on average, the version is the best by validation items, and
  there is one seed.
- **Combined** rows count the members' tasks and the round in which devices choose weights by the validation item. A
  refit trains the members once more with that item, in as many rounds, and takes these weights: its bytes are of both.
  Their seconds are without the members that were kept; on MovieLens-1M that is `sasrec` alone.
- **Gowalla**: the split is called random, and is by time: the latest fifth of each history tests, its author says
  ([why that matters](measurements.md#gowalla)).
"""
_COLUMNS = [
    *("model", "how", "fit", "+-", "99 neg. HR/NDCG"),
    *("coverage", "rounds", "MB up", "MB down", "epsilon", "s"),
]


def page(rows: Sequence[Row], probes: dict[str, float]) -> str:
    """Markdown: a table for each data set, and the probe for leaks."""
    parts = [_HEADER]
    for table in TABLES:
        places = {entry.model: place for place, entry in reversed(list(enumerate(table.entries)))}
        own = sorted(
            (row for row in rows if row.slug == table.slug and row.model in places),
            key=lambda row: (places[row.model], row.how == CENTRAL),
        )
        if own:
            parts.append(f"## {own[0].data}\n\nProtocol: {table.protocol}.\n\n{_table(own, table.metrics)}\n")
    pairs = [pair for table in TABLES for pair in paired([row for row in rows if row.slug == table.slug])]
    if pairs:
        parts.append(_against_central(pairs))
    if probes:
        parts.append(_probes(probes))
    return "\n".join(parts)


def _table(rows: Sequence[Row], metrics: tuple[str, str]) -> str:
    columns = [*_COLUMNS[:3], *metrics, *_COLUMNS[3:]]
    cells = [columns, ["---"] * len(columns), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cells(row: Row) -> list[str]:
    sampled = (
        "" if row.sampled_hr is None or row.sampled_ndcg is None else f"{row.sampled_hr:.3f}/{row.sampled_ndcg:.3f}"
    )
    spread = "" if row.spread is None else f"{row.spread:.4f} ({row.seeds} seeds)"
    is_federated = row.rounds > 0
    return [
        row.model,
        row.how,
        row.fit,
        _interval(row.hr),
        _interval(row.ndcg),
        spread,
        sampled,
        f"{row.coverage:.2f}",
        str(row.rounds) if is_federated else "",
        f"{row.megabytes_up:.2f}" if is_federated else "",
        f"{row.megabytes_down:.2f}" if is_federated else "",
        "" if row.epsilon is None else f"{row.epsilon:.3g}",
        f"{row.seconds:.0f}",
    ]


def _interval(value: Interval) -> str:
    return f"**{value.mean:.4f}** ({value.low:.3f} to {value.high:.3f})"


def _against_central(pairs: Sequence[tuple[Row, Difference]]) -> str:
    lines = [
        "## Federated against central",
        "",
        "NDCG of rows above that were trained with several seeds: federated minus central, seed by seed from the same",
        "first parameters; +- is the standard error of the mean difference over the seeds, in percent of central.",
        "",
        "| data | model | seeds | federated | central | difference | in percent |",
        "|---|---|---|---|---|---|---|",
    ]
    cells = ([row.data, row.model, *difference.cells] for row, difference in pairs)
    return "\n".join([*lines, *(f"| {' | '.join(line)} |" for line in cells)]) + "\n"


def _probes(probes: dict[str, float]) -> str:
    lines = [
        "## The probe for leaks",
        "",
        "A scorer that knows no taste, only how rarely an item was drawn as a training negative, is scored among 99",
        "negatives. At chance it hits 0.10. With a sampler that avoids the held-out item it would reach 1.00, and",
        "every figure of a trained model above would be worthless.",
        "",
        "| data | HR@10 of the probe |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {name} | {value:.3f} |" for name, value in sorted(probes.items()))]) + "\n"
