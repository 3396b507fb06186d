"""Operating fedrec: the command line, the operator client and a local stack."""
