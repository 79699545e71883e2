#!/bin/sh
# An environment in; the same without what no program of ours touches, a tenth of its size, out.
set -eu
cd "$(echo "$1"/lib/python3*/site-packages)"
# what packages bring for their own developers: tests, headers, sources of what is compiled
rm -rf torch/include torch/test torch/share torch/lib/*test*.so pyarrow/include pyarrow/tests \
  onnx/backend/test jupyterlab_plotly
find torch/bin -mindepth 1 ! -name torch_shm_manager -delete
for package in pandas scipy sklearn statsmodels numpy sympy networkx matplotlib nltk plotly; do
  find "$package" -type d -name tests -prune -exec rm -rf {} +
done
find . \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.h' \) \
  -delete
# ONNX Runtime for programs in C, which Python's is not linked to; Arrow's network protocol
rm -f onnxruntime/capi/libonnxruntime.so.* pyarrow/*flight*.so*
# thousands of small modules of which a program imports a few, or none: compiled when it does
find plotly/validators plotly/graph_objs faker nltk databricks fontTools \
  -type d -name __pycache__ -prune -exec rm -rf {} +
# and the rest still stands
PYTHONDONTWRITEBYTECODE=1 "$1/bin/python" -c 'import dvc.repo, evidently, mlflow.onnx, onnx, onnxruntime, pyarrow.parquet
import sklearn.linear_model, statsmodels.api, torch.multiprocessing; torch.ones(1).share_memory_()'
