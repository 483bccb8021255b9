"""Who asks: projects, credentials and addresses; what is refused, and that no secret is told."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ee_scenes import GRID
from ee_server import EarthEngineServer
from gappy import untrained_for
from typer.testing import CliRunner

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.ee.credentials import PROJECT, identity
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.stack import groups_of, write_stack
from geocomiss_cli import main as entry

APRIL = Calendar(date(2021, 4, 1), "month", 1)
FOUR = Calendar(date(2021, 4, 1), "month", 4)
BOX = "4.978,50.622,4.982,50.624"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login of this machine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for name in (PROJECT, "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    coding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*coding).decode()


@pytest.fixture
def key_file(private_key: str, tmp_path: Path, server: EarthEngineServer) -> Path:
    """The key of a service account whose tokens the loopback server gives."""
    told = {
        "type": "service_account",
        "project_id": "project-of-the-key",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "robot@project-of-the-key.iam.gserviceaccount.com",
        "token_uri": f"{server.url}/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(told))
    return path


def test_a_service_account_asks_with_its_token_and_gets_a_new_one_when_it_expires(
    server: EarthEngineServer, key_file: Path, options: EarthEngine
) -> None:
    server.set(auth=3)  # each token is good for three requests
    before = server.tell()["tokens"]
    options = replace(options, project=None, credentials=str(key_file), parallel=1)
    reading = Reading({"optical": ("B2",), "radar": ("VV",), "topography": ("slope",)}, ee=options)
    stack = EarthEngineSource(None, reading).open(GRID, APRIL).compute()
    assert np.isfinite(groups_of(stack)["optical"]["B2"].values).any()
    assert server.tell()["tokens"] >= before + 2
    assert {each["project"] for each in server.asked()} == {"project-of-the-key"}


def test_projects_are_taken_in_order(monkeypatch: pytest.MonkeyPatch, key_file: Path) -> None:
    named = EarthEngine(credentials=str(key_file))
    assert identity(named).project == "project-of-the-key"
    monkeypatch.setenv(PROJECT, "of-the-environment")
    assert identity(named).project == "of-the-environment"
    assert identity(replace(named, project="given")).project == "given"


def test_without_a_project_it_is_said_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"--ee-project, or the environment variable EARTHENGINE_PROJECT"):
        identity(EarthEngine(credentials="none"))


@pytest.mark.parametrize("which", ["auto", "application-default"])
def test_without_a_login_it_is_said_what_to_do(which: str) -> None:
    with pytest.raises(SourceError, match="earthengine authenticate"):
        identity(EarthEngine("my-project", credentials=which))


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "check the path"), ("{}", "not the key file"), ("not JSON, secret-42", "not the key file")],
)
def test_a_key_file_that_is_none_is_refused_without_a_word_of_it(
    content: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceError, match=said) as told:
        identity(EarthEngine("my-project", credentials=str(path)))
    assert "secret-42" not in str(told.value) and told.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://gateway.example", "https"),
        ("https://user:secret-42@gateway.example", "secrets as --ee-credentials"),
        ("https://gateway.example/?key=secret-42", "secrets as --ee-credentials"),
        ("gateway", "https"),
        ("https://[secret-42", "no address"),
        ("https://user:secret-42/x", "no address"),
    ],
)
def test_credentials_are_not_sent_anywhere(url: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as told:
        identity(EarthEngine("my-project", url, "none"))
    assert "secret-42" not in str(told.value)
    assert identity(EarthEngine("p-roject", "https://gateway.example/ee/", "none")).url == (
        "https://gateway.example/ee"
    )


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, [*arguments], env={"COLUMNS": "200"})


def test_a_map_from_earth_engine_says_what_it_took_and_no_secret(
    server: EarthEngineServer, key_file: Path, tmp_path: Path
) -> None:
    options = EarthEngine(url=server.url, credentials=str(key_file))
    wanted = {"optical": ("B2", "B4", "B8", "NDVI"), "radar": ("VV", "VH"), "weather": ("temperature_2m",)}
    stack = EarthEngineSource(None, Reading(wanted, ee=options)).open(GRID, FOUR).compute()
    write_stack(stack, tmp_path / "s.zarr")
    model, out = untrained_for(tmp_path / "s.zarr", tmp_path, FOUR.cycle()), tmp_path / "map"
    server.set(auth=1000)
    done = run(
        *("map", "--source", "ee", "--ee-url", server.url, "--ee-credentials", str(key_file)),
        *("--season", "2021", "--aoi", BOX, "--model", str(model), "--out", str(out), "--tile", "32"),
        *("--min-steps", "1"),
    )
    assert done.exit_code == 0, done.output
    assert "Earth Engine, project project-of-the-key" in done.output
    assert not (out / "fetched").exists() and not (out / "tiles").exists()
    told = json.loads((out / "run.json").read_text())
    assert told["source"]["name"] == "Earth Engine" and told["source"]["radar_pass"] == "descending"
    assert told["modality_share"]["optical"] > 0.5
    everything = done.output + "".join(p.read_text(errors="replace") for p in out.iterdir())
    assert "secret-" not in everything and "PRIVATE KEY" not in everything


def test_a_map_that_is_refused_leaves_what_was_paid_for(server: EarthEngineServer, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    arguments = (
        *("fetch", "--source", "optical=ee,radar=ee", "--ee-url", server.url, "--ee-credentials", "none"),
        *("--ee-project", "my-project", "--season", "2021-04:2021-05", "--aoi", BOX, "--out", str(out)),
    )
    server.set(
        faults=[{"path": "image:computePixels", "status": 403, "text": "denied", "after": 2, "times": 9}]
    )
    done = run(*arguments, "--ee-parallel", "1")
    assert isinstance(done.exception, SourceError) and not out.exists()
    assert len(list((tmp_path / "s.zarr.fetched").glob("*.npz"))) == 2
    server.set()
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert len(server.asked()) == 2 and "2 there already" in done.output
    assert not (tmp_path / "s.zarr.fetched").exists()
