# The zoo on CPU: docker build -t nnzoo . && docker run --rm -v "$PWD/runs:/data/runs" nnzoo train model=cnn
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY zoo zoo
# hadolint ignore=DL3013
RUN pip install uv \
    && uv pip install --system --no-cache --torch-backend=cpu ".[export,serve]" \
    && useradd --create-home --uid 1000 zoo \
    && install -d -o zoo /data
USER 1000
WORKDIR /data
ENTRYPOINT ["zoo"]
CMD ["--help"]
