# One image for the site, the workers and the scheduler; docker-compose.yml gives each its command.
# docs/operations.md says how to use it. The image has not been built by its authors.

FROM python:3.11-slim AS packages
# "cpu", or "cuda" for workers on a machine with an NVIDIA card.
ARG ACCELERATOR=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --require-hashes -r requirements.txt
# NVIDIA's libraries come with the extra "and-cuda" of TensorFlow, in the version that is locked above.
RUN if [ "$ACCELERATOR" = cuda ]; then \
        /opt/venv/bin/pip install "tensorflow[and-cuda]==$(/opt/venv/bin/python -c 'from importlib.metadata import version; print(version("tensorflow"))')"; \
    fi

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin teri \
    && install -d -o teri -g teri /data /data/media /data/bundles /data/training
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    BIND=0.0.0.0 \
    PORT=8000 \
    STATIC_ROOT=/app/collected \
    MEDIA_ROOT=/data/media \
    BUNDLE_CACHE_DIR=/data/bundles \
    TRAINING_WORK_DIR=/data/training \
    TRAINING_DATA_DIR=/data/isic
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY . .
# Production settings do not load without secrets. These values exist in this one step only and are not kept.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" ALLOWED_HOSTS=build.invalid \
    DATABASE_URL=postgresql://build.invalid/teri REDIS_URL=redis://:build@build.invalid/0 \
    python manage.py collectstatic --no-input --verbosity 0
USER teri
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi:application"]
