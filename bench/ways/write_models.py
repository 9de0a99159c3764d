"""Write an untrained model of each pipeline into the working directory, a study, so that its stages can run."""

import engine
import train

from brain_mri.files import write_csv
from brain_mri.network.saved import save
from brain_mri.params import load_params


def main() -> None:
    params = load_params()
    model = engine.model_of(params)
    for pipeline in ("noaug", "aug"):
        save(model, engine.Path(f"models/{pipeline}.keras"), train.card(pipeline, 1.0, params))
        row = {"epoch": 1, "learning_rate": 0.1}
        row |= {f"{part}{name}": 1.0 for part in ("", "val_") for name in ("accuracy", "loss")}
        write_csv(f"plots/history/{pipeline}.csv", [row], list(row))


if __name__ == "__main__":
    main()
