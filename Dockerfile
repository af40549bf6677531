# One image for the start container, web, worker, beat and sealer. PostgreSQL and Valkey have their own.
FROM python:3.12-slim-bookworm

# So that a name in a script that Typst's own fonts lack is still printed in a certificate.
RUN apt-get update \
    && apt-get install -y --no-install-recommends fonts-dejavu-core git openssh-client \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/muster
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt

COPY . .

# The folders that become volumes belong to the account that runs everything else; a new volume
# takes over owner and mode. The sealer has an account of its own; what it is told lies in a folder whose group is its own.
RUN useradd --system --uid 10001 --no-create-home muster \
    && useradd --system --uid 10002 --no-create-home muster-sealer \
    && install -d -o muster-sealer -g muster-sealer -m 0700 /sealer \
    && install -d -o muster -g muster-sealer -m 2750 /environments/sealer \
    && install -d -o muster -g muster -m 0755 /anchored /data/anchored \
    && install -d -o muster -g muster -m 0700 \
        /private /private/keys /data /data/keys \
        /environments/web /environments/worker /environments/beat \
    && install -d -o muster -g muster -m 0755 /private/static /data/static \
    && python -m compileall -q governance compliance lifecycle authz registry audit
USER muster

ENV PYTHONPATH=/opt/muster PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=governance.settings
ENTRYPOINT ["python", "-P", "-m", "governance.runner"]
CMD ["compose-run", "web"]
