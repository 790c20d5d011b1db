"""The names of devices that commands take, without TensorFlow."""

KINDS = ("auto", "cpu", "gpu")


def parse(devices: str) -> tuple[str, list[int]]:
    """Reads the value of `--devices`.

    Args:
        devices: "auto", "cpu", "gpu", "cpu:2" or "gpu:0,1".

    Returns:
        One of KINDS; and the number of CPU devices, or the numbers of GPUs,
        empty where none stands there.

    Raises:
        ValueError: it is none of these.
    """
    kind, _, suffix = devices.partition(":")
    words = suffix.split(",") if suffix else []
    if kind not in KINDS or (kind == "auto" and words):
        raise ValueError(
            f"Unknown devices {devices!r}. Write auto, cpu, cpu:2, gpu or "
            "gpu:0,1."
        )
    lowest, most = (1, 1) if kind == "cpu" else (0, len(set(words)))
    numeric = all(word.isdigit() and int(word) >= lowest for word in words)
    if not numeric or len(words) > most:
        raise ValueError(
            f"devices={devices!r}: after the colon come the number of CPU "
            "devices (cpu:2), or the numbers of GPUs from 0 (gpu:0,1)."
        )
    return kind, [int(word) for word in words]
