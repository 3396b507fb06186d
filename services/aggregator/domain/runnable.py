"""What a well-formed manifest may ask for, and this aggregator cannot do."""

from pydantic import ValidationError

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.registry_messages import Lineage
from fedrec_protocol.secagg.distributed_noise import DistributedNoise
from fedrec_protocol.secagg.of_task import round_ring
from fedrec_protocol.tensors import DType
from fedrec_recipes import catalogue as recipes
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.privacy.noise_check import check_noise


def check_has_base(manifest: TaskManifest) -> None:
    """Refuse to draw parameters for a recipe that is made of trained ones.

    Raises:
        InvalidManifest: its versions are not initialised.
    """
    name = manifest.recipe.name
    if name in recipes.recipe_names() and recipes.recipe_type(name).needs_base:
        raise InvalidManifest(f"recipe {name!r} starts from trained models: set base_version to a version of them")


def check_runnable(manifest: TaskManifest) -> None:
    """Refuse now what would otherwise fail again and again in a worker.

    Raises:
        InvalidManifest: saying what to change.
    """
    for spec in manifest.shared:
        if spec.dtype is DType.BF16:
            raise InvalidManifest(f"shared tensor {spec.name!r} is BF16: share F32, and report BF16 to halve uploads")
    catalogue.check_fits(manifest)
    try:
        check_noise(manifest)
        if manifest.secure_aggregation is not None:
            round_ring(manifest)
            DistributedNoise.of(manifest)
    except ValueError as error:
        raise InvalidManifest(str(error)) from error
    try:
        Lineage(recipe=manifest.recipe.name, recipe_config=manifest.recipe.config)
    except ValidationError as error:
        reasons = "; ".join(item["msg"] for item in error.errors())
        raise InvalidManifest(f"the registry would not keep the recipe's configuration: {reasons}") from error
