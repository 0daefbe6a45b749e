"""Readers of weight files, one format each. All of them refuse to run what they read."""
