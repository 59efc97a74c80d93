"""`python -m tests.serve ...`: the command `tsir`, with the encoder whose vectors can be computed by hand. For tests of real processes."""

from tests.fakes import FakeEncoder
from tsir import cli
from tsir.encoders import registry

if __name__ == "__main__":
    registry.load_encoder = lambda settings: FakeEncoder()
    cli.main()
