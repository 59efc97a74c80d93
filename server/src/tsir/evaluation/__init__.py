"""Benchmark folders become recall tables."""
