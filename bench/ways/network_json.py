"""Write one of our networks as Keras's JSON, for a user of plain Keras: network_json.py FILE --study ...

With a lesion map the network has two outputs, `logits` and `lesion_logits`; else the one, `logits`."""

import engine
import keras

from brain_mri.files import write_bytes
from brain_mri.network.lesion import MAP, has_lesion_map


def main() -> None:
    parser = engine.parser(__doc__)
    parser.add_argument("file")
    options = parser.parse_args()
    model = engine.model_of(engine.params_of(options))
    logits = model.get_layer("logits").output
    outputs = {"logits": logits, MAP: model.get_layer(MAP).output} if has_lesion_map(model) else logits
    write_bytes(options.file, keras.Model(model.input, outputs).to_json().encode())


if __name__ == "__main__":
    main()
