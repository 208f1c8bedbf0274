"""The simulated world: virtual time, network and disk, in which the same `node` code runs.

Nothing here knows a member's inside, and the member's code does not know that it is
simulated: both meet at `splitbrain.node.world`.
"""
