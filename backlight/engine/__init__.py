"""How long work is carried out: on which device, in how many processes, in how large pieces, and seen by whom.

processes    devices, and the processes that torchrun starts
chunks       a function over slices, halved on out-of-memory, with the same result at any size
progress     drawn on a terminal, silent in a pipe
interrupt    Ctrl-C between two steps
"""
