"""ONE way to take a model over a data set: in blocks, resumable, by any number of processes.

cost        what one picture costs, and so how many make a block: arithmetic, never a clock
task        what is to be done to which pictures, and what its results depend on
claims      which process is at work on which block
parts       finished blocks, in a folder or in memory
runner      `sweep`: pull the blocks that nobody has, and hand the parts back in order
estimate    time and memory of the whole, after the first block
jobs        how far a sweep is, for whoever asks
"""

from backlight.sweep.cost import Cost, block_size
from backlight.sweep.runner import Swept, sweep
from backlight.sweep.task import Advance, Part, Task

__all__ = ["Advance", "Cost", "Part", "Swept", "Task", "block_size", "sweep"]
