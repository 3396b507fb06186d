"""Between a torch module and tensors by name. Importing this imports no torch: the module brings it."""

import fnmatch
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec, specs_of

if TYPE_CHECKING:
    import torch
    from torch import nn


def shared_specs(module: "nn.Module", private: Iterable[str] = ()) -> tuple[TensorSpec, ...]:
    """The tensors that a manifest shares when devices train this module.

    All floating-point entries of the state_dict whose name matches no private pattern. Integer and
    boolean buffers (a BatchNorm's counter) have no meaningful mean: they stay on the device.

    A server draws a task's first version by `init`: zeros and ones where the module has them, else normal numbers of
    the module's root mean square. To begin with the very values of the module, publish `initial_weights`.

    Args:
        module: The module.
        private: Name patterns (`user_*`), as in the manifest.
    """
    weights = initial_weights(module, private)
    return tuple(spec.model_copy(update={"init": _like(weights[spec.name])}) for spec in specs_of(weights))


def _like(values: NDArray[Any]) -> Initialiser:
    if not values.any():
        return Initialiser()
    if (values == 1).all():
        return Initialiser(kind=InitialiserKind.ONES)
    root_mean_square = float(np.sqrt(np.square(values, dtype=np.float64).mean()))
    return Initialiser(kind=InitialiserKind.NORMAL, scale=float(f"{root_mean_square:.3g}"))


def initial_weights(module: "nn.Module", private: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
    """The shared tensors with the values that the module has now, to publish as a task's base version."""
    patterns = tuple(private)
    return {
        name: to_array(tensor)
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point() and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def to_array(tensor: "torch.Tensor") -> NDArray[Any]:
    """A copy of a tensor in an element type that the wire carries: bfloat16 widens to float32, bool to uint8."""
    array = tensor.detach().to("cpu")
    if str(array.dtype) == "torch.bfloat16":
        array = array.float()
    copied = np.array(array.numpy())
    return copied.astype(np.uint8) if copied.dtype == np.bool_ else copied


def load_tensors(module: "nn.Module", tensors: Tensors) -> None:
    """Copy values into a module's parameters and buffers of the same names; others keep theirs.

    Raises:
        KeyError: the module has no tensor of such a name; it is not the one that the task's manifest was made of.
        ValueError: a tensor of another shape.
    """
    import torch  # noqa: PLC0415 - the caller has a module, so it is imported already

    state = module.state_dict(keep_vars=True)
    for name, array in tensors.items():
        if name not in state:
            raise KeyError(f"the module has no tensor {name!r}; it has {', '.join(state)}")
        if tuple(state[name].shape) != array.shape:
            raise ValueError(f"tensor {name!r} has shape {list(array.shape)}, the module's {list(state[name].shape)}")
        with torch.no_grad():
            state[name].copy_(torch.from_numpy(np.array(array)))
