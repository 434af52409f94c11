"""``python -m masc_core`` is ``masc``."""

from masc_core.cli import main

if __name__ == "__main__":
    main(prog_name="masc")
