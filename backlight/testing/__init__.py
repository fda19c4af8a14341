"""Proofs for plug-ins and for everything that touches a model.

unchanged            a function leaves the model, its gradients and the global random state as they were
"""

from backlight.testing.unchanged import CALLERS, caller, small_net, snapshot, unchanged

__all__ = ["CALLERS", "caller", "small_net", "snapshot", "unchanged"]
