"""`fedrec train` on real services: one command per task, however often it is cut short."""

import re
import threading
from pathlib import Path

from typer.testing import CliRunner, Result

from fedrec.cli import app
from fedrec.local.stack import LocalStack
from fedrec.manifests import manifest_for
from fedrec.operator import Operator
from fedrec.training import find_or_create
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_recipes.blend import Blend, BlendConfig
from fedrec_sdk import Participant
from tests.unit.recipes.data import people_with_taste

PEOPLE, ITEMS = 4, 20


def manifest(name: str) -> TaskManifest:
    recipe = Blend(BlendConfig(number_of_items=ITEMS))
    policy = RoundPolicy(aggregation_goal=PEOPLE)
    return manifest_for(recipe, name=name, rounds=policy, round_budget=recipe.usual_rounds)


def train(stack: LocalStack, file: Path, *arguments: str) -> Result:
    keys = ("--key", stack.secrets.aggregator_admin_key, "--registry-key", stack.secrets.registry_admin_key)
    urls = ("--url", stack.aggregator_url, "--registry-url", stack.registry_url)
    return CliRunner().invoke(app, ["train", str(file), *keys, *urls, *arguments])


def operator_of(stack: LocalStack) -> Operator:
    keys = {"aggregator_key": stack.secrets.aggregator_admin_key, "registry_key": stack.secrets.registry_admin_key}
    return Operator(stack.aggregator_url, stack.registry_url, **keys)


def take_part(stack: LocalStack, key: str, folder: Path) -> list[threading.Thread]:
    """People whose devices contribute until the task ends."""
    threads = []
    for person, history in enumerate(people_with_taste(PEOPLE, ITEMS, length=8)):
        participant = Participant(stack.aggregator_url, key, folder / str(person), seed=person)
        participant.record_many(history)
        threads.append(threading.Thread(target=_run, args=[participant], daemon=True))
        threads[-1].start()
    return threads


def _run(participant: Participant) -> None:
    participant.run()
    participant.close()


def test_a_blend_is_fitted_tuned_and_promoted_by_one_command_that_was_stopped_once(
    stack: LocalStack, tmp_path: Path
) -> None:
    file = tmp_path / "task.json"
    file.write_text(manifest("tuned").model_dump_json())
    with operator_of(stack) as operator:
        task, is_new = find_or_create(operator, manifest("tuned"))  # the first command, stopped before any round
        devices = take_part(stack, operator.create_enrolment_key(task.task_id).secret, tmp_path)
        again = train(stack, file, "--promote", "production")
        for device in devices:
            device.join()
        assert is_new
        assert len([each for each in operator.tasks() if each.manifest.name == "tuned"]) == 1
    assert again.exit_code == 0, again.output
    assert f"task {task.task_id} found" in again.output
    assert re.findall(r"round (\d)  (\w+)  published  4 reports", again.output) == [
        ("1", "training"),
        ("2", "training"),
        ("3", "evaluation"),
    ]
    assert "production is version 2 of tuned" in again.output


def test_a_task_of_the_same_name_and_another_manifest_is_not_taken_for_it(stack: LocalStack, tmp_path: Path) -> None:
    with operator_of(stack) as operator:
        find_or_create(operator, manifest("agreed"))
    file = tmp_path / "task.json"
    file.write_text(manifest("agreed").model_copy(update={"seed": 7}).model_dump_json())
    refused = train(stack, file)
    assert refused.exit_code == 1
    assert "another manifest" in refused.output


def test_a_file_that_is_no_manifest_names_the_missing_fields(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    file.write_text('{"name": "task"}')
    refused = train(stack, file)
    assert refused.exit_code == 2
    assert "recipe" in refused.output


def test_a_command_that_was_stopped_before_it_printed_a_key_makes_one_the_next_time(
    stack: LocalStack, tmp_path: Path
) -> None:
    file = tmp_path / "task.json"
    file.write_text(manifest("keyless").model_dump_json())
    with operator_of(stack) as operator:
        task, _ = find_or_create(operator, manifest("keyless"))
        operator.steer(task.task_id, "cancel")
        first, second = train(stack, file), train(stack, file)
        assert len(operator.enrolment_keys(task.task_id)) == 1
    assert "enrolment key for the app: " in first.output
    assert "enrolment key" not in second.output
