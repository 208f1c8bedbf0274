"""Exports a run as a trace for ui.perfetto.dev and Perfetto's trace processor."""
