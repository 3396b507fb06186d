"""For tests of apps that embed the SDK: an aggregator and a registry in one object, over real HTTP."""

from fedrec_sdk.testing.fake_aggregator import FakeAggregator

__all__ = ["FakeAggregator"]
