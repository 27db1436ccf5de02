# evo_qnas on a processor, with every runtime: docker build -t evo-qnas . && docker run -v "$PWD:/work" evo-qnas run digits
FROM python:3.11-slim
RUN useradd --create-home user
COPY . /src
RUN pip install --no-cache-dir "torch>=2.9,<2.14" --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir "/src[train,onnx,tflite]" \
    && rm -rf /src
USER user
WORKDIR /work
ENTRYPOINT ["evo-qnas"]
CMD ["--help"]
