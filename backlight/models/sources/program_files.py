"""What a program of torch is in a file, looked at before torch reads it: it is run, but reading it must run nothing.

torch's own reader unpickles whatever an exported program calls a weight, loads compiled libraries that lie beside it,
evaluates its expressions as Python and calls whatever it names below `torch`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backlight.core.errors import FileError
from backlight.core.pickles import check_pickle, values_of
from backlight.core.reading import ZIP_ERRORS, open_regular, parse_json
from backlight.core.tensors import read_pickled_stream

_SAVED = "a program as torch saves it"
_PICKLES = (".pkl", ".debug_pkl")
_GROWTH = 2  # torch stores without compression
_LIBRARIES, _PROGRAMS = "data/aotinductor/", "models/"
_OBJECTS = re.compile(r"data/constants/(custom|opaque)_obj_.*")
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|quantized_decomposed|higher_order)(?!\.(from_file|save)\b)(\.\w+){1,2}"
    r"|_operator\.(?!call$|methodcaller$|attrgetter$|itemgetter$)\w+|math\.\w+|torch\.sym_\w+"
)
_EXPRESSION = re.compile(r"[\w\s+\-*/(),.<>=!&|~']{1,1000}")
_WORDS = re.compile(r"[A-Za-z_]\w*")
_KNOWN = re.compile(
    r"[a-z]{1,4}\d+|Symbol|Integer|Rational|Float|Add|Mul|positive|negative|nonnegative|nonzero|integer|real|finite"
    r"|(Python)?Mod|(Floor|Ceil|Clean|IntTrue|FloatTrue)Div|ModularIndexing|Where|Max|Min|Abs|precision"
    r"|(Ceil|Floor|Trunc|Round)ToInt|ToFloat|Identity|Eq|Ne|True|False|oo|int_oo"
)
# A power of a power of a number may fill memory; those of one size do not.
_POWERS = re.compile(r"Pow\(Symbol\('[a-z]{1,4}\d+'(, \w+=\w+)*\), Integer\(-?\d\)\)|\b[a-z]{1,4}\d+\*\*\d(?![\d*])")
Entries = Mapping[str, bytes]


def read_archive(path: Path) -> Entries:
    """Read the entries of a program's file by name, without the folder that they lie in.

    Raises FileError for what is no archive, holds an entry twice, or unpacks to far more than it holds.
    """
    with open_regular(path, expected="a program of torch") as stream:
        most = _GROWTH * stream.seek(0, 2)
        try:
            with zipfile.ZipFile(stream) as archive:
                listed = archive.infolist()
                if sum(one.file_size for one in listed) > most:
                    raise FileError(path, f"unpacks to more than {most:,} bytes", expected=_SAVED)
                found = {one.filename: archive.read(one) for one in listed}
        except ZIP_ERRORS as error:
            raise FileError(path, f"is no whole archive ({error})", expected=_SAVED) from None
    if len(found) < len(listed) or "" in found:
        raise FileError(path, "holds an entry twice, or one without a name", expected=_SAVED)
    return found


def script_stream(path: Path) -> io.BytesIO:
    """Return a TorchScript file with what was looked at, and nothing else.

    Raises FileError for pickles made to keep their reader busy or to fill memory.
    """
    entries = read_archive(path)
    for name, data in entries.items():
        if name.endswith(_PICKLES):
            try:
                check_pickle(io.BytesIO(data), values_of(len(data)))
            except Exception as error:  # a broken pickle decides which one it is
                raise FileError(path, f"holds the broken pickle {name[:80]} ({error})", expected=_SAVED) from None
    return _packed(entries)


def exported_stream(path: Path) -> io.BytesIO:
    """Return a file of `torch.export.save` with what was looked at, and nothing else.

    Raises FileError where reading it would run code: pickled objects, compiled libraries, operators other than torch's
    own, expressions that are none of sizes.
    """
    entries = dict(read_archive(path))
    for name, data in entries.items():
        inner = name.partition("/")[2]
        if inner.startswith(_LIBRARIES):
            raise FileError(path, f"holds a compiled library, {name}, which would be run", expected="a graph alone")
        if _OBJECTS.fullmatch(inner):
            raise _objects(path, name)
        if name.endswith(".pt") and data:
            read_pickled_stream(io.BytesIO(data), path, expected="inputs and weights that are tensors")
        if name.endswith(".json") or inner.startswith(_PROGRAMS):
            entries[name] = _checked(path, name, parse_json(data, path))
    return _packed(entries)


def _checked(path: Path, entry: str, document: Any) -> bytes:
    """Check a document of an archive, and return it without what would be run."""
    for one in _objects_in(document):
        if one.get("use_pickle", False) is not False:
            raise _objects(path, entry)
        target, size = one.get("target", "") if "inputs" in one else "", one.get("expr_str")
        if target and not (isinstance(target, str) and _OPERATORS.fullmatch(target)):
            raise FileError(path, f"calls {str(target)[:80]!r}", expected="operators of torch")
        if size is not None and not (isinstance(size, str) and _is_of_sizes(size)):
            raise FileError(path, f"has the expression {str(size)[:80]!r}", expected="one of sizes, such as 2*s0")
    if isinstance(document, dict) and "guards_code" in document:
        document["guards_code"] = []  # Python that torch would run to check inputs, which are checked already
    return json.dumps(document).encode()


def _is_of_sizes(text: str) -> bool:
    plain = _POWERS.sub("s0", text)
    known = all(map(_KNOWN.fullmatch, _WORDS.findall(plain)))
    return known and "**" not in plain and _EXPRESSION.fullmatch(plain) is not None


def _objects_in(document: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object, however deep it lies."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _objects(path: Path, entry: str) -> FileError:
    found = f"holds Python objects in {entry[:80]}, which could run code and are not loaded"
    return FileError(path, found, expected="a program with plain tensors")


def _packed(entries: Entries) -> io.BytesIO:
    """Write entries anew, so that no other reader of archives sees others in them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer
