# The image of web, worker, release step and mock customer API: the same code, other commands (compose.yaml).
# Builds with `docker build -t leadapp .`; whatever has C in it comes as a wheel, so no compiler is needed.
FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /opt/leadapp \
 && /opt/leadapp/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --no-binary flask-principal -r requirements.txt

FROM python:3.11-slim AS app
ENV PATH="/opt/leadapp/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLASK_APP=wsgi \
    PORT=8000
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin leadapp
WORKDIR /app
COPY --from=packages /opt/leadapp /opt/leadapp
COPY wsgi.py worker.py ./
COPY leadapp ./leadapp
COPY migrations ./migrations
COPY templates ./templates
# SQLite, should somebody use it, and nothing else is written here.
RUN mkdir instance && chown leadapp instance
USER leadapp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz/live', timeout=4)"]
CMD ["sh", "-c", "exec gunicorn wsgi:app --preload --bind 0.0.0.0:${PORT} --worker-class gthread --workers ${WEB_CONCURRENCY:-2} --threads ${WEB_THREADS:-8} --timeout 30 --graceful-timeout 20 --keep-alive 75 --no-control-socket --worker-tmp-dir /dev/shm --logger-class leadapp.ops.logs.GunicornLogger"]

# The live end-to-end test, for compose's profile `e2e` (docs/operations.md). Not part of the image that serves.
FROM packages AS e2e
COPY requirements-dev.txt .
RUN /opt/leadapp/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --no-binary flask-principal -r requirements-dev.txt
ENV PATH="/opt/leadapp/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin leadapp
WORKDIR /app
COPY pyproject.toml wsgi.py worker.py ./
COPY leadapp ./leadapp
COPY migrations ./migrations
COPY templates ./templates
COPY tests ./tests
USER leadapp
CMD ["python", "-m", "pytest", "-p", "no:cacheprovider", "tests/services/test_live_gateway.py"]

# What `docker build` makes when no target is named.
FROM app
