# Sourced after parts.sh: builds what several parts share, each once.
need_library() { make -s .build/lib/libx0x.so .build/test/libx0x.so; }

need_demo_c() {
    mkdir -p .build/bin
    gcc -std=c11 -O2 -Wall -Wextra -pedantic -Werror -Iinclude capi/examples/demo_peer.c -o .build/bin/demo_peer \
        -L.build/lib -lx0x -Wl,-rpath,"$ROOT/.build/lib"
}

# A virtual environment with the package as a user gets it: pip install ./python.
need_python() {
    [[ -x $VENV/bin/python ]] || "$PYTHON" -m venv "$VENV"
    "$VENV/bin/pip" -q install --disable-pip-version-check -r python/requirements-dev.txt
    X0X_PREBUILT=$ROOT/.build/lib/libx0x.so "$VENV/bin/pip" -q install --disable-pip-version-check --force-reinstall --no-deps ./python
}

# The addon and its copy of the library in node/prebuilds.
need_node() {
    cd "$ROOT/node"
    [[ -d node_modules && node_modules -nt package-lock.json ]] || npm ci --ignore-scripts --no-audit --no-fund
    X0X_LIBRARY=$ROOT/.build/lib/libx0x.so npm run -s build
    cd "$ROOT"
}

need_c_bench() {
    mkdir -p .build/bin
    gcc -std=c11 -O2 -Iinclude -Icapi/ctest capi/ctest/bench.c -o .build/bin/cbench \
        -L.build/lib -lx0x -Wl,-rpath,"$ROOT/.build/lib" -lpthread
}
