"""Items come and go while a task runs: real services, real participants, nothing reshaped, nobody refused."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.local.stack import LocalStack
from fedrec.manifests import manifest_for
from fedrec.operator import Operator
from fedrec_protocol.manifest import RoundPolicy
from fedrec_recipes.sketched_slit import SketchedSlit, SketchedSlitConfig
from fedrec_sdk import Contributed, History, Participant, Rejected

CAPACITY = 12
FILMS = [f"film-{number}" for number in range(8)]


def contribute(participant: Participant) -> None:
    outcome = participant.run(until=lambda outcome: isinstance(outcome, Contributed))
    assert isinstance(outcome, Contributed)


def test_an_item_added_in_mid_run_is_learnt_and_a_retired_one_is_recommended_to_nobody(
    stack: LocalStack, operator: Operator, tmp_path: Path
) -> None:
    recipe = SketchedSlit(SketchedSlitConfig(number_of_items=CAPACITY, dimension=CAPACITY))
    policy = RoundPolicy(aggregation_goal=2)
    manifest = manifest_for(recipe, name="changing", rounds=policy, round_budget=3, metrics=())
    task = operator.create_task(manifest)
    key = operator.create_enrolment_key(task.task_id).secret
    operator.make_catalogue(manifest.model, CAPACITY)
    operator.change_catalogue(manifest.model, add=FILMS)
    with (
        Participant(stack.aggregator_url, key, tmp_path / "ada", holdout=0, seed=1) as ada,
        Participant(stack.aggregator_url, key, tmp_path / "old", holdout=0, seed=2) as never_asks,
    ):
        for person in (ada, never_asks):
            person.record_many(History(np.array([0, 1, 2, 3])))
            contribute(person)
        assert len(ada.refresh_catalogue()) == 8
        assert {item for item, _ in ada.recommend(CAPACITY, exclude_seen=False)} <= set(range(8))

        (tmp_path / "new.txt").write_text("film-new\n")
        (tmp_path / "gone.txt").write_text("film-1\n")
        files = ["--add", str(tmp_path / "new.txt"), "--retire", str(tmp_path / "gone.txt")]
        registry = ["--url", stack.registry_url, "--key", stack.secrets.registry_admin_key]
        answer = CliRunner().invoke(app, ["catalogue", manifest.model, *registry, *files])
        assert "catalogue 3 of changing: 9 items, 1 of them retired, 3 rows free" in answer.output
        new = ada.refresh_catalogue().rows["film-new"]
        for _ in range(2):
            # Both have watched the new film after film 3; one of them has never heard of a catalogue.
            for person in (ada, never_asks):
                person.record(new)
                contribute(person)
        task = operator.task(task.task_id)
        assert task.current_version_id is not None
        operator.promote(manifest.model, "production", task.current_version_id)
        assert operator.version(task.current_version_id).catalogue_number == 3

    with Participant(stack.aggregator_url, key, tmp_path / "bob", seed=3) as bob:
        bob.record_many(History(np.array([2, 3])))
        bob.refresh_model()
        assert 1 in {item for item, _ in bob.recommend(CAPACITY)}
        bob.refresh_catalogue()
        recommended = [item for item, _ in bob.recommend(CAPACITY)]
        assert recommended[0] == new
        assert set(recommended) <= set(bob.refresh_catalogue().recommendable)
        assert 1 not in recommended
        assert bob.recommend(CAPACITY, allow=[1, 4])[0].item == 4
        bob.record(new)
        assert bob.evaluate().count == 1
        bob.record(1)
        assert bob.evaluate().count == 0  # the retired film is not asked for
        # Its store follows a registry that was restored to before what it knows.
        bob.store.values.put("catalogue", b'{"model":"changing","number":9,"item_ids":["x"],"retired":[]}')
        assert bob.refresh_catalogue().item_ids == (*FILMS, "film-new")


def test_a_model_without_a_catalogue_recommends_as_before(stack: LocalStack, tmp_path: Path) -> None:
    recipe = SketchedSlit(SketchedSlitConfig(number_of_items=CAPACITY, dimension=4))
    manifest = manifest_for(recipe, name="plain", rounds=RoundPolicy(aggregation_goal=1), round_budget=1, metrics=())
    keys = {"aggregator_key": stack.secrets.aggregator_admin_key, "registry_key": stack.secrets.registry_admin_key}
    with Operator(stack.aggregator_url, stack.registry_url, **keys) as operator:
        key = operator.create_enrolment_key(operator.create_task(manifest).task_id).secret
    with Participant(stack.aggregator_url, key, tmp_path / "ada", holdout=0, seed=1) as ada:
        ada.record_many(History(np.array([0, 1, 2, 3])))
        contribute(ada)
        with pytest.raises(Rejected) as refused:
            ada.refresh_catalogue()
        assert refused.value.slug == "unknown-catalogue"
        assert ada.catalogue() is None
        assert len(ada.recommend(CAPACITY)) == CAPACITY - 4
