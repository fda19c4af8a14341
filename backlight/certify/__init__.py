"""What can be proved about a classifier: no perturbation within a bound changes its answer.

smoothing    randomized smoothing: any network, l2, a proof that holds but for a chosen chance
bounds       interval bounds and CROWN: small networks of known layers, linf, a proof without exception (room `bounds`)
evaluating   a whole data set: a `request` in, a `study` out, beside what attacks reach
"""

from backlight.certify.bounds import BoundCertificates, certify_by_bounds
from backlight.certify.evaluating import evaluate_certificates
from backlight.certify.request import CertifyRequest
from backlight.certify.smoothing import SmoothingCertificates, certify_by_smoothing
from backlight.certify.study import CertificateStudy, CertifiedShare

__all__ = [
    "BoundCertificates",
    "CertificateStudy",
    "CertifiedShare",
    "CertifyRequest",
    "SmoothingCertificates",
    "certify_by_bounds",
    "certify_by_smoothing",
    "evaluate_certificates",
]
