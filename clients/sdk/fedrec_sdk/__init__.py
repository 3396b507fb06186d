"""Take part in federated recommenders: train on the device, report what changed, recommend locally.

    from fedrec_sdk import Participant

    with Participant("https://fedrec.example.org", "fe_...", "app-data/fedrec") as participant:
        participant.record(item=318)               # remembered on this device only
        outcome = participant.contribute()         # one round; match on what came of it
        participant.refresh_model()                # the version that is in production
        best = participant.recommend(10)           # computed here, without a network

`Participant.run` contributes again and again, at the pace that the server sets. `fedrec_sdk.testing.FakeAggregator`
stands in for the server in an app's own tests. What can go wrong is an `Unavailable`, to try later, or a `Rejected`.

Names are imported when they are first used, so that importing this package costs an app next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedrec_recipes.recipe import History as History
    from fedrec_sdk.errors import FedrecError as FedrecError
    from fedrec_sdk.errors import Rejected as Rejected
    from fedrec_sdk.errors import Unavailable as Unavailable
    from fedrec_sdk.evaluation import Evaluation as Evaluation
    from fedrec_sdk.module_trainer import ModuleTrainer as ModuleTrainer
    from fedrec_sdk.modules import initial_weights as initial_weights
    from fedrec_sdk.modules import load_tensors as load_tensors
    from fedrec_sdk.modules import shared_specs as shared_specs
    from fedrec_sdk.outcomes import Contributed as Contributed
    from fedrec_sdk.outcomes import NothingToTrain as NothingToTrain
    from fedrec_sdk.outcomes import NotSelected as NotSelected
    from fedrec_sdk.outcomes import Outcome as Outcome
    from fedrec_sdk.outcomes import TaskEnded as TaskEnded
    from fedrec_sdk.outcomes import TooLate as TooLate
    from fedrec_sdk.outcomes import WaitingForOthers as WaitingForOthers
    from fedrec_sdk.participant import Participant as Participant
    from fedrec_sdk.recommendation import Recommendation as Recommendation
    from fedrec_sdk.store import LocalStore as LocalStore
    from fedrec_sdk.store.model_cache import ModelCache as ModelCache
    from fedrec_sdk.store.versions import ModelVersion as ModelVersion
    from fedrec_sdk.trainer import RecipeTrainer as RecipeTrainer
    from fedrec_sdk.trainer import Trainer as Trainer
    from fedrec_sdk.transport import Transport as Transport

_MODULE_OF = {
    "History": "fedrec_recipes.recipe",
    "FedrecError": "fedrec_sdk.errors",
    "Rejected": "fedrec_sdk.errors",
    "Unavailable": "fedrec_sdk.errors",
    "Evaluation": "fedrec_sdk.evaluation",
    "ModuleTrainer": "fedrec_sdk.module_trainer",
    "initial_weights": "fedrec_sdk.modules",
    "load_tensors": "fedrec_sdk.modules",
    "shared_specs": "fedrec_sdk.modules",
    "Contributed": "fedrec_sdk.outcomes",
    "NothingToTrain": "fedrec_sdk.outcomes",
    "NotSelected": "fedrec_sdk.outcomes",
    "Outcome": "fedrec_sdk.outcomes",
    "TaskEnded": "fedrec_sdk.outcomes",
    "TooLate": "fedrec_sdk.outcomes",
    "WaitingForOthers": "fedrec_sdk.outcomes",
    "Participant": "fedrec_sdk.participant",
    "Recommendation": "fedrec_sdk.recommendation",
    "LocalStore": "fedrec_sdk.store",
    "ModelCache": "fedrec_sdk.store.model_cache",
    "ModelVersion": "fedrec_sdk.store.versions",
    "RecipeTrainer": "fedrec_sdk.trainer",
    "Trainer": "fedrec_sdk.trainer",
    "Transport": "fedrec_sdk.transport",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
