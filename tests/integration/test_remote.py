"""A colleague gets models and metrics without training, from a folder and from S3; a queue has several workers."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy import call, commit, make_study

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
PATIENCE = 120  # seconds for the queue, of which a machine at rest needs about ten


@pytest.fixture
def server() -> Iterator[str]:
    """The address of an S3 server on this machine that holds a bucket `studies`."""
    reason = "the S3 server wants dvc-s3, moto[s3], flask and flask-cors (make setup-dev)"
    pytest.importorskip("dvc_s3", reason=reason)
    pytest.importorskip("flask_cors", reason=reason)
    moto = pytest.importorskip("moto.server", reason=reason)
    boto3 = pytest.importorskip("boto3", reason=reason)
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        address = "http://{}:{}".format(*running.get_host_and_port())
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="studies")
        yield address
    finally:
        running.stop()


def check_colleague(folder: Path, remote: list[tuple[str, str]], **environment: str) -> None:
    """Push from a copy of the study, clone it, pull, and find everything there and nothing to run."""
    owner, colleague = folder / "owner", folder / "colleague"
    make_study(owner)
    model = (owner / "models/aug.bin").read_bytes()
    for key, value in remote:
        call(owner, "dvc", "config", key, value)
    commit(owner, "a remote")
    call(owner, "dvc", "push", "-q", **environment)
    call(folder, "git", "clone", "-q", str(owner), str(colleague))
    shutil.rmtree(owner / ".dvc" / "cache")
    assert not (colleague / "models/aug.bin").exists()
    call(colleague, "dvc", "pull", "-q", **environment)
    assert (colleague / "models/aug.bin").read_bytes() == model
    assert "up to date" in call(colleague, "dvc", "status")
    assert "Running stage" not in call(colleague, "dvc", "repro")
    assert "accuracy" in call(colleague, "dvc", "metrics", "show")
    assert call(colleague, "git", "status", "--porcelain") == ""


def test_a_folder_is_a_remote(tmp_path: Path) -> None:
    check_colleague(tmp_path, [("core.remote", "shared"), ("remote.shared.url", str(tmp_path / "remote"))])


def test_an_s3_server_is_a_remote(tmp_path: Path, server: str) -> None:
    remote = [
        ("core.remote", "s3"),
        ("remote.s3.url", "s3://studies/brain-mri"),
        ("remote.s3.endpointurl", server),
    ]
    check_colleague(tmp_path, remote, **KEYS)


def test_a_queue_has_several_workers(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    times = tmp_path / "times"
    environment = {"TOY_TIMES": str(times)}
    try:
        for seed in (2, 3):
            settings = ["-S", f"train.seed={seed}", "-S", "train.seconds=6"]
            call(folder, "dvc", "exp", "run", "--queue", "-n", f"seed-{seed}", *settings)
        call(folder, "dvc", "queue", "start", "--jobs", "2", **environment)
        begin = time.monotonic()
        while call(folder, "dvc", "queue", "status").count("Success") < 2:
            assert time.monotonic() - begin < PATIENCE, call(folder, "dvc", "queue", "status")
            time.sleep(1)
    finally:
        call(folder, "dvc", "queue", "stop", "--kill")
    (_, end), (start, _) = sorted(tuple(map(float, line.split())) for line in times.read_text().splitlines())
    assert start < end, "the second training began before the first one ended"
    shown = call(folder, "dvc", "exp", "show", "--csv")
    assert "seed-2" in shown
    assert "seed-3" in shown
