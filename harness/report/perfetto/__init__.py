"""A run as a trace that ui.perfetto.dev and Perfetto's trace processor open."""
