"""``python -m momentumlab``."""

from momentumlab.cli import main

main()
