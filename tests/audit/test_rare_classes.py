"""A class of one picture that is taken for another is no weak class; one of many pictures is."""

import numpy as np

from backlight.audit import CHECKS, Examined, Kept, run_checks


def judged(counts: list[int], wrong: list[int]) -> str:
    """Return how the worst class is judged, where these many pictures of each class are wrong."""
    labels = np.repeat(np.arange(len(counts)), counts)
    said = labels.copy()
    for number, many in enumerate(wrong):
        said[np.flatnonzero(labels == number)[:many]] = (number + 1) % len(counts)
    kept = Kept.of(np.eye(len(counts))[said], labels=labels)
    findings = run_checks(Examined.of(kept), [CHECKS["worst_class"]]).findings
    return {one.name: one.judgement for one in findings}["worst_class"]


def test_four_mistakes_among_sixty_classes_of_one_picture_are_chance() -> None:
    assert judged([1] * 60, [1, 1, 1, 1]) == "good"


def test_a_class_of_many_pictures_that_is_mostly_wrong_is_bad() -> None:
    assert judged([100] * 10, [70, *[5] * 9]) == "bad"
    assert judged([100] * 10, [5] * 10) == "good"
