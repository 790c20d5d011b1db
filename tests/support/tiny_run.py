"""Flags of `training.fit quick` for a run of seconds."""

TINY = (
    "--method.image-size=64",
    "--method.encoder-width=8",
    "--method.hidden=32",
    "--data.batch-size=8",
    "--eval-every=4",
    "--save-every=4",
    "--log-every=2",
)
