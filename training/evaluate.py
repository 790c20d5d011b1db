r"""Measures a trained model by a named protocol.

    python -m training.prepare synthetic --protocol synthetic_v1 \
        --out data/synthetic_v1
    python -m training.evaluate --weights runs/demo --protocol synthetic_v1

The first makes the protocol's records, once; those of `make demo` are found
with --records runs/demo/data. The second writes
WEIGHTS/results/<protocol>.json, and pictures of the examples at the 15th,
30th, 60th, 90th and 95th percentile of the error.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
import tqdm
import tyro

from tf_hmr import body_data
from tf_hmr import method as methods
from training import (
    config,
    mean_pose,
    measure,
    pictures,
    protocol,
    protocols,
    workdir,
)
from training.data import pipeline, records

FIGURES = {
    "mpjpe_mm": "MPJPE (mm)",
    "pa_mpjpe_mm": "PA-MPJPE (mm)",
    "pve_mm": "PVE (mm)",
    "pck3d_150mm": "PCK@150mm (%)",
    "auc3d": "AUC (%)",
}
# Name -> whether the global rotation is taken from the labels.
BASELINES = {"mean_pose": False, "mean_pose_true_global_rotation": True}


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Command line of `training.evaluate`."""

    weights: Path
    """A model folder, or the workdir of a run."""
    protocol: str = "synthetic_v1"
    """The rules; see training/protocols.py."""
    records: str = "data"
    """The folder of record folders; or the protocol's own folder."""
    train_records: str = ""
    """Records whose mean is the baseline; default: those of the run."""
    body: str = "open"
    """'open', or the SMPL files the model was trained with."""
    out: Path | None = None
    """Where results go; default: WEIGHTS/results."""
    batch_size: int = 50
    """Images per prediction."""


def evaluate(flags: Evaluate) -> Path:
    """Measures, draws, writes; returns the path of the results json.

    Raises:
        FileNotFoundError: no model, or no records of the protocol.
        ValueError: unknown protocol, foreign body.
    """
    rule = protocols.get(flags.protocol)
    data = body_data.BodyData.load(flags.body)
    method = methods.load(flags.weights, data)
    folder = _folder(flags.records, rule.records)
    report = records.read_report(folder)
    if report["topology"] != data.topology:
        raise ValueError(
            f"{folder} belongs to topology {report['topology']!r}, the model "
            f"to {data.topology!r}. Prepare the records with the model's body."
        )
    dataset = pipeline.eval_dataset(
        config.Source(records=folder, split=rule.splits[0]),
        flags.batch_size,
        method.image_size,
        method.config.crop_scale,
    )
    total = int(dataset.cardinality().numpy())
    errors, figures = measure.measure(
        method, _progress(dataset, total, rule.name), rule
    )
    sources = _training_sources(flags)
    out = (flags.out or Path(flags.weights) / "results") / f"{rule.name}.json"
    picture = out.with_suffix(".png")
    _draw(method, dataset, errors, picture)
    results = {
        **_errors_as_json(errors, rule),
        "metrics": errors.summary() | figures,
        "baselines": _baselines(method.body, sources, dataset, rule),
        "examples": report["splits"][rule.splits[0]],
        "body": data.name,
        "weights": str(flags.weights),
        "trained_on": [source.records for source in sources],
        "picture": picture.name,
        "environment": workdir.environment(),
    }
    workdir.write_json(out, results)
    return out


def _errors_as_json(errors: measure.Errors, rule: protocol.Protocol) -> dict:
    each = errors.joints_mm.mean(axis=0).tolist()
    return {
        "protocol": rule.name,
        "rule": dataclasses.asdict(rule.rule),
        "measured": len(errors.index),
        "complete": len(errors.index) == rule.count,
        "percentiles_mpjpe_mm": _percentiles(errors),
        "per_joint_mm": dict(zip(rule.joints, each, strict=True)),
    }


