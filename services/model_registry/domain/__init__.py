"""What the registry decides, on plain values: no I/O."""
