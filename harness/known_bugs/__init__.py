"""The known bugs of stores: the triggers that a run avoids, and the anomalies that it excuses."""
