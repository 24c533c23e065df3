"""Convolutions and average pooling of secret numbers.

A convolution whose output is only pooled is one form of a quarter of the size (for 2 x 2): with B the box sum,
    pool_k(conv(x, w)) = conv_{stride k}(B_k(pad x), w),    and its kernel's gradient for an upsampled g likewise:
    conv_weight(spread_k(g), x) = conv_weight_{stride k}(g, B_k(pad x)),   and for its input
    conv_input(spread_k(g), w) = conv_input_{stride k}(g, B_k(pad w)).
B_k(pad x) is a linear map of x, so that it needs no opening of its own.
"""

from dataclasses import dataclass

from tacit import field
from tacit.errors import Unsupported
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight
from tacit.graph.maps import Place
from tacit.numbers.arithmetic import Arithmetic, Number, Product

Pair = tuple[int, int]


@dataclass(frozen=True)
class Biased:
    """x + bias, for each channel."""

    x: Number
    bias: Number


@dataclass(frozen=True)
class Spread:
    """The gradient of a pooling by windows that do not overlap."""

    small: Number
    window: Pair


def _remember(number: Number, origin: Biased | Spread) -> None:
    number.wire.origin = (number.scale, origin)


def _made(number: Number) -> Product | Biased | Spread | None:
    """How a pending number came about, if it is still at the scale at which it did."""
    scale, origin = number.wire.origin or (None, None)
    return origin if scale == number.scale else None


def conv2d(a: Arithmetic, x: Number, w: Number, stride: Pair, padding: Pair, bias: Number | None = None) -> Number:
    """x [N, C, H, W], w [O, C, kh, kw], bias [O] -> [N, O, H', W']."""
    out = a.bilinear(Conv2d(stride, padding), x, w, field.size(w.shape[1:]), "conv2d", again=True)
    return out if bias is None else add_bias(a, out, bias)


def add_bias(a: Arithmetic, x: Number, bias: Number) -> Number:
    """x [N, O, H, W] + bias [O]; remembered, since pool(x + bias) = pool(x) + bias."""
    out = a.add(x, a.reshape(bias, (bias.shape[0], 1, 1)), name="bias")
    _remember(out, Biased(x, bias))
    return out


def conv2d_input(a: Arithmetic, g: Number, w: Number, input_size: Pair, stride: Pair, padding: Pair) -> Number:
    """The gradient for the input, of spatial size `input_size`."""
    name = "conv2d input gradient"
    spread = _made(g)
    if stride == (1, 1) and isinstance(spread, Spread) and _divides(spread.window, g.shape):
        boxed = a.box_sum(pad(a, w, (spread.window[0] - 1, spread.window[1] - 1)), spread.window, (1, 1))
        overlap = [-(-boxed.shape[2 + i] // spread.window[i]) for i in range(2)]
        terms = w.shape[0] * overlap[0] * overlap[1]
        return a.bilinear(Conv2dInput(spread.window, padding, input_size), spread.small, boxed, terms, name)
    terms = w.shape[0] * w.shape[2] * w.shape[3]
    return a.bilinear(Conv2dInput(stride, padding, input_size), g, w, terms, name)


def conv2d_weight(a: Arithmetic, g: Number, x: Number, kernel: Pair, stride: Pair, padding: Pair) -> Number:
    """The gradient for the kernel."""
    name = "conv2d weight gradient"
    spread = _made(g)
    if stride == (1, 1) and isinstance(spread, Spread) and _divides(spread.window, g.shape):
        small = spread.small
        boxed = a.box_sum(pad(a, x, padding), spread.window, (1, 1))
        terms = small.shape[0] * small.shape[2] * small.shape[3]
        return a.bilinear(Conv2dWeight(spread.window, (0, 0), kernel), small, boxed, terms, name)
    terms = g.shape[0] * g.shape[2] * g.shape[3]
    return a.bilinear(Conv2dWeight(stride, padding, kernel), g, x, terms, name)


def conv2d_bias(a: Arithmetic, g: Number) -> Number:
    """The gradient for the bias: a sum, taken before a pooling spread its gradient over windows."""
    if isinstance(spread := _made(g), Spread):
        return a.times(a.sum(spread.small, (0, 2, 3)), field.size(spread.window), "bias gradient")
    return a.sum(g, (0, 2, 3))


def avg_pool2d(
    a: Arithmetic, x: Number, kernel: Pair, stride: Pair, padding: Pair, divisor: int | None = None
) -> Number:
    """Means of windows; padding counts as zeros in them. `divisor` replaces the window's area."""
    _check(x, kernel, padding)
    area = kernel[0] * kernel[1]
    divisor = divisor or area
    made = _made(x)
    if isinstance(made, Biased) and padding == (0, 0) and divisor == area:
        return add_bias(a, avg_pool2d(a, made.x, kernel, stride, padding), made.bias)
    if (
        isinstance(made, Product)
        and isinstance(made.form, Conv2d)
        and (made.form.stride, padding, kernel) == ((1, 1), (0, 0), stride)
    ):
        boxed = a.box_sum(pad(a, made.x, made.form.padding), kernel, (1, 1))
        terms, form = field.size(made.y.shape[1:]), Conv2d(stride, (0, 0))
        summed = a.bilinear(form, boxed, made.y, terms, "conv2d and pool", again=True, window=area)
        return a.times(summed, 1 / divisor, "pool")
    return a.box_mean(pad(a, x, padding), kernel, stride, divisor)


def avg_pool2d_input(
    a: Arithmetic, g: Number, kernel: Pair, stride: Pair, padding: Pair, size: Pair, divisor: int | None = None
) -> Number:
    """The gradient for an input of spatial size `size`."""
    scaled = a.times(g, 1 / (divisor or kernel[0] * kernel[1]), "pool gradient")
    padded = (size[0] + 2 * padding[0], size[1] + 2 * padding[1])
    out = a.box_spread(scaled, kernel, stride, padded)
    if padding == (0, 0) and kernel == stride and out.scale == scaled.scale:
        _remember(out, Spread(scaled, kernel))
    return crop(a, out, padding)


def pad(a: Arithmetic, x: Number, padding: Pair) -> Number:
    """Zeros around the last two axes."""
    for axis, p in zip((len(x.shape) - 2, len(x.shape) - 1), padding, strict=True):
        if p:
            x = a.view(x, Place(axis, p, p + x.shape[axis], 1, x.shape[axis] + 2 * p), "pad")
    return x


def crop(a: Arithmetic, x: Number, padding: Pair) -> Number:
    for axis, p in zip((len(x.shape) - 2, len(x.shape) - 1), padding, strict=True):
        if p:
            x = a.slice(x, axis, p, x.shape[axis] - p, 1)
    return x


def _divides(kernel: Pair, shape: tuple[int, ...]) -> bool:
    return shape[-2] % kernel[0] == 0 and shape[-1] % kernel[1] == 0


def _check(x: Number, kernel: Pair, padding: Pair) -> None:
    size = [x.shape[-2 + i] + 2 * padding[i] for i in range(2)]
    if any(p < 0 or 2 * p > k for p, k in zip(padding, kernel, strict=True)) or any(
        k < 1 or k > s for k, s in zip(kernel, size, strict=True)
    ):
        raise Unsupported(
            f"average pooling of {x.shape} with kernel {kernel} and padding {padding}: the windows do not fit"
        )
