"""Thin delivery: HTTP in, domain errors out as problem documents."""
