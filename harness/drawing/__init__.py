"""Draws schedules from options and a seed."""
