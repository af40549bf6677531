# One image for the start container, web, worker and beat. PostgreSQL and Valkey have their own.
FROM python:3.12-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/muster
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt

COPY . .

# The folders that become volumes belong to the account that runs everything; a new volume
# takes over owner and mode.
RUN useradd --system --uid 10001 --no-create-home muster \
    && install -d -o muster -g muster -m 0700 \
        /private /private/keys /data /data/keys \
        /environments/web /environments/worker /environments/beat \
    && install -d -o muster -g muster -m 0755 /private/static /data/static \
    && python -m compileall -q governance compliance lifecycle authz registry audit
USER muster

ENV PYTHONPATH=/opt/muster PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=governance.settings
ENTRYPOINT ["python", "-P", "-m", "governance.runner"]
CMD ["compose-run", "web"]
