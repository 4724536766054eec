"""Every public object has a complete numpydoc docstring."""

import importlib
import inspect
import pkgutil
import re

import pytest
from numpydoc.validate import validate

import skrec
from skrec import baselines, behavior, content, predictor, zoo

# Layers for those who write operators: their docstrings give shapes, not a section each.
UNCHECKED = {"nn", "lm"}

# What a good docstring may lack, or may do otherwise.
ALLOWED = {
    "GL01",  # the summary follows the opening quotes on their line
    "GL02",  # so may the closing quotes of a one-line docstring
    "ES01",  # a summary may be enough
    "EX01",  # examples stand where they help, and run as doctests
    "SA01",  # so do cross-references
    "SA04",
    "RT02",  # returned values may have names
    "RT03",  # a type may be enough where the summary says what is returned, as with `self`
}

PUBLIC_MODULES = [skrec] + [
    importlib.import_module(f"skrec.{module.name}")
    for module in pkgutil.iter_modules(skrec.__path__)
    if not module.name.startswith("_") and module.name not in UNCHECKED
]


def is_ours(obj):
    return getattr(obj, "__module__", "").split(".")[0] == "skrec"


def path_of(obj):
    """Where an object is defined: an inherited method, or one exported twice, is checked once."""
    return f"{obj.__module__}.{obj.__qualname__}"


def methods(cls):
    """Public methods and properties of a class and of its bases in skrec."""
    for base in filter(is_ours, cls.__mro__):
        for name, member in vars(base).items():
            if isinstance(member, property):
                member = member.fget
            elif isinstance(member, classmethod | staticmethod):
                member = member.__func__
            if name.startswith("_") or not inspect.isfunction(member) or not is_ours(member):
                continue
            # an override without a docstring has that of the base, which is checked there
            if member.__doc__ or not inspect.getdoc(member):
                yield f"{path_of(base)}.{name}"


def public_objects():
    """Dotted paths of public classes, functions and methods."""
    for module in PUBLIC_MODULES:
        for name in getattr(module, "__all__", ()):
            obj = getattr(module, name, None)
            if inspect.isclass(obj) and is_ours(obj):
                yield path_of(obj)
                yield from methods(obj)
            elif inspect.isfunction(obj) and is_ours(obj):
                yield path_of(obj)


@pytest.mark.parametrize("module", PUBLIC_MODULES, ids=lambda module: module.__name__)
def test_public_module_says_what_is_public(module):
    # without __all__ the test below would pass over the module
    assert module.__all__
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("path", sorted(set(public_objects())))
def test_docstring(path):
    faults = [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in ALLOWED]
    assert not faults, "\n".join([path, *faults])


OPERATORS = [
    operator for family in (content, behavior, predictor) for operator in family.ALIASES.values()
]
BASELINES = [getattr(baselines, name) for name in baselines.__all__]
SIZES = [
    operator
    for operator in [*behavior.ALIASES.values(), *predictor.ALIASES.values()]
    if "weights with ``width=64``" in inspect.getdoc(operator)
]


@pytest.mark.parametrize("operator", [*OPERATORS, *BASELINES], ids=path_of)
def test_operators_have_the_same_template(operator):
    """When to use it and when not, a formula, the cost, and an example with its result."""
    text = " ".join(inspect.getdoc(operator).split())
    assert "Use it " in text and "Do not use it if " in text
    assert ".. math:: " in text and "**Cost.** " in text
    assert re.search(r">>> .* (\(|\[|array)", text.split("Examples -----")[1])


@pytest.mark.parametrize("operator", SIZES, ids=path_of)
def test_the_cost_of_an_operator_is_true(operator):
    (said,) = re.findall(r"([\d,]+) weights with ``width=64``", inspect.getdoc(operator))
    weights = operator().build(64).parameters()
    assert sum(weight.numel() for weight in weights) == int(said.replace(",", ""))


def test_most_operators_say_how_many_weights_they_have():
    assert len(SIZES) > 25


@pytest.mark.parametrize("name", zoo.__all__)
def test_published_models_have_a_template_and_a_true_cost(name):
    """When to use it and when not, formulas of the three parts, the paper, cost and an example."""
    model = getattr(zoo, name)
    text = " ".join(inspect.getdoc(model).split())
    assert "Use it " in text and "Do not use it if " in text
    (formula,) = re.findall(r"\.\. math:: (.*?) \*\*Cost\.\*\* ", text)
    assert {"s", "v"} <= {part.split("=")[0].strip() for part in formula.split(r"\quad")}
    assert re.search(r"arXiv \d{4}\.\d{5}|ACL \d{4}|EMNLP", text.split("References -----")[1])
    assert re.search(rf">>> zoo\.{name}\(.*\)\.\w+ \w+\(", text.split("Examples -----")[1])
    rec = model("a/model") if name == "ONCE" else model()
    parts = [rec.behavior.build(64), rec.predictor.build(64)]
    weights = sum(weight.numel() for part in parts for weight in part.parameters())
    said = f"{weights:,} weights with ``width=64``" if weights else "No weights"
    assert f"**Cost.** {said} in the user model and the predictor" in text
