"""Attribution by one gradient: saliency, gradient x input, guided backpropagation, deconvnet."""

from __future__ import annotations

from backlight.explain.attribution import Attribution
from backlight.explain.session import Session


def saliency(session: Session) -> Attribution:
    """Return the gradient of the score; its largest magnitude over channels is the map of Simonyan et al. (2014)."""
    raw = session.gradient()
    return Attribution("saliency", raw, "magnitude", session.image_size, forwards=1, backwards=1)


def gradient_x_input(session: Session) -> Attribution:
    """Multiply the gradient with the input (Shrikumar et al., 2016); sums to the score where that is linear."""
    raw = session.gradient() * session.values(session.images)
    return Attribution("gradient_x_input", raw, "sum", session.image_size, forwards=1, backwards=1)


def guided_backprop(session: Session) -> Attribution:
    """Let only positive gradients pass rectifiers that were active (Springenberg et al., 2015).

    Raises ModelError where the network has no rectifier.
    """
    return _rectified(session, "guided_backprop", "guided")


def deconvnet(session: Session) -> Attribution:
    """Let only positive gradients pass rectifiers, active or not (Zeiler and Fergus, 2014).

    Raises ModelError where the network has no rectifier.
    """
    return _rectified(session, "deconvnet", "deconvnet")


def _rectified(session: Session, name: str, rule: str) -> Attribution:
    switch = session.recorded.switch
    switch.require_hits(name)
    raw = session.gradient(rule)
    notes = [f"{sum(switch.rectifiers.values())} rectifier calls overridden"]
    if switch.others:
        kept = ", ".join(f"{kind} x{count}" for kind, count in switch.others.items())
        notes.append(f"activations that kept their own derivative: {kept}")
    return Attribution(name, raw, "magnitude", session.image_size, forwards=1, backwards=1, notes=tuple(notes))
