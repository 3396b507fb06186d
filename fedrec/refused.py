"""The one type of a refusal on this side of the services."""


class Refused(Exception):
    """What was asked for cannot be done; the message says why, to whoever asked.

    A command answers with it. Any other ValueError in what it runs is a defect, and keeps its traceback.
    """
