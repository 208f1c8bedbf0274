"""A page that plays a simulated run back: the state of every member at any time."""
