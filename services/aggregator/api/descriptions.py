"""What /docs says beside the routes: what the groups of them are for, and a task to try."""

from typing import Any

TAGS = [
    {"name": "tasks", "description": "For operators: create tasks, steer them, watch their rounds."},
    {"name": "credentials", "description": "For operators: keys of operators and of apps, devices, the audit log."},
    {"name": "participants", "description": "For devices: enrol, ask for work, report."},
    {"name": "secure aggregation", "description": "For devices: the phases of a round whose reports are masked."},
    {"name": "homomorphic encryption", "description": "For silos: the sum of a round whose reports are encrypted."},
    {"name": "operation", "description": "For what watches the service."},
]

MATRIX_FACTORISATION: dict[str, Any] = {
    "name": "films",
    "model": "films",
    "recipe": {"name": "mf", "config": {"number_of_items": 1000, "dimension": 16}},
    "shared": [
        {"name": "item_embeddings", "shape": [1000, 16], "init": {"kind": "normal", "scale": 0.075}},
        {"name": "item_popularity", "shape": [1000]},
        {"name": "user_gram", "shape": [16, 16]},
    ],
    "private": ["user_vector"],
    "report": {"weighting": "uniform", "maximum_norm": 10000.0},
    "metrics": ["hr@10", "ndcg@10"],
    "rounds": {"aggregation_goal": 100, "minimum_reports": 50, "deadline_seconds": 600},
    "training": {"learning_rate": 0.7},
    "stop": {"round_budget": 16},
}
"""What `fedrec_recipes` makes of recipe `mf` for a thousand items."""
