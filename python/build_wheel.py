"""Build a wheel (and with --sdist a source archive) without pip:  python build_wheel.py --out DIR

What pip does by way of pyproject.toml, for make and for machines without pip."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_build"))
import backend


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder to write to")
    parser.add_argument("--sdist", action="store_true", help="also build a source archive")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(options.out / backend.build_wheel(str(options.out)))
    if options.sdist:
        print(options.out / backend.build_sdist(str(options.out)))


if __name__ == "__main__":
    main()
