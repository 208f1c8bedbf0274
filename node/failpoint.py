"""Named places before and after each step of the write path where a test can act.

A failpoint is off, or a term in the manner of gofail: `off`, `sleep(MS)`, `panic`
(the process ends at once, as if killed), `error` (the step raises FailpointError).
`N*term` acts N times and is then off; `P%term` acts with probability P percent;
`N#term` waits for the N-th visit. Set by the environment variable
`SPLITBRAIN_FAILPOINTS="before_leader_wal=panic;after_replicate=sleep(200)"` or over
the admin endpoint.
"""
