"""From a catalogue's interactions to a task: what suits it, what it costs, and how well it should do."""
