"""What a CI system shows of runs: summary, test results, annotations, code quality."""
