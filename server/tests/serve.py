"""`python -m tests.serve ...`: the command `tsir`, with the encoder whose vectors can be computed by hand. For tests of real processes."""

from itertools import islice

from tests.fakes import FakeEncoder
from tsir import cli
from tsir.encoders import registry
from tsir.importing import samples

SAMPLES = 120
"""Of five hundred: as many as show what they are for."""

if __name__ == "__main__":
    registry.load_encoder = lambda settings: FakeEncoder()
    few = dict(islice(samples.gallery().items(), SAMPLES))
    samples.gallery = lambda: few
    cli.main()
