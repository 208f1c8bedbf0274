"""The simulated world: virtual time, network and disk, in which the code of `node` runs.

The member's code does not know that it is simulated. It calls only the interfaces of
`splitbrain.node.world`, which this package implements.
"""
