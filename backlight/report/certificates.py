"""The section of certificates: what is proved within which radius, beside what attacks left standing."""

from __future__ import annotations

from markupsafe import Markup

from backlight.certify.study import CertificateStudy, CertifiedShare, radius_text
from backlight.page.charts import line_chart
from backlight.page.plot import Line
from backlight.page.sections import Section, percent
from backlight.report.fill import fill

_WORDS = {
    "smoothing": "randomized smoothing: the class that the network names most often under noise",
    "ibp": "interval bounds: what every value of the network may become within eps",
    "crown": "CROWN: linear functions of the picture that lie below every margin within eps",
}


def certificates_section(study: CertificateStudy, *, data: str = "") -> Section:
    """Write the section."""
    facts = {
        "study": study,
        "data": data,
        "settings": study.request.settings,
        "main": main_share(study),
        "shares": study.shares,
        "how": _WORDS[study.request.name],
        "radius": lambda one: radius_words(study, one),
        "chart": _chart(study),
        "largest": radius_text(study.request.largest),
    }
    return Section("certificates", "What can be proved?", fill("certificates.html", facts))


def main_share(study: CertificateStudy) -> CertifiedShare:
    """Return the share that a headline tells: at eps, or at a radius of one sigma.

    >>> from backlight.certify import CertifyRequest
    >>> from backlight.table import Table
    >>> columns = {"certified": [0], "radius": [0.3]}
    >>> main_share(CertificateStudy(Table.of(id=["a"], label=[0], prediction=[0], **columns), CertifyRequest())).radius
    0.25
    """
    return study.at(study.request.settings["sigma"] if study.request.smoothing else study.request.size)


def radius_words(study: CertificateStudy, radius: float) -> str:
    """Write a radius with its norm, in l2 as pixel units, in linf as color levels of 255.

    >>> from backlight.certify import CertifyRequest
    >>> from backlight.table import Table
    >>> radius_words(CertificateStudy(Table.of(id=[]), CertifyRequest("ibp")), 2 / 255)
    '2 of 255 color levels'
    """
    return f"{radius:.4g} in l2" if study.request.smoothing else f"{radius * 255:.3g} of 255 color levels"


def certificates_headline(study: CertificateStudy) -> str:
    """Say in a line what is proved.

    >>> from backlight.certify import CertifyRequest
    >>> from backlight.table import Table
    >>> columns = {"certified": [0], "radius": [0.3]}
    >>> study = CertificateStudy(Table.of(id=["a"], label=[0], prediction=[0], **columns), CertifyRequest())
    >>> certificates_headline(study)
    '100% proved within 0.25 in l2'
    """
    main = main_share(study)
    return f"{percent(main.share)} proved within {radius_words(study, main.radius)}"


def _chart(study: CertificateStudy) -> Markup:
    shares = study.shares
    if len(shares) < 2:
        return Markup("")
    lines = [
        Line(
            tuple((one.radius, one.share) for one in shares),
            "proved, of the smoothed classifier",
            band=tuple(one.interval for one in shares),
        )
    ]
    if shares[0].attacked is not None:
        points = tuple((one.radius, one.attacked or 0.0) for one in shares)
        lines.append(Line(points, "left by DDN, of the network alone", dashed=True))
    alt = (
        "The share of pictures that are proved to be named rightly, for changes of growing size, with its 95% interval"
    )
    return line_chart(lines, alt=alt, x_label="largest change (l2, pixel units)", x_text=radius_text)
