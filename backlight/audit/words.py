"""Words that many findings share: numbers with their nouns and verbs, and articles."""

from __future__ import annotations

_SINGULAR = {"are": "is", "have": "has", "were": "was", "do": "does", "look": "looks"}
_SILENT, _SOUNDED = ("hour", "honest", "honor", "heir"), ("uni", "eu", "one", "use", "usu", "ura", "uto", "ute", "ubi")


def pictures(number: int) -> str:
    """Phrase a number of pictures, with thousands told apart.

    >>> pictures(1), pictures(2000)
    ('1 picture', '2,000 pictures')
    """
    return number_of(number, "picture")


def number_of(number: int, noun: str, verb: str = "") -> str:
    """Phrase a number of things, with the verb (in its plural form) that fits the number.

    >>> number_of(1, "class", "have"), number_of(0, "class", "have"), number_of(2000, "picture", "are")
    ('1 class has', '0 classes have', '2,000 pictures are')
    """
    plural = "" if number == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return " ".join(filter(None, (f"{number:,} {noun}{plural}", agreeing(number, verb))))


def some_of(number: int, total: int, noun: str = "picture", verb: str = "are") -> str:
    """Phrase a part of a number of things, with the verb (in its plural form) that fits the part.

    >>> some_of(1, 1000), some_of(0, 1), some_of(2, 2, "class", "have")
    ('1 of 1,000 pictures is', '0 of 1 picture are', '2 of 2 classes have')
    """
    return " ".join(filter(None, (f"{number:,} of {number_of(total, noun)}", agreeing(number, verb))))


def agreeing(number: int, verb: str) -> str:
    """Return a verb, given in its plural form, as a number of things asks for it.

    >>> agreeing(1, "are"), agreeing(0, "are"), agreeing(2, "have")
    ('is', 'are', 'have')
    """
    return _SINGULAR.get(verb, f"{verb}s" if verb else "") if number == 1 else verb


def with_article(name: str) -> str:
    """Put the indefinite article before a name, by how it most likely sounds.

    >>> with_article("automobile"), with_article("dog"), with_article("hourglass"), with_article("unicycle")
    ('an automobile', 'a dog', 'an hourglass', 'a unicycle')
    """
    low = name.lower()
    vowel = low.startswith(("a", "e", "i", "o", "u")) and not low.startswith(_SOUNDED)
    return f"{'an' if vowel or low.startswith(_SILENT) else 'a'} {name}"
