"""Chooses each run of a campaign by the situations that earlier runs reached, such as elections."""
