"""Each cause that hides a card has its own cure, in one line."""

import dataclasses

import pytest

from training.engine import devices, gpu_visibility
from training.engine.gpu_visibility import Machine

GOOD = Machine(
    cards=("NVIDIA A100-SXM4-40GB",),
    driver="550.54.15",
    opened=True,
    cuda="12.5.1",
    cudnn="9",
    libraries=True,
)
CASES = {
    "CUDA_VISIBLE_DEVICES is '-1'": {"visible": "-1"},
    "unset CUDA_VISIBLE_DEVICES": {"visible": ""},
    "built without CUDA": {"cuda": ""},
    "no NVIDIA driver: install 525.60.13": {"driver": ""},
    "470.57.02 is too old for CUDA 12.5.1": {"driver": "470.57.02"},
    "525.60.12 is too old": {"driver": "525.60.12"},
    "--gpus all": {"opened": False},
    "pip install": {"libraries": False},
    "TF_CPP_MIN_LOG_LEVEL=0": {},
}


@pytest.mark.parametrize("words", CASES)
def test_a_hidden_card_has_a_cure_in_one_line(words):
    cure = gpu_visibility.cure(dataclasses.replace(GOOD, **CASES[words]))
    assert words in cure and "\n" not in cure


@pytest.mark.parametrize(
    "machine", [Machine(), dataclasses.replace(GOOD, seen=("A100",))]
)
def test_nothing_is_to_cure_without_a_card_or_where_it_is_seen(machine):
    assert gpu_visibility.cure(machine) == ""


def test_the_least_driver_is_new_enough():
    least = dataclasses.replace(GOOD, driver="525.60.13")
    assert not gpu_visibility.too_old(least)
    assert not gpu_visibility.too_old(Machine())


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_driver_and_cards_are_read_without_cuda(tmp_path):
    write(
        tmp_path,
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  470.57.02  "
        "Release Build  (dvs@builder)\nGCC version:  gcc 12.3.0\n",
    )
    write(
        tmp_path,
        "proc/driver/nvidia/gpus/0000:3b:00.0/information",
        "Model: \t\t Tesla T4\nIRQ:   \t\t 37\n",
    )
    machine = gpu_visibility.read(tmp_path)
    assert (machine.cards, machine.driver) == (("Tesla T4",), "470.57.02")
    assert not machine.opened
    text = gpu_visibility.facts(machine)
    assert text["NVIDIA cards"] == "Tesla T4" and text["driver"] == "470.57.02"


def test_a_card_without_a_driver_is_named_by_its_address(tmp_path):
    for name, vendor, kind in (
        ("0000:00:02.0", "0x8086", "0x030000"),
        ("0000:3b:00.0", "0x10de", "0x030200"),
        ("0000:3b:00.1", "0x10de", "0x040300"),  # its sound
    ):
        write(tmp_path, f"sys/bus/pci/devices/{name}/vendor", vendor + "\n")
        write(tmp_path, f"sys/bus/pci/devices/{name}/class", kind + "\n")
    machine = gpu_visibility.read(tmp_path)
    assert machine.cards == ("the NVIDIA card at PCI 0000:3b:00.0",)
    assert machine.driver == ""


def test_a_gpu_that_is_not_there_is_refused_with_the_cure(monkeypatch):
    monkeypatch.setattr(
        gpu_visibility,
        "read",
        lambda: dataclasses.replace(GOOD, driver="470.57.02"),
    )
    for strategy in (devices.strategy, devices.replicated):
        with pytest.raises(ValueError, match="it sees 0. NVIDIA's.*too old"):
            strategy("gpu:0")
    monkeypatch.setattr(gpu_visibility, "read", Machine)
    with pytest.raises(ValueError, match="sees 0. Use --devices cpu"):
        devices.strategy("gpu:0")
