"""Attacks made on one model to fool another: rules, views and their registry, ensembles, and the study of a matrix."""
