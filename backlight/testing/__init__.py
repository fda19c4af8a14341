"""Proofs for plug-ins, and for everything that touches a model.

check_method, check_metric    methods of explanation and their metrics
check_attack                  attacks; check_corruption: kinds of corruption
check_source                  data; check_check: checks of the audit
unchanged                     a function leaves the model, its gradients and the global random state as they were
small_challenge               a little challenge for the example of an attack
"""

from backlight.testing.attacks import check_attack, small_challenge
from backlight.testing.checks import check_check
from backlight.testing.corruptions import check_corruption
from backlight.testing.methods import check_method, check_metric
from backlight.testing.sources import check_source
from backlight.testing.unchanged import CALLERS, caller, small_net, snapshot, unchanged

__all__ = [
    "CALLERS",
    "caller",
    "check_attack",
    "check_check",
    "check_corruption",
    "check_method",
    "check_metric",
    "check_source",
    "small_challenge",
    "small_net",
    "snapshot",
    "unchanged",
]
