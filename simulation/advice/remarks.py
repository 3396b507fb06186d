"""What to know before relying on advice, a sentence each."""

from math import ceil

from fedrec.data.interactions import Interactions
from simulation.advice.candidates import label
from simulation.advice.combination import Beside, TooLong
from simulation.advice.coming_back import OFTEN_REPEATED, ComingBack
from simulation.advice.survey import SORTED_BY_ITEM, Order, Survey, remark_on_rare_items
from simulation.advice.trial import Trial
from simulation.advice.trials import Outcome
from simulation.advice.wishes import Privacy, Wishes


def remarks_on_items(interactions: Interactions) -> list[str]:
    """What the catalogue is like."""
    rare = remark_on_rare_items(interactions)
    return [] if rare is None else [rare]


def remarks_on_repeats(found: Survey, again: ComingBack | None) -> list[str]:
    """What is left out, and what it would be worth."""
    if found.repeated <= OFTEN_REPEATED:
        return []
    counted = (
        f"{found.repeated:.0%} of the rows name an item that their person had before. An item counts once, at its "
        "first time: figures, and lists, are of items that are new to a person."
    )
    if again is None:
        return [f"{counted} Recipe habit is for those that people come back to."]
    habit, together = (f"{trial.metrics['ndcg@10'].mean:.3f}" for trial in (again.habit, again.together))
    return [
        f"{counted} Where lists may hold what a person had, what comes next, new or not, is found with ndcg@10 {habit} "
        f"by recipe habit, and {together} by both together: --recipe combined --config '{again.config}'."
    ]


def remarks_on_trials(found: Survey, outcome: Outcome) -> list[str]:
    """What figures rest on, and how sure they are."""
    remarks = []
    if found.order is Order.ITEM:
        remarks.append(f"{SORTED_BY_ITEM}; any item was held out.")
    elif found.order is Order.FILE:
        remarks.append("Without timestamps (or with ties throughout), the order of the rows is taken for that of time.")
    expected, baseline = outcome.expected, outcome.baseline
    if expected.people < found.people or expected.items < found.items:
        remarks.append(
            f"The figures are of {expected.people:,} of {found.people:,} people and {expected.items:,} of "
            f"{found.items:,} items: more people do better, more items make ranking harder. For all of them: "
            f"--minutes {outcome.minutes_for_everybody}."
        )
    ndcg, of_popularity = expected.metrics["ndcg@10"], baseline.metrics["ndcg@10"]
    if outcome.chosen == 0:
        remarks.append("Nothing did better than popularity: there may be too few people to learn from.")
    elif ndcg.mean <= of_popularity.mean:
        remarks.append("On so few people it does no better than popularity: it is proposed since more teach it more.")
    elif ndcg.low <= of_popularity.high:
        remarks.append("The interval overlaps that of popularity: on so few people the difference may be chance.")
    return remarks


def remarks_on_both(wishes: Wishes, tried: Beside | TooLong | None) -> list[str]:
    """What there was no time for, and what is proposed without a trial."""
    if tried is None:
        return []
    minutes = ceil((wishes.seconds + tried.missing_seconds) / 60)
    if isinstance(tried, TooLong):
        return [f"Whether {tried.name} does better, two tasks combined, was not tried: --minutes {minutes} should do."]
    remarks = []
    if tried.missing_seconds:
        had = f"There was time for {tried.passes} passes of {tried.tried.name} over the data"
        whole = f"all {tried.tried.central_epochs} take about --minutes {minutes}"
        remarks = [f"{had}: {'its task makes more' if tried.pays else f'it does not pay; {whole}'}."]
    if tried.pays and tried.recipe.choice != tried.tried.choice:
        remarks.append(
            f"The second task is {label(tried.recipe)}: so much data should teach it more than the smaller one that "
            "was tried. It takes about three times as long."
        )
    return remarks


def remarks_on_privacy(wishes: Wishes, outcome: Outcome, with_noise: Trial | None) -> list[str]:
    """What protects people, and what does not."""
    if with_noise is not None:
        ndcg, of_popularity = with_noise.metrics["ndcg@10"], outcome.baseline.metrics["ndcg@10"]
        found = f"With noise for epsilon {wishes.epsilon:g} the simulated task has ndcg@10 {ndcg.mean:.3f}"
        if ndcg.low <= of_popularity.high:
            return [f"{found}: no more than popularity without noise. More people or a larger epsilon would help."]
        return [f"{found}; the other trials had no noise. Another draw of the noise does a little better or worse."]
    if wishes.privacy is Privacy.PLAIN:
        return [
            "Nothing hides a report from the aggregator's process: --privacy secagg does, "
            "and --privacy dp limits what models say of anybody."
        ]
    return ["Secure aggregation hides reports, not what the sum itself says: --privacy dp limits that."]
