"""The paper's model: TASK-former (Sangkloy et al., "A Sketch Is Worth a Thousand Words", ECCV 2022). Needs the extra `torch`."""
