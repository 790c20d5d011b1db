"""What runs a training: loop, step, checkpoints, workdir, devices, workers."""
