from pathlib import Path

import pytest

from visitcast import paths

EVERY_PATH = [
    (paths.failure_file, "output/failure"),
    (paths.message_file, "output/message"),
    (paths.visits_input, "processing/input/visits"),
    (paths.resource_config, "config/resourceconfig.json"),
    (paths.dataset_output, "processing/output/dataset"),
    (paths.evaluation_dataset, "processing/input/dataset"),
    (paths.candidate_model, "processing/input/model/model.tar.gz"),
    (paths.production_model, "processing/input/production/model.tar.gz"),
    (paths.evaluation_file, "processing/output/evaluation/evaluation.json"),
    (paths.evaluation_folds, "processing/input/folds"),
    (paths.evaluation_report, "processing/output/evaluation/report.html"),
    (paths.training_dataset, "input/data/dataset"),
    (paths.hyperparameters_file, "input/config/hyperparameters.json"),
    (paths.model, "model"),
    (paths.output_data, "output/data"),
    (paths.checkpoints, "checkpoints"),
    (paths.campaign_file, "processing/input/campaign/campaign.json"),
]


@pytest.mark.parametrize(("path", "relative"), EVERY_PATH, ids=[relative for _, relative in EVERY_PATH])
@pytest.mark.parametrize(("root", "expected"), [("/somewhere", "/somewhere"), ("", "/opt/ml"), (None, "/opt/ml")])
def test_every_path_follows_the_root_of_the_moment(path, relative, root, expected, monkeypatch):
    if root is None:
        monkeypatch.delenv(paths.ROOT_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(paths.ROOT_VARIABLE, root)
    assert path() == Path(expected) / relative


def test_no_other_module_spells_the_root():
    library = Path(paths.__file__).parent
    for folder in (library, library.parent / "preprocessing", library.parent / "training"):
        for file in folder.rglob("*.py"):
            if file != Path(paths.__file__):
                code = [line for line in file.read_text().splitlines() if '"/opt/ml' in line or "'/opt/ml" in line]
                assert not code, file
