"""A simulated task and the same task over HTTP publish the same weights, bit for bit."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.local.stack import LocalStack
from fedrec.manifests import evaluation_of, manifest_for, read_manifest
from fedrec.operator import Operator
from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import AggregationRule, RecipeChoice, RoundPolicy, StopCriteria, TaskManifest
from fedrec_protocol.messages import RoundState
from fedrec_protocol.operator_messages import RoundView
from fedrec_protocol.popularity_floor import ITEM_POPULARITY, PopularityFloor
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.federated_evaluation import FederatedEvaluation
from fedrec_recipes.mf import ITEM_EMBEDDINGS
from fedrec_recipes.recipe import History, Recipe
from fedrec_sdk import Participant
from fedrec_sdk.outcomes import TaskEnded
from fedrec_sdk.silo.key import make_silo_key
from fedrec_sdk.transport import Transport
from simulation.population import Population
from simulation.records import RoundRecord
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste

PEOPLE = 8
ITEMS = 50
ROUNDS = 3
LONG_POLL = timedelta(seconds=5)
CONFIGS: dict[str, dict[str, Any]] = {
    "mf": {"dimension": 4},
    "autoencoder": {},
    "sasrec": {"dimension": 8},
    "multvae": {"hidden_size": 8, "latent_size": 4},
    "als": {"dimension": 4},
    "ease": {"regularisation": 5.0},
}


def a_task(recipe: Recipe[Any], rule: str) -> TaskManifest:
    """Everybody takes part in every round, so that who is asked does not depend on who asks first."""
    rounds = RoundPolicy(aggregation_goal=PEOPLE, minimum_reports=PEOPLE, deadline_seconds=90)
    manifest = manifest_for(recipe, name=f"{recipe.name}-{rule}", rounds=rounds, round_budget=ROUNDS, seed=11)
    aggregation = recipe.aggregation if rule == recipe.aggregation.rule else AggregationRule(rule=rule)
    return manifest.model_copy(update={"aggregation": aggregation})


def simulated(manifest: TaskManifest, population: Population) -> list[RoundRecord]:
    return list(Simulation(manifest, population).run())


def simulated_parameters(manifest: TaskManifest, population: Population) -> Tensors:
    simulation = Simulation(manifest, population)
    list(simulation.run())
    return simulation.parameters


def over_http(
    stack: LocalStack,
    operator: Operator,
    manifest: TaskManifest,
    population: Population,
    folder: Path,
    **options: Any,
) -> list[RoundView]:
    """The same people as devices with stores of their own; returns the rounds, oldest first."""
    task = operator.create_task(manifest)
    key = operator.create_enrolment_key(task.task_id).secret
    with ExitStack() as devices, ThreadPoolExecutor(PEOPLE) as threads:
        transport = devices.enter_context(Transport(maximum_connections=PEOPLE))
        people = [
            devices.enter_context(
                Participant(
                    stack.aggregator_url,
                    key,
                    folder / str(person),
                    seed=population.training_seed(person),
                    registry_url=stack.registry_url,
                    transport=transport,
                    **options,
                )
            )
            for person in range(PEOPLE)
        ]
        for person, participant in enumerate(people):
            participant.record_many(population.histories[person])
        stop = threading.Event()
        running = [threads.submit(participant.run, stop=stop, long_poll=LONG_POLL) for participant in people]
        done, stuck = wait(running, timeout=240)
        stop.set()  # a service that is stuck would hold the threads, and they the test
    assert not stuck
    assert all(isinstance(future.result(), TaskEnded) for future in done)
    return operator.rounds(task.task_id)[::-1]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mf", "fedavg"),
        ("mf", "fedavgm"),
        ("autoencoder", "fedadam"),
        ("sasrec", "fedadam"),
        ("multvae", "fedadam"),
        ("als", "solve"),
        ("ease", "solve"),
    ],
)
def test_the_published_weights_and_the_metrics_are_the_same(
    stack: LocalStack, operator: Operator, tmp_path: Path, name: str, rule: str
) -> None:
    recipe = catalogue.recipe(RecipeChoice(name=name, config={**CONFIGS[name], "number_of_items": ITEMS}))
    population = Population.of_recipe(recipe, people_with_taste(PEOPLE, ITEMS), seed=20)
    manifest = a_task(recipe, rule)

    expected = simulated(manifest, population)
    rounds = over_http(stack, operator, manifest, population, tmp_path)

    assert [round_.state for round_ in rounds] == [RoundState.PUBLISHED] * (ROUNDS + 1)
    assert [round_.kind for round_ in rounds] == [record.kind for record in expected]
    for round_, record in zip(rounds, expected, strict=True):
        assert round_.reports == record.reports == PEOPLE
        assert round_.metrics == record.metrics
        if round_.published_version_id is not None:
            assert operator.version(round_.published_version_id).digest == record.digest
    if rule != "solve":  # solved from the same sums in every round
        assert len({record.digest for record in expected}) == ROUNDS
    assert np.any([record.metrics["hr@10"] > 0 for record in expected])


def test_an_evaluation_measures_a_version_and_publishes_none(
    stack: LocalStack, operator: Operator, tmp_path: Path
) -> None:
    recipe = catalogue.recipe(RecipeChoice(name="ease", config={**CONFIGS["ease"], "number_of_items": ITEMS}))
    people = people_with_taste(PEOPLE, ITEMS)
    population = Population.of_recipe(recipe, people, seed=20)
    trained = a_task(recipe, "solve").model_copy(update={"name": "to-be-evaluated", "model": "evaluated"})
    version = over_http(stack, operator, trained, population, tmp_path / "training")[-2].published_version_id
    assert version is not None
    policy = RoundPolicy(aggregation_goal=PEOPLE, minimum_reports=PEOPLE, deadline_seconds=90)
    manifest = evaluation_of(
        recipe, name="evaluation", model="evaluated", base_version=version, rounds=policy, activity_edges=(12,)
    )

    rounds = over_http(stack, operator, manifest, population, tmp_path / "evaluation")

    simulation = Simulation(trained, population)
    list(simulation.run())
    measuring = catalogue.recipe(manifest.recipe)
    assert isinstance(measuring, FederatedEvaluation)
    cases = [HeldOut(index, person.without_last(1), int(person.items[-1])) for index, person in enumerate(people)]
    expected = measuring.measured_centrally(simulation.parameters, cases).metrics
    assert [(round_.state, round_.published_version_id, round_.metrics) for round_ in rounds] == [
        (RoundState.PUBLISHED, None, expected)
    ]
    assert operator.version(version).metrics == expected
    again = Simulation(manifest, Population.of_recipe(measuring, people, seed=20), base=simulation.parameters)
    assert [record.metrics for record in again.run()] == [expected]


def test_rows_of_rare_items_are_held_alike(stack: LocalStack, operator: Operator, tmp_path: Path) -> None:
    recipe = catalogue.recipe(RecipeChoice(name="mf", config={**CONFIGS["mf"], "number_of_items": ITEMS}))
    population = Population.of_recipe(recipe, people_with_taste(PEOPLE, ITEMS), seed=20)
    floor = PopularityFloor(share=ITEM_POPULARITY, tables=(ITEM_EMBEDDINGS,), minimum_people=3)
    manifest = a_task(recipe, "fedavg").model_copy(update={"popularity_floor": floor, "name": "held", "model": "held"})
    loose = manifest.model_copy(update={"popularity_floor": None})

    expected = simulated(manifest, population)
    rounds = over_http(stack, operator, manifest, population, tmp_path)

    last = operator.version(rounds[-2].published_version_id or "")
    assert last.digest == expected[-1].digest
    assert last.digest != simulated(loose, population)[-1].digest


@pytest.mark.parametrize("name", ["mf", "ease"])
def test_encrypted_reports_come_to_the_sums_that_are_simulated(
    stack: LocalStack, operator: Operator, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("tenseal", reason="homomorphic encryption needs pip install 'fedrec-sdk[ckks]'")
    recipe = catalogue.recipe(RecipeChoice(name=name, config={**CONFIGS[name], "number_of_items": ITEMS}))
    population = Population.of_recipe(recipe, people_with_taste(PEOPLE, ITEMS), seed=20)
    key = make_silo_key(tmp_path / "silo.key", Scheme.CKKS)
    terms = HomomorphicEncryption(key_fingerprint=key.fingerprint)
    plain = a_task(recipe, recipe.aggregation.rule)
    names = {"name": f"silos-{name}", "model": f"silos-{name}"}
    manifest = plain.model_copy(update={**names, "homomorphic_encryption": terms, "stop": StopCriteria(round_budget=1)})

    expected = simulated(manifest, population)
    rounds = over_http(stack, operator, manifest, population, tmp_path, silo_key=tmp_path / "silo.key")

    assert [round_.state for round_ in rounds] == [RoundState.PUBLISHED] * 2
    assert operator.version(rounds[0].published_version_id or "").digest == expected[0].digest
    assert [round_.metrics for round_ in rounds] == [record.metrics for record in expected]


def test_members_of_two_tasks_are_combined_weighted_promoted_and_recommend_alike(
    stack: LocalStack, operator: Operator, tmp_path: Path
) -> None:
    people = people_with_taste(PEOPLE, ITEMS)
    trained = []
    for name in ("popularity", "ease"):
        recipe = catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": ITEMS}))
        population = Population.of_recipe(recipe, people, seed=20)
        one_round = {"stop": StopCriteria(round_budget=1), "model": f"member-{name}", "name": f"member-{name}"}
        manifest = a_task(recipe, "solve").model_copy(update=one_round)
        version = over_http(stack, operator, manifest, population, tmp_path / name)[0].published_version_id
        operator.promote(manifest.model, "production", version or "")
        trained.append(simulated_parameters(manifest, population))

    out = tmp_path / "task.json"
    members = ["--member", "member-popularity", "--member", "member-ease@1"]
    registry = ["--url", stack.registry_url, "--key", stack.secrets.registry_run_key]
    options = ["--goal", str(PEOPLE), "--minimum-reports", str(PEOPLE), "--out", str(out)]
    answer = CliRunner().invoke(app, ["model", "combine", "both", *members, *registry, *options])
    assert answer.exit_code == 0, answer.output
    choosing = read_manifest(out)
    assert choosing.base_version is not None
    combined = catalogue.recipe(choosing.recipe)
    assert isinstance(combined, Combined)
    population = Population.of_recipe(combined, people, seed=20)
    rounds = over_http(stack, operator, choosing, population, tmp_path / "choosing")

    expected = Simulation(choosing, population, base=combined.combination(trained))
    records = list(expected.run())
    assert [round_.metrics for round_ in rounds] == [record.metrics for record in records]
    chosen = operator.version(rounds[0].published_version_id or "")
    assert chosen.digest == records[0].digest
    assert expected.parameters[MEMBER_WEIGHTS].tolist() == [0.0, 1.0]  # few people, and still the surest
    assert chosen.parent_id == choosing.base_version
    assert operator.version(choosing.base_version).lineage.members == tuple(
        operator.alias(model, "production").version.version_id for model in ("member-popularity", "member-ease")
    )

    operator.promote("both", "production", chosen.version_id)
    best = expected_list(combined, expected.parameters, people[0])
    with joined(stack, operator, choosing.name, tmp_path / "new") as somebody:
        somebody.record_many(people[0])
        assert somebody.refresh_model().version_id == chosen.version_id
        assert [item for item, _ in somebody.recommend(3)] == best
        assert somebody.because_of(best[0])

    # Under a member's name it comes to that member's devices, whose app knows of nothing.
    given = ["model", "combine", "member-ease", *members, *registry, "--weights", "both@production"]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert CliRunner().invoke(app, ["model", "promote", "member-ease", "2", *registry]).exit_code == 0
    with joined(stack, operator, "member-ease", tmp_path / "ease" / "0") as member:
        member.refresh_model()
        assert [item for item, _ in member.recommend(3)] == best


def expected_list(recipe: Recipe[Any], shared: Tensors, history: History) -> list[int]:
    scores = recipe.score(shared, {}, history)
    scores[history.items] = -np.inf
    best: list[int] = np.argsort(-scores, kind="stable")[:3].tolist()
    return best


def joined(stack: LocalStack, operator: Operator, task: str, folder: Path) -> Participant:
    """A device of a task."""
    (view,) = [view for view in operator.tasks() if view.manifest.name == task]
    key = operator.create_enrolment_key(view.task_id).secret
    return Participant(stack.aggregator_url, key, folder, registry_url=stack.registry_url)
