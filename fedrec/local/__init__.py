"""Everything a laptop needs to run fedrec: a Postgres from a wheel, and the services as child processes."""
