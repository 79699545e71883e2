#!/bin/sh
# An environment in, the same without what only its packages' developers use: tests, headers.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"
rm -rf torch/include torch/test torch/bin torch/share torch/lib/*test*.so pyarrow/include pyarrow/tests
for package in pandas scipy sklearn statsmodels numpy sympy networkx matplotlib nltk plotly; do
  find "$package" -type d -name tests -prune -exec rm -rf {} +
done
