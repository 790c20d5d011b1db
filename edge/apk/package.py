"""Puts the app together: resources, bytecode, networks, natives, signature."""

import shutil
import tempfile
import zipfile
from pathlib import Path

from edge.apk import libraries, sources, tools
from edge.conversion import card
from tf_hmr import __version__, landmark_files, method_inputs
from tf_hmr.formats import atomic

PACKAGE = "org.tfhmr.app"
ABI = "arm64-v8a"

_INPUTS = ("image", "box", "image_size", "intrinsics", "landmarks")
_KEY_PASSWORD = "android"  # Of a debug key, as Android Studio's.


def check_model(path: Path) -> dict:
    """Refuses a file that edge.export did not write; returns its card.

    Raises:
        FileNotFoundError: the card or the mesh is missing.
        ValueError: they do not fit each other, or an app cannot run it.
    """
    content = path.read_bytes()
    expected = f"{path} is no .tflite of edge.export"
    if content[4:8] != b"TFL3":
        raise ValueError(f"{expected}: it does not say TFL3.")
    model_card = card.read(path)
    if model_card["format"] != "tflite":
        raise ValueError(f"{expected}: its card is of another format.")
    fields = {"bytes", "sha256", "mesh", "inputs", "crop", "topology", "method"}
    absent = sorted(fields - set(model_card))
    if absent:
        raise ValueError(
            f"{expected} as of now: its card lacks {', '.join(absent)}. Export "
            "it again."
        )
    card.check_content(path, content, model_card)
    unknown = sorted(set(model_card["inputs"]) - set(_INPUTS))
    if unknown:
        names = ", ".join(method_inputs.INPUTS)
        raise ValueError(
            f"{path} reads {', '.join(unknown)} (of {names}); the app fills "
            f"{', '.join(_INPUTS)}."
        )
    mesh = card.mesh_path(path)
    if not mesh.is_file():
        raise FileNotFoundError(
            f"{mesh} is missing: it belongs to {path.name}. Copy it, or export "
            "again."
        )
    if card.sha256(mesh.read_bytes()) != model_card["mesh"]["sha256"]:
        raise ValueError(f"{mesh} is not the mesh of {path.name}.")
    return model_card


def build(model: Path, out: Path) -> dict:
    """Builds, aligns, signs and verifies the app.

    Args:
        model: NAME.tflite of edge.export, beside its card and mesh.
        out: the .apk to write; the key it is signed with is kept beside it.

    Returns:
        The model's card.

    Raises:
        FileNotFoundError: a program, a library, a network or a file of the
            model is missing; the message says how to get it.
        OSError: a program failed.
        ValueError: the model is not one that the app runs.
    """
    tools.check()
    model_card = check_model(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        work = Path(name)
        write_assets(model, work / "assets")
        base = _resources(work, work / "assets")
        runtime = [libraries.fetch(library) for library in libraries.RUNTIME]
        dex = _dex(work, runtime)
        with zipfile.ZipFile(base, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.write(dex, "classes.dex")
            for library in runtime:
                _add_natives(archive, library)
        aligned = work / "aligned.apk"
        tools.run("zipalign", "-f", "-p", "4", base, aligned)
        signed = work / "signed.apk"
        _sign(aligned, signed, out.parent / "debug.p12")
        with atomic.replacing(out) as part:
            shutil.copy(signed, part)
    return model_card


def write_assets(model: Path, assets: Path) -> None:
    """Writes a folder of the networks and shaders of the app.

    Args:
        model: as of `build`.
        assets: the folder; what is there is replaced.

    Raises:
        FileNotFoundError, ValueError: a network or a file of the model is
            missing or altered; the message says how to get it.
    """
    shutil.copytree(sources.SHADERS, assets / "shaders", dirs_exist_ok=True)
    shutil.copy(model, assets / "model.tflite")
    shutil.copy(card.mesh_path(model), assets / "model.mesh.npz")
    shutil.copy(model.with_suffix(".card.json"), assets / "model.card.json")
    for network in landmark_files.OF_WHEEL:
        (assets / network.name).write_bytes(landmark_files.read(network))


def _resources(work: Path, assets: Path) -> Path:
    """An .apk without code; also writes the class R below `work`."""
    manifest = work / "AndroidManifest.xml"
    text = sources.MANIFEST.read_text("utf-8")
    # Gradle wants it in its own file and nowhere else.
    text = text.replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1)
    manifest.write_text(text, encoding="utf-8")
    compiled, base = work / "resources.zip", work / "base.apk"
    tools.run("aapt2", "compile", "--dir", sources.RESOURCES, "-o", compiled)
    tools.run(
        *("aapt2", "link", "-I", tools.framework(), "--manifest", manifest),
        # It knows no uses-native-library, and passes it on.
        "--warn-manifest-validation",
        *("--min-sdk-version", str(sources.MIN_SDK)),
        *("--target-sdk-version", str(sources.TARGET_SDK)),
        *("--version-code", "1", "--version-name", __version__),
        # With the dot: "tflite" would be compressed, and could not be mapped.
        *("-A", assets, "-0", ".tflite"),
        *("--java", work / "generated", "-o", base, compiled),
    )
    return base


def _dex(work: Path, runtime: list[Path]) -> Path:
    """The bytecode of the app, of its core and of the runtime."""
    jars = [sources.classes_of(library, work / "jars") for library in runtime]
    folders = [sources.CORE, sources.APP, work / "generated"]
    class_path = [*jars, libraries.fetch(libraries.PLATFORM)]
    sources.compile_java(folders, class_path, work / "classes")
    dex = work / "classes.dex"
    sources.to_dex([work / "classes", *jars], dex)
    return dex


def _add_natives(archive: zipfile.ZipFile, library: Path) -> None:
    with zipfile.ZipFile(library) as content:
        for name in content.namelist():
            if name.startswith(f"jni/{ABI}/"):
                target = name.replace("jni/", "lib/", 1)
                archive.writestr(target, content.read(name))


def _sign(aligned: Path, signed: Path, key: Path) -> None:
    if not key.is_file():
        tools.run(
            *("keytool", "-genkeypair", "-keystore", key, "-alias", "debug"),
            *("-storetype", "PKCS12", "-storepass", _KEY_PASSWORD),
            *("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"),
            *("-dname", "CN=debug"),
        )
    tools.run(
        *("apksigner", "sign", "--ks", key, "--ks-pass"),
        *(f"pass:{_KEY_PASSWORD}", "--min-sdk-version", str(sources.MIN_SDK)),
        *("--out", signed, aligned),
    )
    tools.run(
        *("apksigner", "verify", "--min-sdk-version", str(sources.MIN_SDK)),
        signed,
    )
