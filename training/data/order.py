"""Which record stands at which row of which step: pure arithmetic.

Nothing here is drawn in sequence, so step k of a run is the same whether the
run started at 0 or at k, on one device or on many.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np


class Order:
    """Endless passes over `size` items, each pass in an order of its own.

    Args:
        size: number of items.
        seed: integers >= 0 that name this order; the number of the pass
            joins them.
    """

    def __init__(self, size: int, seed: Sequence[int]) -> None:
        self.size = size
        self._seed = tuple(seed)
        # A batch touches at most two passes; several batches are in flight.
        self._pass = functools.lru_cache(maxsize=4)(self._shuffled)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """The items at these positions of the endless sequence."""
        passes, places = np.divmod(np.asarray(positions, np.int64), self.size)
        items = np.empty_like(places)
        for number in np.unique(passes):
            here = passes == number
            items[here] = self._pass(int(number))[places[here]]
        return items

    def _shuffled(self, number: int) -> np.ndarray:
        random = np.random.default_rng((*self._seed, number))
        return random.permutation(self.size)


class Layout:
    """How the rows of every batch are shared out among the sources.

    The number of rows of a source is the same in every batch (the largest
    remainders round up), and the sources alternate, so that any stretch of
    rows, which is what one device gets, holds nearly the same mix.

    Attributes:
        counts: rows per source in a batch.
        sources: (batch_size,) the source of each row.
        ranks: (batch_size,) which of its source's rows each row is.

    Raises:
        ValueError: a share is not positive, or too small for one row.
    """

    def __init__(self, shares: Sequence[float], batch_size: int) -> None:
        shares = np.asarray(shares, np.float64)
        if not len(shares) or not (shares > 0).all():
            raise ValueError(
                f"The shares of the sources are {shares.tolist()}; expected "
                "at least one, and all of them positive."
            )
        exact = shares / shares.sum() * batch_size
        counts = np.floor(exact + 1e-9).astype(np.int64)
        by_remainder = np.argsort(counts - exact, kind="stable")
        counts[by_remainder[: batch_size - counts.sum()]] += 1
        if not counts.all():
            raise ValueError(
                f"Shares {shares.tolist()} give a source no row in a batch of "
                f"{batch_size}. Raise batch_size or that share."
            )
        self.counts = tuple(counts.tolist())
        rows = itertools.chain.from_iterable(
            (((rank + 0.5) / count, source, rank) for rank in range(count))
            for source, count in enumerate(self.counts)
        )
        _, sources, ranks = zip(*sorted(rows), strict=True)
        self.sources = np.array(sources, np.int64)
        self.ranks = np.array(ranks, np.int64)

    def positions(self, step: int) -> np.ndarray:
        """(batch_size,) of each row in the sequence of its source."""
        return step * np.array(self.counts)[self.sources] + self.ranks
