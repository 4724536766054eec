"""Packaging of skrec: `pip install -c constraints.txt -e ".[test]"` is what CI runs.

The distribution is called contentrec, because another project distributes a package named skrec.
The import name is skrec.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/skrec/skrec"

# Read as text: importing skrec here would need torch before it is installed.
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (HERE / "skrec" / "_common" / "version.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

# tests/test_packaging.py compares these lists with the imports of skrec, in both directions.
# constraints.txt has the newest versions that are tested, and .ci/minimum tests the lower bounds
# on Python 3.11, except that of torch, which is only tested as constraints.txt pins it. There
# are no upper bounds: a release that breaks skrec is excluded once it is known.
INSTALL_REQUIRES = [
    "torch>=2.6",
    "scikit-learn>=1.9",  # sklearn.callback
    "transformers>=5.1",  # 5.0 cannot load Phi and StableLM
    "tokenizers>=0.22",  # required by transformers 5.1
    "peft>=0.18",  # the first for transformers 5
    "accelerate>=1.2",  # transformers 5.1 imports get_module_size_with_ties
    "huggingface_hub>=1.3",  # required by transformers 5.1
    "numpy>=2",
    "scipy>=1.13",  # the first built for numpy 2
    "safetensors>=0.6.1",  # saves uint32, the state of a RandomState
    "pooch>=1.8",
    "requests>=2.32",
    "urllib3>=2.2",  # HTTPResponse.read1
    "filelock>=3.24",
    "xxhash>=3",
    "joblib>=1.4",
    "pandas>=2.2.2",  # the first built for numpy 2
    "pyarrow>=18",  # casts string views, the texts of polars
]

EXTRAS_REQUIRE = {
    "gguf": ["gguf>=0.10"],  # language models in GGUF files
    "skops": ["skops>=0.16"],  # saving scikit-learn estimators that a recommender contains
    "plot": ["matplotlib>=3.9"],  # skrec.inspection
    # engines of the guide page "More than one machine", only tested as constraints.txt pins them
    "ray": ["ray[train,tune]>=2.60"],
    "dask": ["dask>=2026.8", "distributed>=2026.8"],
    "spark": ["pyspark>=4.3"],  # needs Java
    "test": [
        "pytest>=8.3",
        "pytest-cov>=7",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",  # tests/test_fuzz.py
        "codespell>=2.4",
        "import-linter>=2.6",  # contracts of the type acyclic_siblings
        "mypy>=1.15",
        "pandas-stubs>=2.2.2",  # for mypy
        "ruff>=0.9",
        "numpydoc>=1.9",
        "sphinx>=8",  # tests of docs/_extensions
        "markdown-it-py>=3",
        "datasets>=3",
        "gguf>=0.10",
        "matplotlib>=3.9",
        "polars>=1.33.1",  # earlier versions cannot export all types to Arrow
        "rich>=13",  # scikit-learn's progress bars
        "skops>=0.16",
        "faiss-cpu>=1.9",  # the guide's page on indexes
        "pyversity>=0.2",  # lists with diversity are compared with it
    ],
    "docs": [
        "sphinx>=8",
        "numpydoc>=1.9",
        "pydata-sphinx-theme>=0.17",
        "sphinx-copybutton>=0.5.2",
        "sphinx-design>=0.6",
        "sphinx-gallery>=0.19",
        "markdown-it-py>=3",  # docs/_extensions/plain_markdown.py
        "matplotlib>=3.9",
        "nbclient>=0.10",  # the tests of notebooks
        "ipykernel>=6.29",
    ],
    "bench": ["joblib>=1.4", "threadpoolctl>=3.5"],
}

setup(
    name="contentrec",
    version=VERSION,
    description="Content-based recommendation with language models, the scikit-learn way",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The skrec developers",
    license="MIT",
    license_files=["LICENSE"],
    project_urls={
        "Documentation": f"{REPOSITORY}/tree/main/docs",
        "Source": REPOSITORY,
        "Issues": f"{REPOSITORY}/issues",
        "Changelog": f"{REPOSITORY}/blob/main/CHANGES.md",
    },
    keywords=["recommendation", "language models", "scikit-learn", "news", "click prediction"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["skrec", "skrec.*"]),
    package_data={"skrec": ["py.typed"]},
    python_requires=">=3.11",
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
)
