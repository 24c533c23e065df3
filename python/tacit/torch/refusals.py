"""Operations that are refused, and what to use instead."""

from typing import Any


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMPARES = _names(
    """
    sort argsort topk kthvalue median mode heaviside prelu rrelu threshold searchsorted bucketize
    max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d fractional_max_pool2d isclose allclose remainder fmod
    cummax cummin multi_margin_loss multilabel_margin_loss unique isin
    """
)

_FUNCTIONS = _names(
    """
    erfinv sin cos tan asin acos atan atan2 sinh cosh asinh acosh atanh digamma lgamma i0 sinc
    _native_batch_norm_legit
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_attention_math kl_div poisson_nll_loss
    dist cdist _cdist_forward linalg_inv_ex
    """
)

_SHOWS = _names("_local_scalar_dense item equal nonzero is_nonzero bincount histc _to_dense resolve_conj")

_RANDOM = _names(
    """
    bernoulli native_dropout rand_like randn_like randint_like normal normal_like uniform random exponential geometric cauchy
    log_normal poisson binomial multinomial _standard_gamma _sample_dirichlet rrelu_with_noise
    """
)

_PLACES = _names("as_strided new_empty_strided empty_strided set_ resize")


def showing(what: str) -> str:
    return (
        f"{what} of a secret tensor would show its value: open it by name with session.reveal(x) (to all) or "
        "session.reveal(x, to=party)"
    )


def _names_of(func: Any) -> tuple[str, str]:
    name = func._schema.name.partition("::")[2]
    return name, name.removeprefix("_foreach_").removesuffix("_backward").rstrip("_")


def is_random(func: Any) -> bool:
    return _names_of(func)[1] in _RANDOM


def unknown(func: Any) -> str:
    """Why `func`, an operation without a rule, is refused."""
    name, base = _names_of(func)
    called = f"{func} on a secret tensor"
    if name in _SHOWS or base in _SHOWS:
        return showing(str(func))
    if name in _COMPARES or base in _COMPARES:
        return (
            f"{called} compares secret numbers in a way that is not there yet: >, ==, clamp, max, argmax, max-pooling in two "
            "dimensions and ReLU are; use these"
        )
    if name in _FUNCTIONS or base in _FUNCTIONS:
        return (
            f"{called} is a function that is not there yet: exp, log, sqrt, powers, sigmoid, tanh, erf, gelu, silu, mish, "
            "softplus, elu and softmax are; express it through these"
        )
    if name in _RANDOM or base in _RANDOM:
        return (
            f"{called} draws random numbers, which would be public, and each party would draw others: session.random(shape, "
            "low, high) draws numbers that no party knows, uniform in [low, high) (12 of [-0.5, 0.5) are a normal one, about); "
            "a mask that may be public is made from one seed at all parties"
        )
    if base in _PLACES or name in _PLACES:
        return (
            f"{called} speaks of places in memory, which a secret tensor has none of: write into a leaf under "
            "torch.no_grad(), or build the result with torch.cat or torch.stack"
        )
    if name.startswith("_fused_"):
        return f"{called} is a whole step of an optimiser in one operation: give the optimiser fused=False"
    return (
        f"{called} has no rule: secret tensors know sums, products, quotients, matrix products, convolutions, pooling, "
        "comparisons, max, the usual activations and losses, and data movement; express it through these (or reveal first, if "
        "all may see the value)"
    )


def integers(func: Any) -> str:
    return f"{func} of a secret integer or boolean tensor has no rule: convert it with .float() first"


def leak(func: Any) -> str:
    return (
        f"{func} would write a secret into a public tensor. If an optimiser does it, the model is public and its gradients are "
        "secret: share the model with session.share(model, owner=...), or freeze it with requires_grad_(False)"
    )


SESSIONS = (
    "tensors of different sessions (or of different parties in one process) meet in {}: keep each session's own apart"
)
