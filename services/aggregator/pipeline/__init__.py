"""The journey of a round, one step a module: assign, intake, close, aggregate, publish."""
