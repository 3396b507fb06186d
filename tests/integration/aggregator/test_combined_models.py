"""`fedrec model combine` and the task that follows: what goes together, and what becomes of promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fedrec.cli import app
from fedrec.manifests import read_manifest
from fedrec.operator import Operator
from fedrec_protocol import codec
from fedrec_protocol.registry_messages import Lineage, VersionView
from fedrec_recipes.combined import MEMBER_WEIGHTS, weight_grid
from tests.integration.aggregator.world import World

ITEMS = 6
PRIVATE = {"unit": "user", "epsilon": 1.0, "delta": 1e-6, "in_words": "noise."}
NOISE = '{"noise_multiplier": 1, "budget_epsilon": 8, "target_delta": 1e-6}'


@pytest.fixture
def operator(world: World) -> Iterator[Operator]:
    keys = {"aggregator_key": world.secrets.aggregator_admin_key, "registry_key": world.secrets.registry_admin_key}
    with Operator(world.aggregator_urls[0], world.registry_url, **keys) as operator:
        yield operator


@pytest.fixture
def members(operator: Operator, request: pytest.FixtureRequest) -> Members:
    return Members(operator, request.node.name.translate(str.maketrans("[]_", "---")).lower()[:40])


class Members:
    """Trained models of one test in the registry."""

    def __init__(self, operator: Operator, prefix: str) -> None:
        self.operator = operator
        self.prefix = prefix

    def publish(self, model: str, *, items: int = ITEMS, privacy: Any = None, recipe: str | None = "popularity") -> str:
        """A version of a popularity model; returns the model's name."""
        name = f"{self.prefix}-{model}"
        config = {"number_of_items": items} if recipe else {}
        lineage = Lineage(recipe=recipe, recipe_config=config, privacy=privacy, round_number=1)
        counts = {"item_count": np.arange(items, dtype=np.float32)}
        version = self.operator.publish(name, codec.encode(counts), lineage)
        self.operator.promote(name, "production", version.version_id)
        return name

    def catalogue(self, model: str, items: list[str], retire: tuple[str, ...] = ()) -> None:
        self.operator.make_catalogue(model, ITEMS)
        self.operator.change_catalogue(model, add=items, retire=retire)


def combine(world: World, folder: Path, new: str, *names: str, **options: str) -> Result:
    arguments = [part for name in names for part in ("--member", name)]
    arguments += [part for option, value in options.items() for part in (f"--{option}", value)]
    where = ["--url", world.registry_url, "--key", world.secrets.registry_run_key, "--out", str(folder / "task.json")]
    return CliRunner().invoke(app, ["model", "combine", new, *arguments, *where])


def words(result: Result) -> str:
    """What a refusal says, without its frame."""
    return " ".join(word for word in result.stderr.split() if word != "│")


def newest(operator: Operator, model: str) -> VersionView:
    return operator.versions(model, limit=1)[0]


def combined(world: World, folder: Path, new: str, *names: str, **options: str) -> None:
    result = combine(world, folder, new, *names, **options)
    assert result.exit_code == 0, result.output


