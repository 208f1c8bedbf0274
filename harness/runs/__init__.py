"""Executes schedules: the one way in which every run happens."""
