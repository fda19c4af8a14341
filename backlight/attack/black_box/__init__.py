"""Attacks that ask for outputs only: each picture walks on its own, and the queries of all are answered together."""
