"""A disk that takes nothing more, behind a file or behind what is printed, and a current folder that is gone."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

_DISK_REFUSES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def told_of_disk(error: OSError) -> str:
    """Say in one sentence what a disk did not take, and lead standard output nowhere: it would fail at the end again.

    A current folder that is gone is told as such: names without a folder lead nowhere there. Raises the error itself
    where it is no disk's refusal.

    >>> told_of_disk(OSError(errno.ENOSPC, "No space left on device", "page.html"))
    'page.html: cannot be written: No space left on device'
    """
    if error.errno == errno.ENOENT and _current_folder_is_gone():
        return "the current folder is gone; expected one that is there; try: cd to another"
    if not refused_by_disk(error):
        raise error
    if error.filename is None:
        with contextlib.suppress(OSError):  # a stream of the program's own, which is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"{error.filename or 'standard output'}: cannot be written: {error.strerror}"


def refused_by_disk(error: BaseException) -> bool:
    """Whether an error says that a disk takes nothing more: no other work can be kept then either.

    >>> refused_by_disk(OSError(errno.ENOSPC, "No space left on device")), refused_by_disk(OSError(errno.ENOENT, ""))
    (True, False)
    """
    return isinstance(error, OSError) and error.errno in _DISK_REFUSES


def _current_folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False
