"""The sub-commands of `fedrec`, a module each."""
