# docker build -t vdd . && docker run --rm -u "$(id -u)" -v "$PWD:/work" vdd --help
FROM python:3.11-slim
WORKDIR /opt/vdd
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY vdd vdd
COPY configs configs
# The versions of the lock, and of these what running needs: no tools of development.
RUN pip install --no-cache-dir --prefer-binary -c requirements.lock '.[hub,serve,video]'
# Whoever runs it, compiled programs and downloads are kept in a folder that they may write.
ENV HOME=/home/vdd JAX_PLATFORMS=cpu
RUN useradd --create-home vdd && chmod 777 /home/vdd
USER vdd
WORKDIR /work
ENTRYPOINT ["vdd"]
