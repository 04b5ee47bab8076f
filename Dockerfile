# One image for every process: the worker (default), the review page, the command line. The target `demo` adds the
# Flinks emulator, which the production image does not contain.
# Contains no settings and no secrets; see .env.example and docker-compose.yml.

FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/nightly \
 && pip --python /opt/nightly/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
    --requirement requirements/runtime.txt
# The build backend comes from the hashed lock too, and exists only in this stage.
RUN awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } keep' \
    requirements/dev.txt > requirements/build.txt \
 && pip install --no-cache-dir --only-binary :all: --require-hashes --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY worker/ worker/
COPY tasks/ tasks/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/nightly/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl

FROM python:3.12-slim AS runtime
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin nightly
COPY --from=build /opt/nightly /opt/nightly
ENV PATH=/opt/nightly/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
USER 10001
STOPSIGNAL SIGTERM
# Each process has a health check of its own, in docker-compose.yml.
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["celery", "-A", "worker", "worker", "--without-gossip", "--without-mingle"]

FROM runtime AS demo
COPY sandbox/ /opt/demo/sandbox/
ENV PYTHONPATH=/opt/demo

FROM runtime AS production