def test_weights_may_be_given_and_the_same_combination_again_is_the_same_file(
    world: World, operator: Operator, members: Members, tmp_path: Path
) -> None:
    first, second = members.publish("a"), members.publish("b")
    result = combine(world, tmp_path, f"{first}-b", f"{first}@0", second, weights="1,4")
    assert f"fedrec model promote {first}-b 0" in result.output
    assert not (tmp_path / "task.json").exists()
    version = newest(operator, f"{first}-b")
    held = codec.decode(operator.weights(version.version_id))
    np.testing.assert_array_equal(held[MEMBER_WEIGHTS], [1, 4])
    np.testing.assert_array_equal(held["member1.item_count"], np.arange(ITEMS))
    assert version.lineage.members == tuple(
        operator.alias(name, "production").version.version_id for name in (first, second)
    )
    combined(world, tmp_path, f"{first}-b", first, second, weights="1,4")
    assert newest(operator, f"{first}-b").digest == version.digest
    combined(world, tmp_path, f"{first}-c", first, second, weights=f"{first}-b@0")
    other = newest(operator, f"{first}-c")
    assert (other.digest, other.parent_id) == (version.digest, version.version_id)


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"items": 7}, {}, "'popularity' is of 7 items, the others of 6"),
        ({"recipe": None}, {}, "was uploaded by hand, without a recipe"),
        ({"recipe": "ease"}, {}, "version 2 does not hold the tensors of recipe 'ease'"),
        ({"privacy": PRIVATE}, {}, "of the sum none would hold"),
        ({}, {"weights": "1"}, "as many weights"),
        ({}, {"weights": "a,b"}, "numbers with commas"),
        ({}, {"weights": "A@0"}, "is not combined"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(
    world: World, members: Members, tmp_path: Path, changes: dict[str, Any], options: dict[str, str], reason: str
) -> None:
    first, second = members.publish("a"), members.publish("b", **changes)
    given = {name: value.replace("A", first) for name, value in options.items()}
    result = combine(world, tmp_path, f"{first}-b", first, second, **given)
    assert result.exit_code == 2
    assert reason in words(result)


def test_a_member_that_is_not_there_is_refused(world: World, members: Members, tmp_path: Path) -> None:
    first, second = members.publish("a"), members.publish("b")
    missing = combine(world, tmp_path, "new", first, f"{second}@7")
    assert (missing.exit_code, f"{second} has no version 7" in missing.stderr) == (1, True)


def test_the_combined_model_has_the_members_catalogue_of_items(
    world: World, operator: Operator, members: Members, tmp_path: Path
) -> None:
    first, second = members.publish("a"), members.publish("b")
    new = f"{first}-b"
    members.catalogue(first, ["x", "y"], retire=("x",))
    assert "has no catalogue of items" in words(combine(world, tmp_path, new, first, second))
    members.catalogue(second, ["x", "y", "z"])
    combined(world, tmp_path, new, first, second)
    rows = operator.catalogue(new).changes
    assert [(row.item_id, row.is_retired) for row in rows] == [("x", True), ("y", False), ("z", False)]
    assert newest(operator, new).catalogue_number == operator.catalogue(new).number

    members.catalogue(second, ["v"])
    combined(world, tmp_path, new, first, second)
    assert len(operator.catalogue(new).changes) == 4
    members.catalogue(first, ["w"])
    assert "has other items in its rows" in words(combine(world, tmp_path, new, first, second))


def test_promises_of_privacy_add_up_and_the_round_of_choice_is_added_to_them(
    world: World, operator: Operator, members: Members, tmp_path: Path
) -> None:
    first, second = (members.publish(name, privacy=PRIVATE) for name in ("a", "b"))
    new = f"{first}-b"
    assert "what the choice may spend" in words(combine(world, tmp_path, new, first, second))
    assert "is a private member" in words(combine(world, tmp_path, first, first, second, privacy=NOISE))
    combined(world, tmp_path, new, first, second, privacy=NOISE, goal="2")
    base = newest(operator, new).lineage.privacy
    assert base is not None
    assert base["epsilon"] == 2.0
    assert base["delta"] == pytest.approx(2e-6)

    manifest = read_manifest(tmp_path / "task.json")
    task = world.task(**manifest.model_dump(mode="json"))
    gains = np.zeros(len(weight_grid(2)), dtype=np.int8)
    report = codec.encode({"gains": gains, "squared_gains": gains, "fedrec.examples": np.ones(1, np.int64)})
    for device in (task.device(), task.device()):
        assert device.report(device.assigned()["assignment_id"], report).status_code == 201
    world.work()
    statement = newest(operator, new).lineage.privacy
    assert statement is not None
    own = task.get("/privacy")["spent_epsilon"]
    assert own > 0
    assert statement["epsilon"] == pytest.approx(2 + own)
    assert statement["delta"] == pytest.approx(3e-6)


def test_weights_that_were_chosen_at_a_price_cost_it_again(
    world: World, operator: Operator, members: Members, tmp_path: Path
) -> None:
    first, second = (members.publish(name, privacy=PRIVATE) for name in ("a", "b"))
    combined(world, tmp_path, f"{first}-b", first, second, weights="1,2")
    combined(world, tmp_path, f"{first}-c", first, second, weights=f"{first}-b@0")
    privacy = newest(operator, f"{first}-c").lineage.privacy
    assert privacy is not None
    assert privacy["epsilon"] == 4.0
    free = members.publish("d"), members.publish("e")
    assert "of the sum none would hold" in words(combine(world, tmp_path, f"{first}-f", *free, weights=f"{first}-b@0"))


def test_a_task_keeps_the_promise_of_its_base_and_makes_none_that_does_not_hold(
    world: World, operator: Operator, members: Members, tmp_path: Path
) -> None:
    private = [members.publish(name, privacy=PRIVATE) for name in ("a", "b")]
    open_ones = [members.publish(name) for name in ("c", "d")]
    for names, options, changes, reason in (
        (private, {"privacy": NOISE}, {"privacy": None}, "would not keep it"),
        (
            open_ones,
            {},
            {"privacy": {"noise_multiplier": 1.0, "budget_epsilon": 8.0, "target_delta": 1e-6}},
            "would not hold",
        ),
    ):
        combined(world, tmp_path, f"{names[0]}-{names[1][-1]}", *names, **options)
        manifest = read_manifest(tmp_path / "task.json").model_dump(mode="json")
        answer = world.operator("POST", "/v1/tasks", json=manifest | {"metrics": []} | changes)
        assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-manifest")
        assert reason in answer.json()["detail"]
