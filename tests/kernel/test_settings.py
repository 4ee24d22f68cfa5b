"""Settings: what is written is read, what is unknown is refused, every key has its environment variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from lakebed.kernel.settings import Settings, SettingsError, load


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workers: Annotated[int, Meta(ge=1)] = 2
    spill_gb: int = 20
    names: tuple[str, ...] = ()


def written(path: Path, text: str) -> Path:
    file = path / "lakebed.toml"
    file.write_text(text)
    return file


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load(tmp_path / "absent.toml", {})
    assert (settings.http.port, settings.http.host, settings.admin.reset) == (4566, "127.0.0.1", False)
    assert load(None, {}) == settings


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "[http]\nport = 1\nbody_bytes_max = 2000000\n[services.x]\nworkers = 3\n[engines.sql_duckdb]\nspill_gb = 1\n",
    )
    environ = {
        "LAKEBED_HTTP_PORT": "4600",
        "LAKEBED_ADMIN_RESET": "true",
        "LAKEBED_HTTP_VIRTUAL_HOST_SUFFIXES": "a.example, b.example",
        "LAKEBED_SERVICES_X_WORKERS": "9",
        "LAKEBED_ENGINES_SQL_DUCKDB_WORKERS": "7",
        "LAKEBED_ENGINES_SQL_DUCKDB_NAMES": "a,b",
        "LAKEBED_DATA": "/somewhere",
        "LAKEBED_CRASH_SEED": "1",
        "PATH": "/bin",
    }
    settings = load(file, environ)
    assert (settings.http.port, settings.http.body_bytes_max, settings.admin.reset) == (4600, 2_000_000, True)
    assert settings.http.virtual_host_suffixes == ("a.example", "b.example")
    assert settings.section("services", "x", Engine) == Engine(workers=9)
    for _ in range(2):
        assert settings.section("engines", "sql_duckdb", Engine) == Engine(workers=7, spill_gb=1, names=("a", "b"))
    settings.refuse_unknown()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ("[htttp]\nport = 1\n", "htttp"),
        ("[http]\nport = 70000\n", "http.port"),
        ("[seed]\naccount = '12'\n", "account"),
        ("[http\n", "lakebed.toml"),
        ("http = 3\n", "http"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(written(tmp_path, text), {})


@pytest.mark.parametrize("name", ["LAKEBED_HTTP_PROT", "LAKEBED_MQTT_PORTS"])
def test_unknown_variables_of_the_kernels_sections_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="unknown field"):
        load(None, {name: "1"})


def test_a_value_in_place_of_a_section_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="http is a section"):
        load(written(tmp_path, "http = 3\n"), {"LAKEBED_HTTP_PORT": "1"})


def test_sections_nobody_reads_and_wrong_keys_in_them_are_refused(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "[services.kinesys]\nworkers = 1\n"), {})
    with pytest.raises(SettingsError, match=r"services.kinesys.*no such section"):
        settings.refuse_unknown()
    settings = load(written(tmp_path, "[services.x]\nworkerz = 1\n"), {})
    with pytest.raises(SettingsError, match=r"services.x.*workerz"):
        settings.section("services", "x", Engine)
    settings = load(None, {"LAKEBED_ENGINES_SQL_DUCKDB_WORKERZ": "1"})
    settings.section("engines", "sql_duckdb", Engine)
    with pytest.raises(SettingsError, match="LAKEBED_ENGINES_SQL_DUCKDB_WORKERZ"):
        settings.refuse_unknown()
    settings = load(None, {"LAKEBED_ENGINES_SQL_DUCKDB_WORKERS": "0"})
    with pytest.raises(SettingsError, match="workers"):
        settings.section("engines", "sql_duckdb", Engine)


def test_settings_without_sections_are_fine() -> None:
    settings = Settings()
    settings.refuse_unknown()
    assert settings == load(None, {})
