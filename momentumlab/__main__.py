"""The command ``momentumlab``, and ``python -m momentumlab``."""


def main() -> None:
    """Run the command. Before anything is imported that takes time, Ctrl-C gets a meaning other than a traceback."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from momentumlab.stopping import obey_signals

    obey_signals()
    from momentumlab.cli import main as command

    command()


if __name__ == "__main__":
    main()
