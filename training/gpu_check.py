r"""Checks training on this machine's GPUs: whether it is right, and how fast.

    python -m training.gpu_check
    python -m training.gpu_check --devices gpu:0 --out out/gpu_check
    python -m training.gpu_check --devices cpu:2 --checks see steps replicas
    python -m training.gpu_check --checks speed --batches 64 128 256

The checks, each in processes of its own:
  see       what TensorFlow sees, with driver, CUDA and cuDNN, and the cure
            where it sees no GPU though a card is there
  steps     one step of each method on the device against one on the CPU
  replicas  two replicas against one device, and a control: a gradient that is
            doubled in one of them must be noticed
  resume    a run that kill -9 ends and that continues, against one that runs on
  speed     images/s by encoder, batch and precision, with the share of the
            device's own rate of matrix products, and memory
  input     the input pipeline alone, and the cores that a GPU needs

OUT/gpu_check.json has every figure, OUT/gpu_check.md the tables. The exit
status is 1 if a check fails, and 2 if it cannot be made.
"""

import dataclasses
import datetime
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

# Before TensorFlow starts in a process of a check.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tyro

from training.engine import exit_status, provenance
from training.gpu_checks import (
    comparison,
    input_rates,
    machines,
    networks,
    processes,
    rates,
    replicas,
    results,
    resume,
    step_agreement,
)

