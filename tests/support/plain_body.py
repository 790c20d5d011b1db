"""Bodies without XLA, which compiles one for longer than a small test runs."""

from tf_hmr.body.model import Body


def make(*arguments, **options) -> Body:
    """A Body as a plain graph, whatever `jit` says."""
    return Body(*arguments, **(options | {"jit": False}))
