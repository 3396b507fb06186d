"""HTTP delivery: credentials, routes, problem documents, streaming. Decides nothing."""
