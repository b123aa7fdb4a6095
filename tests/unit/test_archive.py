"""A model that was saved and loaded forecasts as before."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_visits import made_dataset

from benchmarks.random_model import write_model
from visitcast.errors import InputError
from visitcast.forecasting.frame import forecast
from visitcast.model import bundle
from visitcast.model.archive import load, save

VISITS = made_dataset(users=12, mean_days=15)


def test_folders_and_archives_hold_the_same_model(tmp_path: Path) -> None:
    model = write_model(tmp_path / "made", VISITS)
    save(model, tmp_path / "saved")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "saved", arcname=".")
    expected = forecast(model, VISITS, "2026-11-24")
    for path in (tmp_path / "saved", str(tmp_path / "saved"), tmp_path / "model.tar.gz"):
        made = forecast(load(path), VISITS, "2026-11-24")
        np.testing.assert_array_equal(np.stack(made.visit_hour), np.stack(expected.visit_hour))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    model = write_model(tmp_path / "made", VISITS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        save(model, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["nowhere", "empty", "visits.csv"])
def test_what_holds_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "visits.csv").write_text("user_id\n")
    with pytest.raises(InputError):
        load(tmp_path / name)


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def linked(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([linked("model.json", tarfile.SYMTYPE, "/etc/passwd")], id="symbolic link"),
        pytest.param([linked("model.json", tarfile.LNKTYPE, "../../x")], id="hard link"),
        pytest.param([linked("model.json", tarfile.FIFOTYPE)], id="pipe"),
        pytest.param([linked("model.json", tarfile.CHRTYPE)], id="device"),
        pytest.param([linked("model.json", tarfile.DIRTYPE)], id="folder"),
        pytest.param([(tarfile.TarInfo("model.json"), b"{}"), (tarfile.TarInfo("./model.json"), b"{}")], id="twice"),
    ],
)
def test_a_file_of_the_model_is_a_plain_file(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with pytest.raises(InputError, match="archive cannot be read") as refused:
        load(packed(tmp_path / "model.tar.gz", *members))
    assert "model.json is no plain file, or appears twice" in refused.value.cause


def sparse(pax: dict[str, str], content: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo("model.json")
    member.pax_headers = {f"GNU.sparse.{name}": value for name, value in pax.items()}
    return member, content


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(sparse({"major": "0", "minor": "1", "map": "0,0", "size": str(2**31)}), id="2 GiB of nothing"),
        pytest.param(sparse({"major": "0", "minor": "1", "map": "a,b", "size": "9"}), id="a map of words"),
        pytest.param(sparse({"major": "1", "minor": "0", "realsize": "9"}, b"x" * 512), id="a map that is none"),
    ],
)
def test_a_sparse_member_is_refused_by_name(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(InputError, match="archive cannot be read") as refused:
        load(packed(tmp_path / "model.tar.gz", member))
    assert "model.tar.gz" in refused.value.cause


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped", "link/escaped", "other.txt"])
def test_nothing_but_the_files_of_a_model_is_unpacked(tmp_path: Path, name: str) -> None:
    link = linked("link", tarfile.SYMTYPE, str(tmp_path))
    archive = packed(
        tmp_path / "model.tar.gz", link, (tarfile.TarInfo(name), b"x"), (tarfile.TarInfo("model.json"), b"{")
    )
    with bundle.unpacked(archive) as folder:
        assert [file.name for file in folder.iterdir()] == ["model.json"]
        assert not list(folder.parent.glob("escaped"))
    assert not list(tmp_path.glob("escaped"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("archive")
    write_model(folder / "made", VISITS)
    with tarfile.open(folder / "model.tar.gz", "w:gz") as made:
        made.add(folder / "made", arcname=".")
    return (folder / "model.tar.gz").read_bytes()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused_by_name(tmp_path: Path, archive: bytes, part: float) -> None:
    (tmp_path / "model.tar.gz").write_bytes(archive[: int(len(archive) * part)])
    with pytest.raises(InputError) as refused:
        load(tmp_path / "model.tar.gz")
    assert str(tmp_path) in refused.value.cause or part == 0


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 1.0])
def test_a_flipped_bit_is_noticed(tmp_path: Path, archive: bytes, place: float) -> None:
    broken = bytearray(archive)
    broken[int((len(archive) - 8) * place)] ^= 1
    (tmp_path / "model.tar.gz").write_bytes(bytes(broken))
    with pytest.raises(InputError):
        load(tmp_path / "model.tar.gz")


def test_a_small_archive_of_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "LARGEST_BYTES", 100_000)
    archive = packed(tmp_path / "model.tar.gz", (tarfile.TarInfo("model.json"), b" " * 1_000_000))
    assert archive.stat().st_size < 10_000
    with pytest.raises(InputError, match="more than 100,000 bytes"):
        load(archive)
