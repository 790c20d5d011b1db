"""Counts the entries of a file that cannot be read, by cause."""

import logging

_MAX_NAMES = 5


class LeftOut:
    """Entries that are left out of a file while the rest is read."""

    def __init__(self):
        """Starts with no entry."""
        self._names: dict[str, list[str]] = {}

    def add(self, name: str, cause: str) -> None:
        """Counts an entry.

        Args:
            name: which entry it is, such as "person 3".
            cause: reason in a few words, the same for all entries of a kind.
        """
        self._names.setdefault(cause, []).append(name)

    def __len__(self) -> int:
        """Number of entries."""
        return sum(map(len, self._names.values()))

    def lines(self) -> list[str]:
        """Says for each cause how many entries it has, and names the first."""
        lines = []
        for cause, names in self._names.items():
            listed = ", ".join(names[:_MAX_NAMES])
            if len(names) > _MAX_NAMES:
                listed += f" and {len(names) - _MAX_NAMES} more"
            lines.append(f"{len(names)} left out, {cause}: {listed}")
        return lines

    def log(self, logger: logging.Logger, path) -> None:
        """Logs a warning for each cause, with the file's path before it."""
        for line in self.lines():
            logger.warning("%s: %s.", path, line)
