"""Measurements over all planted bugs (`splitbrain.harness.mutants`)."""
