"""Chooses each run of a campaign by what the earlier runs reached."""
