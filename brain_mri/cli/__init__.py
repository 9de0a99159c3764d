"""The command `brain-mri`: one subcommand a module, loaded when it is asked for."""

import importlib
import sys

COMMANDS = {
    "predict": "classify images",
    "app": "classify images on a web page",
    "report": "make a study's report",
    "compare": "put pipelines, studies or revisions side by side",
    "check": "check that a study's committed results are what its committed code gives",
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print("usage: brain-mri COMMAND [...]   (brain-mri COMMAND --help)\n")
        for name, what in COMMANDS.items():
            print(f"  {name:8} {what}")
        sys.exit(0 if sys.argv[1:] in (["--help"], ["-h"]) else 2)
    command = sys.argv.pop(1)
    sys.argv[0] = f"brain-mri {command}"
    importlib.import_module(f"brain_mri.cli.{command}").main()
