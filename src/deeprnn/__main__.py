"""`python -m deeprnn` is `deeprnn`, such as for torchrun."""

from deeprnn.cli import main

if __name__ == "__main__":
    main()
