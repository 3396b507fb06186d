"""Names that stand in a URL or in a report."""

from typing import Annotated

from pydantic import StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9\-_.]{0,62}$")]
"""A name in a URL: lower-case letters, digits, dash, dot and underscore."""

MetricName = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
"""A metric such as `hr@10`."""
