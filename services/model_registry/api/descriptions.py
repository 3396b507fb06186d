"""What /docs says beside the routes: what the groups of them are for."""

TAGS = [
    {"name": "models", "description": "Names under which versions are published."},
    {"name": "versions", "description": "What was published: never changed, with lineage and metrics."},
    {"name": "weights", "description": "The versions' tensors, as safetensors files under their digests."},
    {"name": "aliases", "description": "Which version devices fetch: promotion, roll-back, and the log of both."},
    {"name": "catalogues", "description": "Which item each row of a model's item tensors stands for."},
    {"name": "credentials", "description": "Operator keys, and the audit log."},
    {"name": "operation", "description": "For what watches the service."},
]
