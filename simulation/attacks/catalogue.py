"""The attacks by name, with the strengths that the command line uses."""

from collections.abc import Callable

from fedrec.refused import Refused
from simulation.attacks.attack import Attack
from simulation.attacks.label_shuffling import LabelShuffling
from simulation.attacks.noise import GaussianNoise
from simulation.attacks.scaling import SIGN_FLIP, Scaling

ATTACKS: dict[str, Callable[[int], Attack]] = {
    "sign-flip": lambda _: SIGN_FLIP,
    "scaling": lambda _: Scaling(),
    "noise": lambda _: GaussianNoise(),
    "label-shuffling": LabelShuffling,
}
"""Each made for a catalogue of so many items."""


def attack_named(name: str, number_of_items: int) -> Attack:
    """An attack by its name.

    Raises:
        Refused: no attack has it.
    """
    if name not in ATTACKS:
        raise Refused(f"unknown attack {name!r}; known: {', '.join(ATTACKS)}")
    return ATTACKS[name](number_of_items)
