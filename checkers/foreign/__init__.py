"""Histories that other tools recorded, judged by the model that their operations belong to."""
