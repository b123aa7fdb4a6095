"""A model that is not the one that training wrote ends the start with a reason, and never says that it is healthy."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from visitcast.errors import InputError
from visitcast.forecasting import probing
from visitcast.model import bundle
from visitcast.model.gru.scorer import ENCODING_FILE, NETWORK_FILE
from visitcast.model.probe import HISTORIES, made_users

Change = Callable[[Path], object]


def edited(name: str, edit: Callable[[Any], object]) -> Change:
    """Change the JSON of a file."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edit(content)
        (folder / name).write_text(json.dumps(content))

    return change


def network(edit: Callable[[onnx.ModelProto], object]) -> Change:
    """Change the network."""

    def change(folder: Path) -> None:
        model = onnx.load(folder / NETWORK_FILE)
        edit(model)
        (folder / NETWORK_FILE).write_bytes(model.SerializeToString())

    return change


def weights(new: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Change the weights of the hidden layer."""

    def edit(model: onnx.ModelProto) -> None:
        (array,) = [array for array in model.graph.initializer if array.name == "hidden/bias"]
        array.CopyFrom(numpy_helper.from_array(new(numpy_helper.to_array(array)), array.name))

    return network(edit)


def external(model: onnx.ModelProto) -> None:
    array = model.graph.initializer[0]
    array.ClearField("raw_data")
    array.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "4")):
        entry = array.external_data.add()
        entry.key, entry.value = key, value


def other_graph(folder: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in ("visits", "first_hour")]
    graph = helper.make_graph([helper.make_node("Identity", ["visits"], ["first_hour"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (folder / NETWORK_FILE).write_bytes(model.SerializeToString())


def truncated(folder: Path) -> None:
    file = folder / NETWORK_FILE
    file.write_bytes(file.read_bytes()[:1000])


def temperature(value: Any) -> Change:
    def edit(model: Any) -> None:
        for blend in ("eve_over", "eve_unfinished"):
            model[blend]["calibration"]["temperature"] = value

    return edited(bundle.MODEL_FILE, edit)


def probe_of(users: int) -> Change:
    """Cut the probe to its first users."""

    def edit(probe: Any) -> None:
        rows = probe["offsets"][users]
        probe["offsets"] = probe["offsets"][: users + 1]
        probe["columns"] = {name: values[:rows] for name, values in probe["columns"].items()}
        for name in ("user_ids", "as_of", "first_visit_hour", "visit_hour", "visit_probability"):
            probe[name] = probe[name][:users]

    return edited(bundle.PROBE_FILE, edit)


BROKEN = [
    pytest.param(weights(lambda bias: np.full_like(bias, np.nan)), "add up to nan", id="weights that are not numbers"),
    pytest.param(weights(lambda bias: bias + 5), "differs by", id="other weights"),
    pytest.param(other_graph, "cannot", id="another graph"),
    pytest.param(network(external), "cannot", id="weights in another file"),
    pytest.param(truncated, "cannot", id="half a network"),
    pytest.param(lambda folder: (folder / NETWORK_FILE).write_bytes(b""), "cannot", id="an empty network"),
    pytest.param(temperature(0), "cannot forecast", id="temperature 0"),
    pytest.param(temperature("x"), "cannot forecast", id="temperature x"),
    pytest.param(temperature(9), "differs by", id="temperature 9"),
    pytest.param(temperature(-1), "differs by", id="temperature -1"),
    pytest.param(
        edited(bundle.MODEL_FILE, lambda model: model["eve_unfinished"].update(mixture=[1, 1, 1, 1])),
        "differs by",
        id="other weights of the mixture",
    ),
    pytest.param(
        edited(bundle.MODEL_FILE, lambda model: model["tuned_histogram"].update(evil=[1])), "cannot", id="another key"
    ),
    pytest.param(edited(bundle.MODEL_FILE, lambda model: model.pop("metadata")), "cannot", id="a key less"),
    pytest.param(
        edited(bundle.MODEL_FILE, lambda model: model["visit_probability"].update(base_rate=0.9)),
        "visit_probability differs",
        id="another rate",
    ),
    pytest.param(
        edited(ENCODING_FILE, lambda encoding: encoding.update(scaling={name: [0, 0] for name in encoding["scaling"]})),
        "add up to nan",
        id="a scale of 0",
    ),
    pytest.param(lambda folder: (folder / ENCODING_FILE).write_text("[]"), "cannot", id="no encoding"),
    pytest.param(probe_of(1), "not of the users", id="a probe of a user without visits"),
    pytest.param(probe_of(0), "not of the users", id="a probe of nobody"),
]


@pytest.fixture
def model(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "model", tmp_path / "model"))


def start(model: Path) -> None:
    """Do what the server does before it answers."""
    probing.require_probe(bundle.load(model))


@pytest.mark.parametrize(("change", "reason"), BROKEN)
def test_a_model_that_does_not_forecast_as_it_was_trained_is_refused(model: Path, change: Change, reason: str) -> None:
    change(model)
    with pytest.raises(InputError, match="has changed since it was saved"):
        start(model)
    # And if its checksums had been made anew:
    checksums = {name: bundle._checksum(model / name) for name in json.loads((model / "checksums.json").read_text())}
    (model / bundle.CHECKSUMS_FILE).write_text(json.dumps(checksums))
    with pytest.raises(InputError) as refused:
        start(model)
    assert reason in str(refused.value)


class Evil:
    def __reduce__(self) -> Any:
        return print, ("run",)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "transformer.joblib").write_bytes(pickle.dumps(Evil())), id="a pickle"),
        pytest.param(lambda folder: (folder / bundle.PROBE_FILE).unlink(), id="no probe"),
        pytest.param(lambda folder: (folder / bundle.CHECKSUMS_FILE).unlink(), id="no checksums"),
        pytest.param(lambda folder: (folder / bundle.CHECKSUMS_FILE).write_text("[]"), id="a list of checksums"),
        pytest.param(lambda folder: (folder / bundle.CHECKSUMS_FILE).write_text("{}"), id="checksums of nothing"),
        pytest.param(
            lambda folder: (folder / bundle.CHECKSUMS_FILE).write_text('{"../model/model.json": {}}'), id="a path"
        ),
        pytest.param(lambda folder: (folder / bundle.MODEL_FILE).write_text("{"), id="half a JSON"),
        pytest.param(lambda folder: (folder / bundle.MODEL_FILE).write_text("[]"), id="a list"),
        pytest.param(lambda folder: (folder / bundle.MODEL_FILE).write_text("[" * 100_000), id="deep nesting"),
        pytest.param(lambda folder: (folder / bundle.MODEL_FILE).write_bytes(b"\xff"), id="not UTF-8"),
    ],
)
def test_a_changed_folder_is_refused(model: Path, change: Change) -> None:
    change(model)
    with pytest.raises(InputError):
        start(model)


def test_a_model_that_was_saved_without_a_probe_is_not_served(model: Path) -> None:
    (model / bundle.PROBE_FILE).unlink()
    edited(bundle.CHECKSUMS_FILE, lambda checksums: checksums.pop(bundle.PROBE_FILE))(model)
    with pytest.raises(InputError, match="without a probe"):
        start(model)


def test_an_older_model_is_named_by_its_version_before_anything_else(model: Path) -> None:
    edited(bundle.MODEL_FILE, lambda content: content.update(model_version=6))(model)
    (model / bundle.CHECKSUMS_FILE).unlink()
    with pytest.raises(bundle.VersionMismatch, match="another version"):
        bundle.load(model)


def test_the_server_ends_with_the_reason(model: Path) -> None:
    temperature(0)(model)
    command = [sys.executable, "-m", "visitcast", "serve"]
    ended = subprocess.run(command, env={"OPT_ML_DIR": f"{model.parent}"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "listening" not in ended.stdout
    assert "A file of the model has changed" in (model.parent / "output/failure").read_text()


def test_the_probe_uses_the_network_and_both_states_of_the_eve(root: Path) -> None:
    dataset, _ = made_users()
    fitted = bundle.load(root / "model")
    assert fitted.probe is not None
    assert np.diff(dataset.offsets).tolist() == [number + 1 for number in HISTORIES * 2]
    half = len(HISTORIES)
    over, scheduled = fitted.probe.visit_hour[:half], fitted.probe.visit_hour[half:]
    long = np.array(HISTORIES) >= 3
    assert np.all(np.abs(over - scheduled).max(axis=1)[long] > probing.TOLERANCE)
    assert np.isfinite(fitted.probe.first_visit_hour).all()
