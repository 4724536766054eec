import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skrec import behavior, content, predictor
from skrec._common.checks import check_choice, check_heads, check_int, check_real
from skrec._operators import Operator, aliases, snake_case

WIDTH = 64  # the recommender's default
FAMILIES = {
    content: content.ContentOperator,
    behavior: behavior.BehaviorOperator,
    predictor: predictor.Predictor,
}


@pytest.fixture(
    params=[operator for package in FAMILIES for operator in package.ALIASES.values()],
    ids=lambda operator: f"{operator.__module__.split('.')[1]}-{operator.__name__}",
)
def operator(request):
    """Every registered operator with its defaults."""
    return request.param()


# Names


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("CNN", "cnn"),
        ("ID", "id"),
        ("Dot", "dot"),
        ("MeanPooling", "mean_pooling"),
        ("BehaviorSequenceTransformer", "behavior_sequence_transformer"),
        ("DeepFM", "deep_fm"),
        ("WithID", "with_id"),
        ("DCNv2", "dcnv2"),
    ],
)
def test_snake_case(name, alias):
    assert snake_case(name) == alias


def test_aliases_collect_one_family():
    class Family(Operator):
        pass

    class LastItem(Family):
        pass

    namespace = {
        "Family": Family,
        "LastItem": LastItem,
        "Other": Operator,
        "text": "text",
        "instance": LastItem(),
    }
    assert aliases(namespace, Family) == {"last_item": LastItem}


@pytest.mark.parametrize("package", FAMILIES, ids=lambda package: package.__name__)
def test_every_operator_of_a_package_is_registered_and_public(package):
    for alias, operator in package.ALIASES.items():
        assert issubclass(operator, FAMILIES[package])
        assert operator.__name__ in package.__all__
        assert alias == snake_case(operator.__name__)


def test_operators_of_the_published_models_are_registered():
    assert {"id", "mean_pooling", "cnn", "self_attention"} <= set(content.ALIASES)
    assert {"additive_attention", "features", "vectors", "with_id"} <= set(content.ALIASES)
    assert {"mean_pooling", "additive_attention", "self_attention"} <= set(behavior.ALIASES)
    assert {"dot", "mlp"} <= set(predictor.ALIASES)


# scikit-learn's view


def test_defaults_are_good(operator):
    operator.check(WIDTH)


def test_clone_and_pickle_keep_the_parameters(operator):
    for copy in (clone(operator), pickle.loads(pickle.dumps(operator))):
        assert type(copy) is type(operator)
        assert copy.get_params() == operator.get_params()
        assert copy is not operator


def test_init_only_assigns(operator):
    # scikit-learn's clone and searches rely on it
    parameters = {name: object() for name in operator.get_params()}
    made = type(operator)(**parameters)
    assert vars(made) == parameters


def test_set_params_reaches_every_parameter(operator):
    for name in operator.get_params():
        value = object()
        assert operator.set_params(**{name: value}) is operator
        assert operator.get_params()[name] is value
    with pytest.raises(ValueError, match="Invalid parameter 'misspelt'"):
        operator.set_params(misspelt=1)


def test_repr_names_what_differs_from_the_defaults(operator):
    name = type(operator).__name__
    assert repr(operator) == f"{name}()"
    for parameter in list(operator.get_params())[:1]:
        assert repr(operator.set_params(**{parameter: 77})) == f"{name}({parameter}=77)"


def test_html_repr_draws_a_box(operator):
    # scikit-learn draws nested boxes only of objects that have `fit`
    assert type(operator).__name__ in operator._repr_html_()
    assert hasattr(operator, "fit")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.__name__)
def test_a_family_leaves_its_methods_to_subclasses(family):
    with pytest.raises(NotImplementedError):
        if family is content.ContentOperator:
            family().build(None, WIDTH)
        else:
            family().build(WIDTH)


def test_content_family_leaves_fit_and_prepare_to_subclasses():
    with pytest.raises(NotImplementedError):
        content.ContentOperator().fit(None)
    with pytest.raises(NotImplementedError):
        content.ContentOperator().prepare(None)


