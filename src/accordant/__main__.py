"""`python -m accordant` is the command line; launchers such as torchrun start it this way."""

from accordant.cli.main import main

if __name__ == "__main__":
    main()
