"""Training of the encoders: data, synthetic sketches, losses, models, loop and export. Needs the ``train`` extra."""
