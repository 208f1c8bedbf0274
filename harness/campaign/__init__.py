"""Many runs: campaigns and hunts over seeds in simulation, and the corpus of saved runs."""
