"""Problem slugs are a promise: each has a title, and none ever changes."""

from __future__ import annotations

import re

from fedrec_protocol.problems import TITLE, Slug


def test_every_slug_has_a_title() -> None:
    assert TITLE.keys() == set(Slug)
    assert len(set(TITLE.values())) == len(Slug)


def test_a_slug_is_a_plain_word_in_an_address() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in Slug)
