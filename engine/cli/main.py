"""The command line's front door."""


def main() -> None:
    """Run the command line."""
