# The default study in a container.
#   docker build -t brain-mri .
#   docker run --name repro brain-mri                (make repro: the pipeline on embedded data)
#   docker cp repro:/study/metrics .                 (what it found)
#   docker run -v "$PWD/downloads:/study/downloads:ro" brain-mri dvc repro studies/compact/dvc.yaml
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home reader && mkdir /study && chown reader /study
USER reader
WORKDIR /study
ENV PATH=/study/.venv/bin:$PATH
# The environment first: it changes seldom, and is the costly layer.
COPY --chown=reader Makefile requirements.txt ./
RUN make environment
COPY --chown=reader . .
RUN make setup
CMD ["make", "repro"]
