"""Brain MRI slices classified by tumour: the pipeline's work as functions on arrays.

TensorFlow reads these once, when it is loaded; whatever of this package is imported first, they are set by then."""

import os

# Its default depends on the CPU, and the bits of a training depend on it.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
