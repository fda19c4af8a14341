"""Write the demonstration: `make demo`, or python tools/demo.py FOLDER. It opens from the disk, without a server."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from backlight.app.demo import write_demo

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    print(write_demo(folder, tell=print))
