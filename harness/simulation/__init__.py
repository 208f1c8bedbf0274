"""Simulates time, network, disks and clocks, so that the code of `node` runs in one process.

The member's code does not know that it is simulated. It calls only the interfaces of
`splitbrain.node.world`, which this package implements.
"""
