"""A training epoch of a few steps as stages/train.py runs it: its compiled step, its batches, what is done between."""

import serving  # isort: skip  # it takes stdout before anything prints

import engine
from peaks import forward_gflops, matmul_gflops


def main() -> None:
    options = engine.parser(__doc__).parse_args()
    ours = engine.Engine(engine.params_of(options), options.steps)
    ours.epoch()
    serving.serve(
        ours.epoch,
        matmul=lambda: matmul_gflops("float32" if options.precision == "float32" else "bfloat16"),
        forward=lambda: forward_gflops(ours.model),
    )


if __name__ == "__main__":
    main()
