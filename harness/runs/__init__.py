"""One run of any kind: executes a schedule, in real time or in simulation, once or twice."""