Check = Literal["see", "steps", "replicas", "resume", "speed", "input"]
CHECKS: tuple[Check, ...] = (
    *("see", "steps", "replicas", "resume", "speed", "input"),
)
_BATCHES_CPU, _BATCHES_GPU = (8,), (32, 64, 128, 256)
_UNREADABLE = 2


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of `training.gpu_check`."""

    devices: str = "auto"
    """auto, cpu, cpu:2 (two virtual devices), gpu, gpu:0,1."""
    out: Path = Path("runs/gpu_check")
    """Folder of the report."""
    checks: tuple[Check, ...] = CHECKS
    """Checks to make."""
    methods: tuple[str, ...] = ()
    """Methods whose steps are compared; default: all there are."""
    check_image_size: int = 64
    """Side of the crops of the compared steps, in pixels."""
    check_batch: int = 8
    """Images of a compared step, over all devices."""
    encoders: tuple[str, ...] = ("small", "mobilenet_v3", "resnet50")
    """Encoders to time."""
    image_size: int = 224
    """Side of the crops in the timed steps, in pixels."""
    precisions: tuple[Literal["float32", "bfloat16"], ...] = (
        "float32",
        "bfloat16",
    )
    """Precisions of the timed steps."""
    batches: tuple[int, ...] = ()
    """Images of a timed step, over all devices; default: 8 on a CPU; 32, 64,
    128 and 256 on GPUs. Of one that does not fit, the largest that does."""
    rounds: int = 3
    """Rounds of 4 timed steps; the median counts."""
    input_batches: int = 20
    """Batches of 64 images that each input pipeline makes while it is timed."""


def run(args: Args) -> results.Results:
    """Makes the checks and writes the report, also after each of them.

    Raises:
        ValueError: there is no such device or method, or a batch does not
            divide among the devices.
    """
    small = tuple(networks.networks(args.methods, args.check_image_size))
    try:
        machine = processes.call(machines.read, args.devices)
    except processes.CheckError as error:
        raise ValueError(str(error)) from None
    batches = args.batches or (_BATCHES_GPU if machine.gpus else _BATCHES_CPU)
    _check_batches(args, batches, machine.replicas)
    report = results.Results(
        device="; ".join(machine.gpus) or results.CPU,
        processor=machine.processor,
        devices=args.devices,
        versions=machine.versions
        | {
            "commit": provenance.commit(),
            "date": datetime.date.today().isoformat(),
        },
    )
    print(f"Training on: {report.device}. Processor: {report.processor}.")
    if "see" in args.checks:
        report.machine, report.cure = machine.facts, machine.cure
        _print_machine(report)
    for check, work in (
        ("steps", lambda: _steps(args, small, report)),
        ("replicas", lambda: _replicas(args, small, report)),
        ("resume", lambda: _resume(args, small[0], report)),
        ("speed", lambda: _speed(args, batches, machine, report)),
        ("input", lambda: _input(args, report)),
    ):
        if check in args.checks:
            print(f"{check}:", flush=True)
            for line in work():
                print(f"  {line}", flush=True)
                results.write(report, args.out)
    results.write(report, args.out)
    return report


def _check_batches(
    args: Args, batches: tuple[int, ...], replica_count: int
) -> None:
    """Refuses batches that the replicas of a check cannot share.

    Raises:
        ValueError: names the option.
    """
    if "speed" in args.checks:
        for batch in batches:
            _check_divides("--batches", batch, replica_count)
    if {"steps", "replicas", "resume"} & set(args.checks):
        # A single device is taken as two.
        count = max(replica_count, 2)
        _check_divides("--check-batch", args.check_batch, count)


def _check_divides(option: str, batch: int, replica_count: int) -> None:
    if batch < 1:
        raise ValueError(f"{option} is {batch}, expected 1 image or more.")
    try:
        networks.check_divides(batch, replica_count)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _print_machine(report: results.Results) -> None:
    for name, text in (report.machine | report.versions).items():
        print(f"  {name}: {text}")
    if report.cure:
        print(f"  Cure: {report.cure}.")


def _steps(args: Args, small, report: results.Results) -> Iterator[str]:
    for network in small:
        yield from _compared(
            step_agreement.compare, args, network, report.steps, "float32"
        )


def _replicas(args: Args, small, report: results.Results) -> Iterator[str]:
    for network in small:
        yield from _compared(
            replicas.compare, args, network, report.replicas, "replicas"
        )


def _compared(
    compare: Callable,
    args: Args,
    network: networks.Network,
    rows: list[comparison.Row],
    tolerance: str,
) -> Iterator[str]:
    """Adds the rows of one network; yields a line for each."""
    try:
        compared = processes.call(
            compare, args.devices, network, args.check_batch
        )
    except processes.CheckError as error:
        compared = [comparison.failed(network.label, tolerance, str(error))]
    for row in compared:
        rows.append(row)
        yield line(row)


def line(row: comparison.Row) -> str:
    """A row as one line of the terminal."""
    if row.skipped:
        return f"refused  {row.label}: {row.note}"
    state = "passed" if row.passed else "FAILED"
    return (
        f"{state}  {row.label}: terms {row.values:.1e}, gradients "
        f"{row.gradients:.1e} ({row.worst or row.note})"
    )


def _resume(args: Args, network, report: results.Results) -> Iterator[str]:
    try:
        report.continuation = resume.check(
            args.devices, network, args.check_batch
        )
    except processes.CheckError as error:
        report.errors.append(f"resume: {error}")
        yield report.errors[-1]
        return
    state = "passed" if report.continuation.passed else "FAILED"
    yield f"{state}  {report.continuation.text}"


def _speed(
    args: Args,
    batches: tuple[int, ...],
    machine: machines.Machine,
    report: results.Results,
) -> Iterator[str]:
    precisions = [p for p in args.precisions if p not in machine.refused]
    yield from machine.refused.values()
    for precision in precisions:
        try:
            rate = processes.call(rates.matrix_rate, args.devices, precision)
        except processes.CheckError as error:
            report.errors.append(f"matrices in {precision}: {error}")
            yield report.errors[-1]
            continue
        report.matrix_rates[precision] = rate
        yield f"square matrices, {precision}: {rate:.3f} TFLOP/s"
    for encoder in args.encoders:
        for precision in precisions:
            for batch in batches:
                yield _speed_of_one(
                    args, encoder, precision, batch, machine.replicas, report
                )


def _speed_of_one(
    args: Args,
    encoder: str,
    precision: str,
    batch: int,
    replica_count: int,
    report: results.Results,
) -> str:
    """Adds the rate of one row; returns its line."""
    label = f"{encoder} {args.image_size} px, {precision}, batch {batch}"

    def measure(images: int) -> rates.StepRate:
        return processes.call(
            rates.step_rate,
            args.devices,
            encoder,
            precision,
            args.image_size,
            images,
            args.rounds,
        )

    try:
        rate = rates.largest_batch(measure, batch, replica_count)
    except processes.CheckError as error:
        report.errors.append(f"{label}: {error}")
        return report.errors[-1]
    if rate is None:
        report.errors.append(
            f"{label}: the device is too small for {replica_count} images"
        )
        return report.errors[-1]
    report.step_rates.append(rate)
    if rate.batch < batch:
        label += f" does not fit; the largest that fits is {rate.batch}"
    part = results.share(report, rate)
    return (
        f"{label}: {rate.images_per_s:.1f} images/s"
        + (f", {100 * part:.0f} % of the matrix rate" if part else "")
        + f", {rate.memory_mib:.0f} MiB"
    )


def _input(args: Args, report: results.Results) -> Iterator[str]:
    options = input_rates.Options(batches=args.input_batches)
    for measure in (input_rates.measure_local, input_rates.measure_service):
        try:
            measured = processes.call(measure, options)
        except processes.CheckError as error:
            report.errors.append(f"input: {error}")
            yield report.errors[-1]
            continue
        report.inputs += measured
        for rate in measured:
            yield (
                f"{rate.label}: {rate.host_ms:.2f} ms of the host and "
                f"{rate.service_ms:.2f} ms of workers per image, "
                f"{rate.images_per_s:.0f} images/s"
            )


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 if a check fails, 2 if none can be made."""
    args = tyro.cli(
        Args,
        prog="python -m training.gpu_check",
        description=__doc__,
        args=arguments,
    )
    try:
        report = run(args)
    except (ValueError, OSError) as error:
        print(f"training.gpu_check: {error}", file=sys.stderr)
        return _UNREADABLE
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return exit_status.INTERRUPTED
    state = "passed" if report.passed else "FAILED"
    print(f"{state}: {args.out / results.MARKDOWN}")
    return exit_status.COMPLETE if report.passed else exit_status.FAILED


if __name__ == "__main__":
    sys.exit(main())
