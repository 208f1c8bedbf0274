"""The choice of the next run by the conditions that earlier runs reached."""
