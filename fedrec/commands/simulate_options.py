"""The options of `fedrec simulate`, by what they are about."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fedrec.commands.refusals import json_object
from fedrec_recipes.catalogue import recipe_names

_of_rounds = partial(typer.Option, rich_help_panel="Rounds")
_of_devices = partial(typer.Option, rich_help_panel="What devices are like")


@dataclass(frozen=True)
class TaskChoice:
    """What is trained."""

    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            help="A task manifest, e.g. of `recommend-config`; the options that it answers are not used. Several are "
            "those of models that are then combined."
        ),
    ] = None
    recipe: Annotated[
        str | None,
        typer.Option(
            help="What to train; one of " + ", ".join(recipe_names()) + ".",
            show_default="what suits the data; blend on most",
        ),
    ] = None
    config: Annotated[str, typer.Option(help="The recipe's configuration, as JSON.")] = "{}"
    training: Annotated[str, typer.Option(help='Changes to the training plan, e.g. {"learning_rate": 0.2}.')] = "{}"
    participants: Annotated[int | None, typer.Option(min=1, help="People.", show_default="all")] = None
    minimum_support: Annotated[int, typer.Option(min=1, help="Leave out items with fewer interactions.")] = 1
    clipping_norm: Annotated[
        float | None, typer.Option(min=0, help="L2 bound on one report.", show_default="the recipe's")
    ] = None
    privacy: Annotated[
        str | None,
        typer.Option(help='Noise, as JSON: {"noise_multiplier": 1, "budget_epsilon": 8, "target_delta": 1e-5}.'),
    ] = None

    def chosen(self) -> dict[str, Any]:
        """Fields of `simulation.options.Options`."""
        return {
            "manifests": tuple(self.manifest or ()),
            "recipe": self.recipe,
            "config": json_object(self.config, "--config"),
            "training": json_object(self.training, "--training"),
            "participants": self.participants,
            "minimum_support": self.minimum_support,
            "clipping_norm": self.clipping_norm,
            "privacy": None if self.privacy is None else json_object(self.privacy, "--privacy"),
        }


@dataclass(frozen=True)
class RoundChoice:
    """When a round closes, and when the last one."""

    rounds: Annotated[
        int | None, _of_rounds(min=1, help="Training rounds at most.", show_default="what suits the recipe")
    ] = None
    patience: Annotated[int | None, _of_rounds(min=1, help="Stop after so many rounds without improvement.")] = None
    cohort: Annotated[int | None, _of_rounds(min=1, help="Reports that close a round.", show_default="everybody")] = (
        None
    )
    over_selection: Annotated[float, _of_rounds(min=1, max=4, help="People asked for each report needed.")] = 1.0
    minimum_reports: Annotated[int, _of_rounds(min=1, help="Reports needed at the deadline.")] = 1
    deadline: Annotated[float, _of_rounds(min=1, help="Seconds from opening a round to closing it.")] = 600.0

    def chosen(self) -> dict[str, Any]:
        """Fields of `simulation.options.Options`."""
        policy = {
            "over_selection_factor": self.over_selection,
            "minimum_reports": self.minimum_reports,
            "deadline_seconds": self.deadline,
        }
        goal = {} if self.cohort is None else {"aggregation_goal": self.cohort}
        return {"rounds": self.rounds, "patience": self.patience, "policy": policy | goal}


@dataclass(frozen=True)
class DeviceChoice:
    """Who is there, how fast, and who lies."""

    dropout: Annotated[float, _of_devices(min=0, max=1, help="Share of those asked who fall silent.")] = 0.0
    stragglers: Annotated[
        float | None,
        _of_devices(min=0, help="Spread of device speeds (log-normal), e.g. 0.8.", show_default="no delays"),
    ] = None
    availability: Annotated[
        str | None, _of_devices(help="`daily`, or a trace: CSV of person,start,end.", show_default="always")
    ] = None
    attack: Annotated[str | None, _of_devices(help="sign-flip, scaling, noise or label-shuffling.")] = None
    attackers: Annotated[float, _of_devices(min=0, max=1, help="Share of attackers.")] = 0.1

    def chosen(self) -> dict[str, Any]:
        """Fields of `simulation.options.Options`."""
        return asdict(self)
