"""Packaging of skrec: `pip install -c constraints.txt -e ".[test]"` is what CI runs."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

# Read as text: importing skrec here would need torch before it is installed.
VERSION = re.search(
    r'^__version__ = "([^"]+)"$', (HERE / "skrec" / "_version.py").read_text(), re.MULTILINE
).group(1)

# Tested are the versions in constraints.txt (torch 2.13.0 among them) on Python 3.11. Lower bounds
# are the oldest releases that should do: those that bring an API skrec calls, or that work with
# numpy 2 and transformers 5. No upper bounds: a release that breaks skrec is excluded once known.
INSTALL_REQUIRES = [
    "torch>=2.6",
    "scikit-learn>=1.9",  # sklearn.callback
    "transformers>=5",
    "tokenizers>=0.22",  # as transformers 5.0 needs
    "peft>=0.18",  # as transformers 5 needs
    "datasets>=3",
    "numpy>=2",
    "scipy>=1.13",
    "joblib>=1.4",
    "safetensors>=0.4.3",  # as transformers 5 needs
    "filelock>=3.24",
    "xxhash>=3",
    "pandas>=2.2.2",  # the first built for numpy 2
    "pyarrow>=17",
]

EXTRAS_REQUIRE = {
    "gguf": ["gguf>=0.10"],  # language models in GGUF files
    "skops": ["skops>=0.16"],  # saving estimators of scikit-learn inside of a recommender
    "test": [
        "gguf>=0.10",
        "pytest>=8.3",
        "ruff>=0.9",
        "mypy>=1.15",
        "pandas-stubs",  # for mypy
        "numpydoc>=1.8",
        "matplotlib>=3.9",
        "polars>=1",
        "rich>=13",  # scikit-learn's progress bars
        "skops>=0.16",
        "faiss-cpu>=1.9",  # the guide's page on indexes
    ],
    "docs": [
        "sphinx>=8",
        "numpydoc>=1.8",
        "sphinx-gallery>=0.19",
        "markdown-it-py>=3",  # docs/_extensions/plain_markdown.py
        "matplotlib>=3.9",
    ],
    "bench": ["psutil>=6", "matplotlib>=3.9"],
}

setup(
    name="skrec",
    version=VERSION,
    description="Content-based recommendation with language models, the scikit-learn way",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The skrec developers",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["recommendation", "language models", "scikit-learn", "news", "click prediction"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["skrec", "skrec.*"]),
    python_requires=">=3.11",
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
)
