"""Programs that people point at S3, unmodified, against a real server: rclone, s3cmd, s3fs, pyarrow, boto3's transfers.

Each takes a tree of files up and down again in its own way. A tool that is not there is skipped by name; README.md says how
to get them. ``LAKEBED_S3FS_PYTHON``, ``LAKEBED_S3CMD``, ``LAKEBED_RCLONE`` name them where they are not on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.crash.rig import Server

pytestmark = pytest.mark.slow
LARGE = 23 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("clients") / "data")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files with odd names, an empty one and one that goes in parts."""
    root = tmp_path / "tree"
    (root / "a b" / "ü").mkdir(parents=True)
    (root / "a b" / "ü" / "plus+percent%41").write_bytes(b"odd")
    (root / "empty").touch()
    (root / "large").write_bytes(os.urandom(LARGE))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tool(name: str) -> str:
    found = os.environ.get(f"LAKEBED_{name.upper()}") or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def run(command: list[str], **more: str) -> str:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | keys | more
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_rclone(server: Server, tree: Path, tmp_path: Path) -> None:
    remote = f":s3,provider=Other,env_auth=true,acl=bucket-owner-full-control,bucket_acl=private,region=us-east-1,endpoint='http://127.0.0.1:{server.http_port}',force_path_style=true:"
    rclone = [tool("rclone"), "--config", "/dev/null", "--s3-chunk-size", "5M", "--s3-upload-cutoff", "8M"]
    run([*rclone, "mkdir", f"{remote}rclone"])
    run([*rclone, "sync", str(tree), f"{remote}rclone/tree"])
    run([*rclone, "check", str(tree), f"{remote}rclone/tree"])
    run([*rclone, "copy", f"{remote}rclone/tree", f"{remote}rclone/copy"])
    run([*rclone, "moveto", f"{remote}rclone/copy/large", f"{remote}rclone/moved"])
    run([*rclone, "sync", f"{remote}rclone/tree", str(tmp_path / "back")])
    assert contents(tmp_path / "back") == contents(tree)
    assert "moved" in run([*rclone, "lsf", f"{remote}rclone"])
    run([*rclone, "purge", f"{remote}rclone"])


def test_s3cmd(server: Server, tree: Path, tmp_path: Path) -> None:
    host = f"127.0.0.1:{server.http_port}"
    s3cmd = [
        tool("s3cmd"), "--config=/dev/null", "--access_key=test", "--secret_key=test", f"--host={host}",
        f"--host-bucket={host}", "--no-ssl", "--region=us-east-1", "--multipart-chunk-size-mb=5",
    ]  # fmt: skip
    run([*s3cmd, "mb", "s3://s3cmd"])
    run([*s3cmd, "sync", f"{tree}/", "s3://s3cmd/tree/"])
    (tmp_path / "back").mkdir()
    run([*s3cmd, "sync", "s3://s3cmd/tree/", f"{tmp_path / 'back'}/"])
    assert contents(tmp_path / "back") == contents(tree)
    run([*s3cmd, "cp", "s3://s3cmd/tree/large", "s3://s3cmd/copy"])
    run([*s3cmd, "modify", "--add-header=x-amz-meta-a:b", "s3://s3cmd/copy"])
    assert "x-amz-meta-a" in run([*s3cmd, "info", "s3://s3cmd/copy"])
    run([*s3cmd, "expire", "--expiry-days=3", "s3://s3cmd"])
    assert "<Days>3</Days>" in run([*s3cmd, "getlifecycle", "s3://s3cmd"])
    run([*s3cmd, "del", "--recursive", "--force", "s3://s3cmd"])
    run([*s3cmd, "rb", "s3://s3cmd"])


_S3FS = """
import os, sys, s3fs
port, tree, back = sys.argv[1:]
f = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=f"http://127.0.0.1:{port}")
f.mkdir("s3fs")
f.put(tree, "s3fs/tree", recursive=True)
f.get("s3fs/tree", back, recursive=True)
with f.open("s3fs/written", "wb", block_size=5 << 20) as out:
    for _ in range(12):
        out.write(b"y" * (1 << 20))
with f.open("s3fs/written") as read:
    read.seek(11 << 20)
    assert len(read.read()) == 1 << 20
f.cp("s3fs/written", "s3fs/copy")
f.mv("s3fs/copy", "s3fs/moved")
assert sorted(f.ls("s3fs")) == ["s3fs/moved", "s3fs/tree", "s3fs/written"], f.ls("s3fs")
f.put_tags("s3fs/moved", {"k": "v"})
assert f.get_tags("s3fs/moved") == {"k": "v"}
f.rm("s3fs", recursive=True)
assert not f.exists("s3fs")
"""


def test_s3fs(server: Server, tree: Path, tmp_path: Path) -> None:
    python = os.environ.get("LAKEBED_S3FS_PYTHON") or sys.executable
    if subprocess.run([python, "-c", "import s3fs"], capture_output=True).returncode:
        pytest.skip("s3fs is not installed (LAKEBED_S3FS_PYTHON names an interpreter that has it)")
    run([python, "-c", _S3FS, str(server.http_port), str(tree), str(tmp_path / "back")])
    assert contents(tmp_path / "back") == contents(tree)


def test_pyarrow(server: Server, tree: Path) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    import pyarrow
    import pyarrow.parquet as parquet

    s3 = fs.S3FileSystem(
        access_key="test", secret_key="test", endpoint_override=f"127.0.0.1:{server.http_port}", scheme="http",
        region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True,
    )  # fmt: skip
    s3.create_dir("arrow")
    table = pyarrow.table({"a": list(range(100_000))})
    parquet.write_table(table, "arrow/t/x.parquet", filesystem=s3)
    assert parquet.read_table("arrow/t/x.parquet", filesystem=s3, columns=["a"]).equals(table)
    fs.copy_files(str(tree), "arrow/tree", destination_filesystem=s3)
    found = s3.get_file_info(fs.FileSelector("arrow/tree", recursive=True))
    sizes = {one.path: one.size for one in found if one.type == fs.FileType.File}
    assert sizes == {f"arrow/tree/{name}": len(body) for name, body in contents(tree).items()}
    s3.move("arrow/tree/large", "arrow/moved")
    with s3.open_input_file("arrow/moved") as source:
        source.seek(LARGE - 10)
        assert source.read() == (tree / "large").read_bytes()[-10:]
    s3.delete_dir("arrow")


def test_boto3_transfers(server: Server, tree: Path, tmp_path: Path) -> None:
    s3: Any = server.client("s3")
    s3.create_bucket(Bucket="transfers")
    parts = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_file(
        str(tree / "large"), "transfers", "large", Config=parts, ExtraArgs={"ServerSideEncryption": "AES256"}
    )
    s3.copy({"Bucket": "transfers", "Key": "large"}, "transfers", "copy", Config=parts)
    s3.download_file("transfers", "copy", str(tmp_path / "back"), Config=parts)
    assert (tmp_path / "back").read_bytes() == (tree / "large").read_bytes()
    kms = {"ServerSideEncryption": "aws:kms"}
    s3.upload_file(str(tree / "large"), "transfers", "kms", Config=parts, ExtraArgs=kms)
    s3.download_file("transfers", "kms", str(tmp_path / "kms"), Config=parts)
    assert (tmp_path / "kms").read_bytes() == (tree / "large").read_bytes()
    assert s3.head_object(Bucket="transfers", Key="kms")["ServerSideEncryption"] == "aws:kms"
