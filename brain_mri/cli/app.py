"""Classify brain MRI images on a web page. No medical device.

    brain-mri app                             (open the address that it prints)
    brain-mri app --study studies/compact --port 8001

The model is the released one (released/), else the default study's, which knows phantoms alone, unless --study names
a study. The page shows the class, calibrated probabilities, the crop that was made, and a heat map of what speaks for a
class. It needs no internet, and this computer alone can open it unless --host names another address. Images are neither
kept nor written to disk. Programs ask /answer (an image), /answers (a zip of images) and /health; /openapi.json
describes them. Ctrl-C ends it.
"""

import argparse
import ipaddress
import logging
import socket
from contextlib import suppress

from brain_mri.cli import named_path, warn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", type=named_path, metavar="FOLDER", help="default: see below")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1, this computer")


def main(options: argparse.Namespace) -> None:
    from brain_mri.prediction.study import open_study

    logging.disable()  # readers of medical files log what they find in them
    study = open_study(options.study)
    with listen(options.host, options.port) as server:  # before the model is loaded, which takes seconds
        import uvicorn

        from brain_mri.prediction.classifier import Classifier
        from brain_mri.web.service import Service

        host, port = server.getsockname()[:2]
        local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
        service = Service(Classifier(study), host if local else None)
        service.warm_up()
        for note in study.notes:
            warn(note)
        if not local:
            warn("whoever can reach this computer can use the page; without --host it is for this computer alone")
        config = uvicorn.Config(
            service.app(),
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=200,
            timeout_graceful_shutdown=3,
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"http://{address}  (open it in a browser; ctrl-C ends it)", flush=True)
        with suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run([server])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; UserError where it cannot."""
    from brain_mri.errors import UserError

    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: expected 0 to 65535")
    try:
        kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(place[:2], family=kind)
    except (OSError, UnicodeError) as error:  # a name of no host that could be
        reason = f"cannot listen there ({getattr(error, 'strerror', None) or error})"
        raise UserError(f"{host}, port {port}: {reason}; name others with --host and --port") from None
