"""Makes the checks, one after the other, and the report."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

# Before TensorFlow starts in a process of a check.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


from training.engine import provenance
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

if TYPE_CHECKING:
    from training.gpu_check import Args
_BATCHES_CPU, _BATCHES_GPU = (8,), (32, 64, 128, 256)
_CHECK_BATCH = 8


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
    args = _with_batches(args, machine)
    _check_batches(args, machine.replicas)
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
        ("speed", lambda: _speed(args, machine, report)),
        ("input", lambda: _input(args, report)),
    ):
        if check in args.checks:
            print(f"{check}:", flush=True)
            for line in work():
                print(f"  {line}", flush=True)
                results.write(report, args.out)
    results.write(report, args.out)
    return report


def _with_batches(args: Args, machine: machines.Machine) -> Args:
    """The arguments with batches, in place of none, that the replicas share."""
    batches = _BATCHES_GPU if machine.gpus else _BATCHES_CPU
    return dataclasses.replace(
        args,
        batches=args.batches
        or tuple(_next_multiple(b, machine.replicas) for b in batches),
        check_batch=args.check_batch
        or _next_multiple(_CHECK_BATCH, _compared_replicas(machine.replicas)),
    )


def _next_multiple(count: int, divisor: int) -> int:
    return -(-count // divisor) * divisor


def _compared_replicas(replica_count: int) -> int:
    """Replicas of the compared steps: a single device is taken as two."""
    return max(replica_count, 2)


def _check_batches(args: Args, replica_count: int) -> None:
    """Refuses batches that the replicas of a check cannot share.

    Raises:
        ValueError: names the option.
    """
    if "speed" in args.checks:
        for batch in args.batches:
            _check_divides("--batches", batch, replica_count)
    if {"steps", "replicas", "resume"} & set(args.checks):
        count = _compared_replicas(replica_count)
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
    args: Args, machine: machines.Machine, report: results.Results
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
            for batch in args.batches:
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
