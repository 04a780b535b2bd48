"""The command ``momentumlab``, and ``python -m momentumlab``."""

from momentumlab.stopping import obey_signals


def main() -> None:
    """Before anything of weight is imported, see to it that Ctrl-C ends the command in one line."""
    obey_signals()
    from momentumlab.cli import main as command

    command()


if __name__ == "__main__":
    main()
