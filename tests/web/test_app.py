"""The web page's service: the answers of `predict` over HTTP, and plain words for what cannot be answered."""

import asyncio
import base64
import io
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx2
import nibabel
import numpy as np
import pydicom
import pytest
from pictures import encoded, with_a_damaged_member
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from bench.mutations import mutate, mutate_dicom, pictures, scans, volumes
from brain_mri import results
from brain_mri.files import write_csv
from brain_mri.images.badimage import BadImage, Limits, Reason
from brain_mri.images.crop import find_head
from brain_mri.params import load_params
from brain_mri.phantoms.phantom import phantom
from brain_mri.prediction.classifier import Answer, Classifier
from brain_mri.prediction.inputs import read_crop
from brain_mri.prediction.study import open_study
from brain_mri.web import samples, service
from brain_mri.web.answering import coloured
from brain_mri.web.line import Line
from brain_mri.web.schema import Answered, Batch, Health
from brain_mri.web.service import HEADERS, Service
from brain_mri.web.words import METHODS, REFUSALS, headline, notes, refusal, share
from studies import CLASSES, ROOT, disc, tiny_study

OCTETS = {"Content-Type": "application/octet-stream"}
COMMAND = [sys.executable, "-m", "brain_mri", "app"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(open_study(tiny_study(tmp_path_factory.mktemp("study"))))


@pytest.fixture
def client(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of the tiny study's page, whose samples are discs, because drawing phantoms takes seconds."""
    monkeypatch.setattr(samples, "drawn", lambda label, index: encoded(disc(index)))
    return TestClient(Service(classifier).app(), base_url="http://localhost")


def ask(client: TestClient, data: bytes, **values: str) -> httpx2.Response:
    return client.post("/answer", content=data, params=values, headers=OCTETS)


def page_of(classifier: Classifier) -> str:
    return TestClient(Service(classifier).app(), base_url="http://localhost").get("/").text


def decoded(url: str) -> np.ndarray:
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_answer_is_that_of_predict(client: TestClient, classifier: Classifier) -> None:
    data, settings = encoded(disc(1)), classifier.study.card.crop
    crop = read_crop(data, "disc.png", settings)
    (expected,) = classifier.classify(crop[None])
    found = ask(client, data).json()
    assert found["predicted"] == expected.predicted
    assert {entry["name"]: entry["value"] for entry in found["probabilities"]} == expected.probabilities
    assert (found["abstain"], found["warning"]) == (expected.abstain, False)
    assert np.array_equal(decoded(found["crop"]), crop)
    assert np.array_equal(decoded(found["image"]), disc(1))
    top, bottom, left, right = find_head(disc(1), settings).box
    shown = {"top": top / 80, "left": left / 80, "height": (bottom - top) / 80, "width": (right - left) / 80}
    assert found["box"] == shown and found["size"] == [80, 80]


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def ask_all(client: TestClient, data: bytes) -> httpx2.Response:
    return client.post("/answers", content=data, headers=OCTETS)


def test_a_zip_is_answered_as_its_images_are(client: TestClient, classifier: Classifier) -> None:
    files = {f"in/{seed}.png": encoded(disc(seed)) for seed in range(3)}
    found = ask_all(client, zipped(files | {"in/README.txt": b"scans", "in/bad.png": b"nothing"}))
    rows = Batch.model_validate(found.json()).answers
    assert [row.path for row in rows] == ["in/0.png", "in/1.png", "in/2.png", "in/bad.png"]
    assert rows[3].error and rows[3].predicted is None
    damaged = ask_all(client, with_a_damaged_member(zipped(files)))
    assert [bool(row.error) for row in Batch.model_validate(damaged.json()).answers] == [False, False, True]
    for row, data in zip(rows, files.values(), strict=False):
        crop = read_crop(data, "disc.png", classifier.study.card.crop)
        (expected,) = classifier.classify(crop[None])
        assert row.predicted == expected.predicted
        assert row.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_a_zip_that_is_none_or_too_large_is_one_line(client: TestClient) -> None:
    many = ask_all(client, zipped({f"{seed}.png": b"x" for seed in range(1000)}))
    assert many.status_code == 413 and "1,000 images in one request" in many.json()["error"]
    assert ask_all(client, b"no zip").status_code == 422
    assert ask_all(client, zipped({"../a.png": b"x"})).status_code == 422
    assert ask_all(client, zipped({})).json() == {"answers": []}


def test_what_the_service_says_of_itself(client: TestClient) -> None:
    health = Health.model_validate(client.get("/health").json())
    assert (health.status, health.classes) == ("ok", CLASSES)
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/health", "/answer", "/answers", "/map"}
    Answered.model_validate(ask(client, encoded(disc(1))).json())
    named = set(re.findall(r'"#/components/schemas/(\w+)"', client.get("/openapi.json").text))
    assert named and named <= set(described["components"]["schemas"])


def test_a_large_image_is_shown_smaller(client: TestClient) -> None:
    large = cv2.resize(disc(1), (1500, 1000), interpolation=cv2.INTER_LINEAR)
    found = ask(client, encoded(large)).json()
    assert found["size"] == [1500, 1000] and decoded(found["image"]).shape == (427, 640)


def test_medical_files(client: TestClient) -> None:
    scan = (Path(pydicom.__file__).parent / "data/test_files/MR_small.dcm").read_bytes()
    answer = ask(client, scan, ending=".dcm")
    assert answer.status_code == 200 and "CompressedSamples" not in answer.text  # the patient's name in the file
    volume = np.stack([disc(seed, 64) for seed in range(9)], axis=2)
    data = nibabel.Nifti1Image(volume, np.eye(4)).to_bytes()
    middle, fourth, seventh = (ask(client, data, **values).json() for values in ({}, {"slice": "4"}, {"slice": "7"}))
    assert middle == fourth and middle["volume"] and seventh["crop"] != middle["crop"]
    answer = ask(client, data, slice="9")
    assert answer.status_code == 422 and answer.json()["error"] == "This file has no slice of that number."


@pytest.mark.parametrize("method", [name for name in METHODS if name != "lesion_map"])
def test_maps(method: str, client: TestClient, classifier: Classifier) -> None:
    crop = read_crop(encoded(disc(1)), "disc.png", classifier.study.card.crop)
    shown = []
    for name in CLASSES[:2]:
        answer = client.post("/map", content=encoded(crop), params={"method": method, "class": name}, headers=OCTETS)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
        shown.append(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED))
        assert shown[-1].shape == (*crop.shape, 4)
    assert (method == "sobel") == np.array_equal(*shown)  # edges know of no class
    if method == "grad_cam":
        (heat,) = classifier.explain(crop[None], CLASSES[1:2])
        assert np.array_equal(shown[1], coloured(heat, classifier.study.params.plots.heatmap))
        assert shown[1][heat == 0, 3].max(initial=0) == 0 and shown[1][heat == 1, 3].min() == 255


def animated() -> bytes:
    frames, stream = [Image.fromarray(disc(seed)) for seed in range(2)], io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def huge() -> bytes:
    """A PNG whose header says 20,000 x 20,000 pixels."""
    data = bytearray(encoded(disc(0)))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "This file is empty"),
        (b"no image", 422, "not an image that this page can read"),
        (encoded(disc(0))[:500], 422, "breaks off before its end"),
        (encoded(disc(0, 20)), 422, "each side needs at least 32 pixels"),
        (encoded(np.full((80, 80), 90, np.uint8)), 422, "one shade only"),
        (animated(), 422, "several pictures"),
        (huge(), 413, "16 million pixels and 64 MB are the most"),
        (encoded(disc(0))[:-60] + bytes(60), 422, "This file"),
    ],
)
def test_what_cannot_be_read(data: bytes, status: int, words: str, client: TestClient) -> None:
    answer = ask(client, data)
    assert answer.status_code == status and words in answer.json()["error"]