def _baselines(body, sources, dataset, rule) -> dict[str, dict]:
    """Errors of the training set's mean; empty where it is not known."""
    mean = _training_mean(sources)
    if mean is None:
        return {}
    return {
        name: measure.measure_baseline(
            body, mean, dataset, rule, true_rotation
        ).summary()
        for name, true_rotation in BASELINES.items()
    }


def table(results: dict) -> str:
    """The results as text: the model beside the baselines."""
    rows = {"model": results["metrics"], **results["baselines"]}
    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{t:>16}" for t in FIGURES.values())]
    for name, row in rows.items():
        cells = "".join(f"{row[key]:16.1f}" for key in FIGURES)
        lines.append(f"{name:<{width}}{cells}")
    for name, row in results["baselines"].items():
        lines.append(
            f"below {name}: "
            + ", ".join(
                f"{FIGURES[key].split()[0]} "
                f"{100 - 100 * results['metrics'][key] / row[key]:.1f} %"
                for key in ("mpjpe_mm", "pa_mpjpe_mm")
            )
        )
    extra = {
        name: value
        for name, value in results["metrics"].items()
        if name not in FIGURES
    }
    lines.append(", ".join(f"{k} {v:.3f}" for k, v in extra.items()))
    if not results["complete"]:
        rule = protocols.get(results["protocol"])
        lines.append(
            f"NOT COMPLETE: {results['measured']} examples were measured, "
            f"{rule.name} has {rule.count}; not comparable with its results."
        )
    return "\n".join(lines)


def _folder(root: str, name: str) -> str:
    """`root` itself where it holds records, else the folder in it."""
    if (Path(root) / "report.json").is_file():
        return root
    return str(Path(root) / name)


def _training_sources(flags: Evaluate) -> tuple[config.Source, ...]:
    """What the run was trained on, as it noted itself; or as told."""
    if flags.train_records:
        return (config.Source(records=flags.train_records),)
    for place in (Path(flags.weights), Path(flags.weights).parent):
        noted = workdir.noted(place).get("sources", ())
        if noted:
            return tuple(
                config.Source(**{**source, "shards": tuple(source["shards"])})
                for source in noted
            )
    return ()


def _training_mean(sources: tuple[config.Source, ...]):
    """Mean pose and shape of the training records; None without them."""
    try:
        mean = mean_pose.mean_pose(sources)
    except FileNotFoundError as error:
        logging.warning("No baselines: %s", error)
        return None
    if mean is None:
        logging.warning("No baselines: name records with --train-records.")
    return mean


def _progress(dataset: tf.data.Dataset, total: int, name: str):
    return tqdm.tqdm(
        dataset, total=total, desc=name, disable=not sys.stderr.isatty()
    )


def _percentiles(errors: measure.Errors) -> dict[str, float]:
    values = np.percentile(errors.mpjpe_mm, pictures.PERCENTILES)
    return {
        f"{p:g}": float(v)
        for p, v in zip(pictures.PERCENTILES, values, strict=True)
    }


def _draw(method, dataset, errors: measure.Errors, path: Path) -> None:
    """Writes the percentile sheet; reads the chosen examples once more."""
    chosen = pictures.percentile_rows(errors.mpjpe_mm)
    wanted = {int(errors.index[row]): row for row in chosen.values()}
    panels: dict[int, np.ndarray] = {}
    start = 0
    for batch, found in measure.predictions(method, dataset):
        count = len(batch["image"])
        for index in wanted.keys() & set(range(start, start + count)):
            panels[wanted[index]] = pictures.example(
                batch, found, index - start, method.body.data.faces
            )
        start += count
    picture = pictures.percentile_sheet(errors.mpjpe_mm, panels.__getitem__)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when the results are written."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Evaluate,
        prog="python -m training.evaluate",
        description=__doc__,
        args=arguments,
    )
    try:
        path = evaluate(flags)
    except (FileNotFoundError, ValueError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 1
    results = json.loads(path.read_text())
    print(table(results))
    print(f"Results: {path}\nPicture: {path.with_suffix('.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
