"""Classify brain MRI images on a web page, with the model of a study that has been run. No medical device.

    python app.py                             (open the address that it prints)
    python app.py --study studies/compact --port 8001

The study is studies/compact-robust once that has been run or pulled, else the default study, which knows phantoms
alone, unless --study names one. The page shows the class, calibrated probabilities, the crop that was made, and a heat
map of what speaks for a class. It needs no internet, and this computer alone can open it unless --host names another
address. Images are neither kept nor written to disk. Ctrl-C ends it.
"""

import argparse
import ipaddress
import logging
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import brain_mri

# Anything heavy is imported where it is used, so that --help and a mistyped name are answered at once.


def main(options: argparse.Namespace) -> None:
    from brain_mri.prediction.study import default_study, open_study

    logging.disable()  # readers of medical files log what they find in them
    study = open_study(options.study or default_study(Path(brain_mri.__file__).parent.parent))
    with listening(options.host, options.port) as place:  # before the model is loaded, which takes seconds
        import uvicorn

        from brain_mri.prediction.classifier import Classifier
        from brain_mri.web.service import Service

        local = is_loopback(place)
        service = Service(Classifier(study), local)
        service.warm_up()
        for note in study.notes:
            say(note)
        if not local:
            say("whoever can reach this computer can use the page; without --host it is for this computer alone")
        config = uvicorn.Config(
            service.app(),
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=200,
            timeout_graceful_shutdown=3,
        )
        print(f"{address(place)}  (open it in a browser; ctrl-C ends it)", flush=True)
        with suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run([place])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises UserError where it cannot."""
    from brain_mri.errors import UserError

    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: expected 0 to 65535")
    try:
        kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(place[:2], family=kind)
    except OSError as error:
        said = f"cannot listen there ({error.strerror})"
        raise UserError(f"{host}, port {port}: {said}; name others with --host and --port") from None


def is_loopback(place: socket.socket) -> bool:
    return ipaddress.ip_address(place.getsockname()[0].partition("%")[0]).is_loopback


def address(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, metavar="FOLDER", help="default: see above")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1, this computer")
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)


if __name__ == "__main__":
    options = parse()
    from brain_mri.errors import run

    run(partial(main, options))