def test_requests_that_the_page_does_not_make(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(disc(0))
    assert client.post("/answer", content=data, headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post("/answer", files={"file": data}).status_code == 415
    assert client.post("/answer", content=iter([data]), headers=OCTETS).status_code == 411
    assert client.post("/answer", content=b"", headers=OCTETS | {"Content-Length": "9" * 5000}).status_code == 413
    for values in ({"slice": "-1"}, {"slice": "x"}, {"slice": "9" * 5000}, {"slice": "\u0663"}):
        assert ask(client, data, **values).status_code == 400
    for values in ({}, {"method": "grad_cam"}, {"method": "random", "class": "glioma"}, {"method": "x", "class": "y"}):
        assert client.post("/map", content=data, params=values, headers=OCTETS).status_code == 400
    sound = {"method": "grad_cam", "class": "glioma"}
    for crop in (b"", b"x", encoded(disc(0)), encoded(np.zeros((400, 400), np.uint8))):  # none is of the crop's size
        assert client.post("/map", content=crop, params=sound, headers=OCTETS).status_code in (413, 422)
    assert client.get("/answer").status_code == client.post("/").status_code == 405
    monkeypatch.setattr(service, "MOST_BYTES", len(data) - 1)
    assert ask(client, data).status_code == 413
    monkeypatch.setattr(service, "MOST_HELD", 10)
    assert ask(client, data[:20]).status_code == 503
    for answer in (client.get("/nowhere"), client.get("/answer"), ask(client, data[:20])):
        assert answer.json()["error"].endswith((".", "/."))


def test_a_body_counts_as_long_as_it_is_not_as_it_says(client: TestClient) -> None:
    data = encoded(disc(0))
    for path in ("/answer", "/answers", "/map?method=grad_cam&class=glioma"):
        answer = client.post(path, content=data, headers=OCTETS | {"Content-Length": "5"})
        assert answer.status_code == 413 and "64 MB" in answer.json()["error"]


def test_a_body_without_end_is_not_taken() -> None:
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": bytes(1000), "more_body": True}

    with pytest.raises(HTTPException) as refused:
        asyncio.run(service.arrived(Request({"type": "http"}, receive), 2500))
    assert refused.value.status_code == 413 and taken == 3


def test_no_address_leads_to_a_file(client: TestClient) -> None:
    paths = "/params.yaml /static/page.js /../params.yaml /%2e%2e/%2e%2e/etc/passwd /samples/..%2f..%2fparams.yaml"
    paths += f" /samples/8.png /samples/-1.png /samples/{'9' * 5000}.png //etc/passwd /page.js%00.png"
    for path in paths.split():
        assert client.get(path).status_code == 404, path


def test_a_browser_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    answers = [*map(client.get, ("/", "/page.css", "/nowhere")), ask(client, b""), ask(client, encoded(disc(0)))]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    page = answers[0].text
    assert not re.search(r"""(?:https?:)?//\w|\son\w+=|\sstyle=|<style|<script>|<script(?![^>]*\ssrc="/)""", page)
    assert "no medical device" in page
    for name in ("page.css", "page.js"):
        assert not re.search(r"https?://|@import|url\(", client.get(f"/{name}").text)
    for reference in set(re.findall(r'(?:src|href)="(/[^"]*)"', page)):
        assert client.get(reference).status_code == 200, reference


def test_only_this_computer_s_names_are_answered(classifier: Classifier) -> None:
    own = ("127.0.0.1:8000", "[::1]:8000", "localhost", "127.0.1.1:8000")
    for host, status in (*((host, 200) for host in own), ("evil.example", 400), ("127.0.1.2", 400)):
        local, open_to_all = (TestClient(Service(classifier, local).app()) for local in ("127.0.1.1", None))
        assert local.get("/", headers={"Host": host}).status_code == status
        assert open_to_all.get("/", headers={"Host": host}).status_code == 200
    assert "stays on this computer" in local.get("/", headers={"Host": "localhost"}).text
    assert "goes to the computer that runs this page" in open_to_all.get("/").text


KINDS = ((mutate, volumes, ".nii"), (mutate, scans, ".dcm"), (mutate_dicom, scans, ""), *[(mutate, pictures, "")] * 3)


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_hostile_files_are_answered_or_refused(start: int, client: TestClient) -> None:
    for index in range(start, start + 20):
        rng = np.random.default_rng((20260801, index))
        change, originals, ending = KINDS[index % len(KINDS)]
        found = originals()
        answer = ask(client, change(found[rng.integers(len(found))], rng), ending=ending)
        assert answer.status_code in (200, 413, 422), index
        if answer.status_code != 200:
            assert answer.json()["error"].endswith(".") and "{" not in answer.json()["error"]


def connect(served: Service) -> httpx2.AsyncClient:
    """A client that can ask several things at once."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(served.app()), base_url="http://localhost", headers=OCTETS, timeout=60
    )


def ask_at_once(served: Service, count: int) -> list[httpx2.Response]:
    async def ask_all() -> list[httpx2.Response]:
        async with connect(served) as client:
            return await asyncio.gather(*(client.post("/answer", content=encoded(disc(seed))) for seed in range(count)))

    return asyncio.run(ask_all())


def test_ten_clients_at_once(classifier: Classifier, client: TestClient) -> None:
    answers = ask_at_once(Service(classifier), 10)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert [answer.json() for answer in answers] == [ask(client, encoded(disc(seed))).json() for seed in range(10)]


def test_who_comes_when_too_many_wait_is_told_so(classifier: Classifier) -> None:
    served = Service(classifier)
    served.answers = Line("answers", 3)
    answers = ask_at_once(served, 10)
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 7
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert "try again in a few seconds" in refused.json()["error"] and "Retry-After" in refused.headers
    assert served.held == 0 and served.answers.waiting == 0


def test_a_slow_map_keeps_no_answer_waiting(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(service, "heat_map", lambda *_: b"late" if answered.wait(60) else b"too late")

    async def both() -> tuple[httpx2.Response, httpx2.Response]:
        async with connect(Service(classifier)) as client:
            values = {"method": "grad_cam", "class": "glioma"}
            late = asyncio.create_task(client.post("/map", content=b"crop", params=values))
            await asyncio.sleep(0.1)
            answer = await client.post("/answer", content=encoded(disc(0)))
            answered.set()
            return answer, await late

    answer, late = asyncio.run(both())
    assert answer.status_code == 200 and late.content == b"late"


def test_what_nobody_foresaw(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr(service, "answer", broken)
    answer = ask(client, b"x")
    assert answer.status_code == 500 and "not your fault" in answer.json()["error"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    said = capsys.readouterr().err
    assert "RuntimeError in broken" in said and "Doe" not in said


def test_words_for_reservations() -> None:
    shares = {"glioma": 0.55, "notumor": 0.45}
    sure, unsure, strange = (
        Answer("glioma", shares, [], abstain, warning)
        for abstain, warning in ((False, None), (True, None), (True, "odd"))
    )
    assert "no probability was high enough" in notes(unsure, math.inf)[0]
    assert headline(sure) == "Glioma" and "55.0 %" in notes(sure, 0.5)[0]
    assert "a person has to decide" in headline(unsure) and "below the 90.0 %" in notes(unsure, 0.9)[0]
    assert "not look like a brain MRI" in headline(strange) and "do not rely" in notes(strange, 0.9)[0]
    shown = {1.0: "more than 99.9 %", 0.9995: "more than 99.9 %", 0.999: "99.9 %", 0.0004: "less than 0.1 %"}
    assert {value: share(value) for value in shown} == shown


def test_every_refusal_has_words() -> None:
    for reason in Reason:
        words = refusal(BadImage(reason), Limits(), 2**20)
        assert words.endswith(".") and "{" not in words
    assert set(REFUSALS) - {"other", "slice"} <= set(Reason.__members__)


def test_what_the_study_measured_stands_on_the_page(classifier: Classifier, tmp_path: Path) -> None:
    shutil.copytree(classifier.study.folder, tmp_path, dirs_exist_ok=True)
    assert "test images the network was right" not in page_of(Classifier(open_study(tmp_path)))
    shutil.copytree(ROOT / "metrics", tmp_path / "metrics", dirs_exist_ok=True)
    study = open_study(tmp_path)
    page = page_of(Classifier(study))
    tested = results.read(ROOT / f"metrics/{study.pipeline}.json", results.Evaluation).test.all
    assert f"own {tested.n} test images the network was right in {100 * (tested.accuracy or 0):.1f} %" in page
    assert "phantoms of this project" in page and "highest point lay in the tumour" in page
    assert "hardly changes when the network is made random" in page


def test_reservations_reach_the_page(client: TestClient) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    found = ask(client, encoded(noise)).json()
    assert found["warning"] and found["headline"] == "This does not look like a brain MRI"


def test_samples_are_phantoms_made_or_drawn(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    drawn = samples.samples(tmp_path, params)
    assert [sample.label for sample in drawn] == sorted(CLASSES * 2)
    assert drawn[4].read() == drawn[4].read() == encoded(phantom("notumor", samples.SEED, 4).image)
    rows = [{"path": f"Testing/{label}/{n}.png", "label": label} for n in range(4) for label in CLASSES[:2]]
    write_csv(tmp_path / "data/split/test.csv", rows, ("path", "label"))
    for seed, row in enumerate(rows[2:]):
        path = tmp_path / "data/raw" / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(disc(seed)))
    made = samples.samples(tmp_path, params)
    assert [sample.label for sample in made] == ["glioma", "glioma", "meningioma", "meningioma"]
    assert made[0].read() == encoded(disc(0))
    real = load_params(ROOT / "studies/compact/params.yaml")
    assert len(samples.samples(tmp_path, real)) == 8  # of a study of patients no image is offered


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--study", "nowhere"], "no study"),
        (["--port", "TAKEN"], "cannot listen there"),
        (["--port", "70000"], "expected 0 to 65535"),
        (["--host", "no.such.host.invalid"], "cannot listen there"),
        (["--host", "127..1"], "cannot listen there"),
    ],
)
def test_a_bad_start_is_one_line(arguments: list[str], words: str, classifier: Classifier) -> None:
    folder = str(classifier.study.folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [str(taken.getsockname()[1]) if value == "TAKEN" else value for value in arguments]
        done = subprocess.run(
            [*COMMAND, "--study", folder, *given], env=ENVIRONMENT, capture_output=True, text=True, timeout=200
        )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert words in done.stderr


@pytest.fixture(scope="module")
def running(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command itself, on a port of its own, and its address; its temporary files would lie in an empty folder."""
    place, study = tmp_path_factory.mktemp("running"), classifier.study.folder
    command, environment = [*COMMAND, "--study", study, "--port", "0"], {**ENVIRONMENT, "TMPDIR": str(place)}
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().split()[0]
        finally:
            process.kill()


def test_a_request_of_two_lengths_is_refused(running: tuple[subprocess.Popen, str]) -> None:
    """One server before this one may go by one of them, and this one by the other."""
    port = int(running[1].rpartition(":")[2])
    head = "POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    head += "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.encode() + b"186a0\r\n" + bytes(100_000) + b"\r\n0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 411 ")


def resident(process: subprocess.Popen) -> float:
    """Memory of a process in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which Linux alone has")
def test_the_command_serves_keeps_nothing_and_ends(running: tuple[subprocess.Popen, str]) -> None:
    process, address = running
    assert address.startswith("http://127.0.0.1:")

    def post(data: bytes) -> int:
        return urllib.request.urlopen(urllib.request.Request(f"{address}/answer", data, OCTETS)).status

    large = encoded(cv2.resize(disc(0), (800, 800)))
    for _ in range(10):
        assert post(large) == 200
    before = resident(process)
    for _ in range(40):
        post(large)
    assert resident(process) - before < 20
    place = Path(f"/proc/{process.pid}/cwd").resolve()
    left = [path.name for path in place.rglob("*") if path.is_file()]
    assert all(name.startswith("__autograph") for name in left), left  # TensorFlow's own code, compiled or not
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