# Parameters that can't work


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (content.MeanPooling(max_length=0), "max_length must be a positive int, got 0"),
        (content.MeanPooling(max_length=8.0), "max_length must be a positive int, got 8.0"),
        (content.MeanPooling(vocab_size=1), "vocab_size must be an int >= 2, got 1"),
        (content.CNN(kernel_size=4), "kernel_size must be odd, got 4"),
        (content.CNN(kernel_size=-3), "kernel_size must be a positive int, got -3"),
        (content.CNN(fusion="sum"), "fusion must be one of 'attention', 'concat', got 'sum'"),
        (content.CNN(dropout=1.0), r"dropout must be a number in \[0, 1\), got 1.0"),
        (content.CNN(max_length=-1), "max_length must be a positive int, got -1"),
        (content.SelfAttention(n_heads=5), "n_heads must divide width=64, got n_heads=5"),
        (content.SelfAttention(n_heads=0), "n_heads must be a positive int, got 0"),
        (
            content.SelfAttention(fusion="sum"),
            "fusion must be one of 'attention', 'concat', got 'sum'",
        ),
        (content.SelfAttention(dropout=-0.1), r"dropout must be a number in \[0, 1\), got -0.1"),
        (content.SelfAttention(vocab_size="9"), "vocab_size must be an int >= 2, got '9'"),
        (content.AdditiveAttention(hidden=0), "hidden must be a positive int, got 0"),
        (content.AdditiveAttention(dropout=1), r"dropout must be a number in \[0, 1\), got 1"),
        (content.AdditiveAttention(max_length=0), "max_length must be a positive int, got 0"),
        (content.Features(hidden=8), "hidden must be a sequence of layer sizes, got 8"),
        (content.Features(dropout=-1), r"dropout must be a number in \[0, 1\), got -1"),
        (content.Vectors(hidden=(0,)), "each size in hidden must be a positive int, got 0"),
        (content.Vectors(hidden=None), "hidden must be a sequence of layer sizes, got None"),
        (content.Vectors(dropout=1.0), r"dropout must be a number in \[0, 1\), got 1.0"),
        (content.WithID(dropout=1.0), r"dropout must be a number in \[0, 1\), got 1.0"),
        (content.WithID(content.CNN(max_length=0)), "max_length must be a positive int, got 0"),
        (behavior.AdditiveAttention(hidden=0), "hidden must be a positive int, got 0"),
        (behavior.AdditiveAttention(hidden=True), "hidden must be a positive int, got True"),
        (behavior.SelfAttention(n_heads=7), "n_heads must divide width=64, got n_heads=7"),
        (behavior.SelfAttention(dropout=1), r"dropout must be a number in \[0, 1\), got 1"),
        (behavior.GRU(dropout=1.0), r"dropout must be a number in \[0, 1\), got 1.0"),
        (predictor.Cosine(temperature=0), r"temperature must be a number in \(0, inf\), got 0"),
        (predictor.DCNv2(0), "n_layers must be a positive int, got 0"),
        (predictor.DCNv2(hidden=64), "hidden must be a sequence of layer sizes, got 64"),
        (predictor.DCNv2(hidden=None), "hidden must be a sequence of layer sizes, got None"),
        (predictor.DCNv2(hidden=(0,)), "each size in hidden must be a positive int, got 0"),
        (
            predictor.DCNv2(structure="serial"),
            "structure must be one of 'parallel', 'stacked', got 'serial'",
        ),
        (predictor.DCNv2(rank=0), "rank must be a positive int, got 0"),
        (predictor.DCNv2(rank=4, n_experts=0), "n_experts must be a positive int, got 0"),
        (predictor.DCNv2(dropout=-1), r"dropout must be a number in \[0, 1\), got -1"),
        (predictor.Dot(item_bias="yes"), "item_bias must be one of True, False, got 'yes'"),
        (predictor.Dot(temperature=0), r"temperature must be a number in \(0, inf\), got 0"),
        (predictor.Dot(temperature="1"), r"temperature must be a number in \(0, inf\), got '1'"),
        (predictor.MLP(hidden=()), r"hidden must be a sequence of layer sizes, got \(\)"),
        (predictor.MLP(hidden=64), "hidden must be a sequence of layer sizes, got 64"),
        (predictor.MLP(hidden=6.4), "hidden must be a sequence of layer sizes, got 6.4"),
        (predictor.MLP(hidden=None), "hidden must be a sequence of layer sizes, got None"),
        (predictor.MLP(hidden="64"), "hidden must be a sequence of layer sizes, got '64'"),
        (predictor.MLP(hidden=(8, 0)), "each size in hidden must be a positive int, got 0"),
        (predictor.MLP(activation="selu"), "activation must be one of 'relu', .*, got 'selu'"),
        (predictor.MLP(dropout=1.5), r"dropout must be a number in \[0, 1\), got 1.5"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(operator, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        operator.check(WIDTH)


@pytest.mark.parametrize("value", [0, 1.0, 1.5, "1", None, True, np.nan, [1]])
def test_check_int_refuses(value):
    with pytest.raises(ValueError, match=r"n must be a positive int, got "):
        check_int("n", value)


def test_check_int_says_the_minimum_and_takes_numpy():
    check_int("n", np.int32(1))
    check_int("n", 0, minimum=0)
    with pytest.raises(ValueError, match="^n must be a non-negative int, got -1$"):
        check_int("n", -1, minimum=0)
    with pytest.raises(ValueError, match="^n must be an int >= 5, got 4$"):
        check_int("n", 4, minimum=5)


@pytest.mark.parametrize("value", ["0.5", None, True, np.nan, np.inf, -np.inf, 1j, [0.5]])
def test_check_real_refuses_what_is_no_finite_number(value):
    with pytest.raises(ValueError, match=r"x must be a number in \[0, inf\), got "):
        check_real("x", value)


@pytest.mark.parametrize(
    ("closed", "interval", "good"),
    [
        ("both", r"\[0, 1\]", [0, 0.5, 1]),
        ("left", r"\[0, 1\)", [0, 0.5]),
        ("none", r"\(0, 1\)", [0.5, np.float32(0.5)]),
    ],
)
def test_check_real_minds_the_ends(closed, interval, good):
    for value in good:
        check_real("x", value, 0, 1, closed=closed)
    for value in {-0.1, 0, 1, 1.1} - set(good):
        with pytest.raises(ValueError, match=f"^x must be a number in {interval}, got {value}$"):
            check_real("x", value, 0, 1, closed=closed)


def test_check_choice():
    for value in ("a", np.str_("a"), None, True):
        check_choice("x", value, ("a", None, True))
    for value in ("b", "A", 0, [], np.array(["a", "a"])):
        with pytest.raises(ValueError, match="^x must be one of 'a', None, True, got "):
            check_choice("x", value, ("a", None, True))


def test_check_heads():
    check_heads(4, 12)
    with pytest.raises(ValueError, match="^n_heads must divide width=12, got n_heads=5$"):
        check_heads(5, 12)
    with pytest.raises(ValueError, match="^n_heads must be a positive int, got 2.0$"):
        check_heads(2.0, 12)
