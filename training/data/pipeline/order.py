"""Order of the records: the record at each row of each step, by arithmetic.

Nothing is drawn in sequence, so step k of a run is the same whether the run
started at 0 or at k, on one device or on many.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np


class Order:
    """Endless passes over `size` items, each pass in an order of its own.

    Args:
        size: number of items.
        seed: integers >= 0 that name this order; the number of the pass is
            appended to them.
    """

    def __init__(self, size: int, seed: Sequence[int]) -> None:
        self.size = size
        self._seed = tuple(seed)
        # A batch touches at most two passes; several batches are in flight.
        self._pass = functools.lru_cache(maxsize=4)(self._shuffled)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """The items at these positions of the endless sequence."""
        passes, offsets = np.divmod(np.asarray(positions, np.int64), self.size)
        items = np.empty_like(offsets)
        for pass_number in np.unique(passes):
            in_pass = passes == pass_number
            items[in_pass] = self._pass(int(pass_number))[offsets[in_pass]]
        return items

    def _shuffled(self, pass_number: int) -> np.ndarray:
        random = np.random.default_rng((*self._seed, pass_number))
        return random.permutation(self.size)


class Layout:
    """Distribution of the rows of the batches among the sources.

    The number of rows of a source is the same in every batch (the largest
    remainders round up), and the sources alternate, so that any stretch of
    rows, such as one device gets, holds nearly the same mix. Where a source
    would get no row, rows are distributed over a cycle of several batches.

    With `alternate` a batch is of one source, and the sources take turns; the
    cycle has as many batches of each as its share says.

    Attributes:
        cycle: batches after which the layout repeats; mostly 1.
        counts: rows per source in a cycle.
        sources: (cycle * batch_size,) the source of each row.

    Raises:
        ValueError: a share is not positive.
    """

    # Rows of the smallest source in a cycle: its share is exact to an eighth.
    _MIN_ROWS = 4

    def __init__(
        self,
        shares: Sequence[float],
        batch_size: int,
        alternate: bool = False,
    ) -> None:
        shares = np.asarray(shares, np.float64)
        if not len(shares) or not (shares > 0).all():
            raise ValueError(
                f"The shares of the sources are {shares.tolist()}; expected "
                "at least one, and all of them positive."
            )
        self._batch_size = batch_size
        if alternate:
            self._alternate(Layout(shares, 1))
            return
        exact = shares / shares.sum() * batch_size
        self.cycle, counts = 1, _rounded(exact)
        if not counts.all():
            self.cycle = int(np.ceil(self._MIN_ROWS / exact.min()))
            counts = _rounded(exact * self.cycle)
        self.counts = tuple(counts.tolist())
        rows = itertools.chain.from_iterable(
            (((rank + 0.5) / count, source, rank) for rank in range(count))
            for source, count in enumerate(self.counts)
        )
        _, sources, ranks = zip(*sorted(rows), strict=True)
        self.sources = np.array(sources, np.int64)
        self._ranks = np.array(ranks, np.int64)

    def _alternate(self, turns: "Layout") -> None:
        """Takes the layout of batches of one row, with a batch for each row."""
        size = self._batch_size
        self.cycle = turns.cycle
        self.counts = tuple(size * count for count in turns.counts)
        self.sources = np.repeat(turns.sources, size)
        ranks = turns._ranks[:, None] * size + np.arange(size)
        self._ranks = ranks.reshape(-1)

    def rows(self, step: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The source of each of `rows` of a batch, and the position in it.

        Args:
            step: number of the batch.
            rows: (n,) in 0 .. batch_size - 1.

        Returns:
            sources (n,) and positions (n,) in the sources' sequences.
        """
        cycles, batch_in_cycle = divmod(step, self.cycle)
        slots = batch_in_cycle * self._batch_size + rows
        sources = self.sources[slots]
        counts = np.array(self.counts)[sources]
        return sources, cycles * counts + self._ranks[slots]


def _rounded(exact: np.ndarray) -> np.ndarray:
    """Rounds to integers of the same sum; the largest remainders go up."""
    counts = np.floor(exact + 1e-9).astype(np.int64)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: round(exact.sum()) - counts.sum()]] += 1
    return counts
