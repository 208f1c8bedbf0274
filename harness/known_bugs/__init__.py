"""Lists the known bugs of tested stores, avoids their triggers, and excuses their anomalies."""
