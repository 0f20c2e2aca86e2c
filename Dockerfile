ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
RUN pip install --no-cache-dir uv && uv venv /opt/turnout
ENV VIRTUAL_ENV=/opt/turnout
WORKDIR /src
# The lock also has what the tests and the demo need. Taken as constraints it pins and verifies by
# hash whatever is installed, and only what pyproject.toml names as dependencies is installed, with
# what sends traces: 4 MB of 500, and switched on by the environment.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra otel
COPY README.md LICENSE ./
COPY src src
RUN uv pip install --no-deps .

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin turnout \
    && install --directory --owner turnout --group turnout --mode 0750 /var/lib/turnout
COPY --from=build /opt/turnout /opt/turnout
ENV PATH=/opt/turnout/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TURNOUT_DATA_DIR=/var/lib/turnout
# Models, and the database where none is named, go here; nothing else is written but /tmp.
WORKDIR /var/lib/turnout
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=2); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["turnout"]
CMD ["serve", "--host", "0.0.0.0"]
