"""Draws the plotly figures over the time of a run: the timeline, the latencies and the rates."""
