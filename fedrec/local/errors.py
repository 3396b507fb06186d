"""What may go wrong on a laptop; every message is written for the person at the terminal."""


class LocalFailure(RuntimeError):
    """A part of the local deployment cannot run."""
