"""The manifest of a recommender with user-level differential privacy: two rounds, one budget, no tuning on the data."""

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.privacy import CentralPrivacy
from fedrec_recipes.neighbours import Neighbours, NeighboursConfig
from services.aggregator.domain.privacy.plan import Mechanism, Scenario, plan


def private_recommender(
    *, name: str, number_of_items: int, people: int, epsilon: float, target_delta: float, seed: int = 0
) -> TaskManifest:
    """A task of the recipe `neighbours` that spends epsilon on everybody's whole history.

    All hyperparameters follow from the number of people and from epsilon, both public, so that no choice
    is made on the data. Everybody reports at most twice; nothing is measured, for metrics would be released too.

    Args:
        name: Of the task and of its model.
        number_of_items: Size of the catalogue.
        people: Reports that close a round; more can take part, fewer make the noise weigh more.
        epsilon: What both rounds may spend together, for adding or removing one person.
        target_delta: At this delta.
        seed: Of the cohort choice.
    """
    at_once = Scenario(users=people, cohort=people, rounds=1, target_delta=target_delta)
    multiplier = plan(Mechanism.PARTICIPATIONS, at_once, epsilon).noise_multiplier
    config = NeighboursConfig.for_noise(number_of_items=number_of_items, people=people, noise_multiplier=multiplier)
    manifest = manifest_for(
        Neighbours(config),
        name=name,
        rounds=RoundPolicy(aggregation_goal=people, maximum_participations=Neighbours.usual_rounds),
        round_budget=Neighbours.usual_rounds,
        metrics=(),
        seed=seed,
    )
    privacy = CentralPrivacy(
        noise_multiplier=config.pair_deviation,
        noise_schedule=(config.count_deviation,),
        budget_epsilon=epsilon,
        target_delta=target_delta,
    )
    return TaskManifest.model_validate({**manifest.model_dump(), "privacy": privacy.model_dump()})
