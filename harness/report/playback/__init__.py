"""Renders the page that replays a simulated run: the state of every member at any time."""
