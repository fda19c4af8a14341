"""Run the command line as `python -m backlight`, which `torchrun -m backlight` needs."""

from backlight.cli import main

if __name__ == "__main__":
    main()
