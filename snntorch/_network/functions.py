"""What the recorder knows of PyTorch's functions, by name, and how each takes all time steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .lazy import Meta, Site, rebuilt
from .pooling import LAYERS, options_in, pooled

# Kinds of functions ------------------------------------------------------------------------------

READ, VALUE, RECORD, PLACE, SPECIAL = range(5)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_READ = _words(
    """shape dtype device ndim is_cuda requires_grad layout is_sparse is_meta is_quantized is_mps
    is_xla is_xpu is_ipu is_nested names itemsize nbytes size dim numel nelement element_size
    is_floating_point is_complex get_device is_contiguous stride storage_offset is_signed
    is_inference ndimension __len__ dim_order is_same_size result_type is_conj is_neg has_names
    can_cast is_tensor __hash__ promote_types is_pinned broadcast_shapes is_sparse_csr is_vulkan
    is_mtia is_maia is_mkldnn is_cpu _set_grad_enabled"""
)
# They need the value, or their result's shape depends on it.
_VALUE = _words(
    """item tolist numpy __bool__ __float__ __int__ __index__ __complex__ __repr__ __format__
    __array__ __contains__ data grad grad_fn is_leaf _version output_nr retains_grad equal
    allclose is_nonzero untyped_storage storage typed_storage data_ptr nonzero argwhere unique
    unique_consecutive masked_select _base __deepcopy__ __reduce_ex__ __dlpack__ to_sparse
    repeat_interleave bincount histogram _pack_padded_sequence tensor as_tensor from_numpy cpu
    cuda pin_memory share_memory_ set_ resize_ is_set_to to_dense _is_view __dlpack_device__
    register_post_accumulate_grad_hook _backward_hooks tensor_split lu_unpack"""
)
# What they change or read cannot be seen: everything before them is worked out first.
BARRIERS = _words(
    """backward grad register_hook retain_grad requires_grad_ detach_ set_ resize_ data numpy
    __array__ untyped_storage storage typed_storage data_ptr _base __dlpack__ as_strided"""
)
RANDOM = _words(
    """rand randn rand_like randn_like randint randint_like bernoulli multinomial normal poisson
    binomial rrelu randperm gumbel_softmax fractional_max_pool2d fractional_max_pool3d
    native_dropout _standard_gamma _sample_dirichlet alpha_dropout feature_alpha_dropout
    feature_dropout svd_lowrank pca_lowrank"""
)
ADDITIONS = _words("add __add__ __radd__")
# What an in-place function computes, by the name of one that is not.
OUT_OF_PLACE = {
    **{f"__i{name}__": f"__{name}__" for name in _words("add sub mul truediv pow and or xor")},
    **{
        f"{name}_": name
        for name in _words(
            """add sub mul div clamp relu sigmoid tanh abs neg exp sqrt masked_fill square clamp_min
            clamp_max clip round floor ceil sign addcmul addcdiv lerp reciprocal rsqrt log pow
            multiply logical_not"""
        )
    },
}
# They take a number as they take a tensor of one value.
SCALED = _words(
    """add sub mul div true_divide __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__
    __rtruediv__ lt le gt ge __lt__ __le__ __gt__ __ge__"""
)
_SPECIAL = _words(
    """__getitem__ select unbind stack batch_norm instance_norm __setitem__ to where one_hot
    new_zeros"""
)


def name_of(func: Any) -> str:
    """Return the name of a function; that of the attribute for its getter."""
    name = getattr(func, "__name__", "?")
    if name in ("__get__", "__set__", "__delete__"):
        attribute = getattr(func.__self__, "__name__", "?")
        return attribute if name == "__get__" else f"set {attribute}"
    return name


_kinds: dict[Any, tuple[str, int]] = {}


def kind_of(func: Any) -> tuple[str, int]:
    """Return a function's name and kind."""
    try:
        return _kinds[func]
    except (KeyError, TypeError):
        pass
    name = name_of(func)
    module = getattr(func, "__module__", None) or "torch"
    if name in _READ:
        kind = READ
    elif name.startswith("set ") or name in ("requires_grad_", "detach_"):
        kind = PLACE
    elif name in _VALUE or name in BARRIERS or module.split(".")[0] != "torch":
        kind = VALUE
    elif (name.endswith("_") and not name.endswith("__")) or (
        name in OUT_OF_PLACE and name[:2] == "__"
    ):
        kind = PLACE
    elif name in _SPECIAL or name in RANDOM or name in DROPOUTS:
        kind = SPECIAL
    else:
        kind = RECORD
    with suppress(TypeError):
        _kinds[func] = name, kind
    return name, kind


def draws(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Tell whether a call draws random numbers."""
    if name in RANDOM:
        return True
    if name == "scaled_dot_product_attention":
        return bool(kwargs.get("dropout_p", args[4] if len(args) > 4 else 0))
    if name == "multi_head_attention_forward":
        return bool(args[10] if len(args) > 10 else 0) and kwargs.get("training", True)
    if name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        return any(type(each) is float and each for each in args) and True in args
    return False


# Functions that treat each sample of a batch alike: time is taken into the batch. The number of
# dimensions with a batch, for those that also take a sample without one; else 0.
ROWS = {
    **{f"{name}{d}d": 2 + d for d in (1, 2, 3) for name in _words("conv conv_transpose")},
    **{f"{name}_pool{d}d": 2 + d for d in (1, 2, 3) for name in _words("avg max adaptive_avg")},
    **{f"{name}_pool{d}d": 2 + d for d in (1, 2, 3) for name in _words("adaptive_max lp")},
    **{f"dropout{d}d": 2 + d for d in (1, 2, 3)},
    **dict.fromkeys(_words("pixel_shuffle pixel_unshuffle"), 4),
    **dict.fromkeys(_words("dropout batch_norm group_norm instance_norm interpolate upsample"), 0),
    "prelu": 0,
}
DROPOUTS = {name: dims for name, dims in ROWS.items() if name.startswith("dropout")}


# Running a function over all steps at once -------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A function with what it takes at all steps."""

    site: Site
    inputs: Sequence[tuple[bool, Tensor]]
    """Of each tensor: True and what is the same at each step, or False and ``[T, ...]``."""
    count: int

    @property
    def meta(self) -> Meta:
        return self.site.metas[0]

    @property
    def dims(self) -> int:
        """Number of dimensions of the first input at one step."""
        alike, x = self.inputs[0]
        return x.dim() - (not alike)

    @property
    def first_alone(self) -> bool:
        """Whether the first input changes, and no other."""
        return not self.inputs[0][0] and all(alike for alike, _ in self.inputs[1:])

    def arguments(self, values: Sequence[Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with these tensors."""
        feed = iter(values)
        args = list(rebuilt(self.site.args, feed))
        return args, dict(rebuilt(self.site.kwargs, feed))

    def run(self, values: Sequence[Tensor]) -> Any:
        """Call the function with these tensors."""
        return self.site.call(values)


Fold = Callable[[Call], Any]


def _elementwise(call: Call) -> Any:
    most = max(x.dim() - (not alike) for alike, x in call.inputs)
    return call.run(
        [
            x if alike else x.reshape(call.count, *[1] * (most - x.dim() + 1), *x.shape[1:])
            for alike, x in call.inputs
        ]
    )


def _as_rows(call: Call) -> Any:
    x = call.inputs[0][1]
    out = call.run([x.flatten(0, 1), *(value for _, value in call.inputs[1:])])
    return [each.unflatten(0, x.shape[:2]) for each in out]


def _rows(dims: int | None = None) -> Fold:
    """Take time into the batch; ``dims`` is the number of dimensions of an input with a batch."""

    def fold(call: Call) -> Any:
        if not call.first_alone or (dims and call.dims != dims) or call.dims < 1:
            return None
        return _as_rows(call)

    return fold


def _pool(call: Call) -> Any:
    site, x = call.site, call.inputs[0][1]
    if call.first_alone and call.dims > 1:
        options = options_in(site.name, site.args, site.kwargs)
        out = pooled(site.name, options, x.flatten(0, 1))
        if out is not None:
            return [out.unflatten(0, x.shape[:2])]
    return _rows(ROWS[site.name])(call)


def _batch_norm(call: Call) -> Any:
    # A sample of two dimensions is [B, C], and folds as one of more.
    return _rows()(call) if call.dims > 1 else None


def _last(call: Call) -> Any:
    """Leave all dimensions but the last ones alone."""
    if not call.first_alone:
        return _vmap(call)
    return _as_rows(call) if call.dims else call.run([value for _, value in call.inputs])


def _matmul(call: Call) -> Any:
    (left_alike, left), (right_alike, right) = call.inputs
    if not left_alike and right_alike and right.dim() == 2 and left.dim() == 3:
        return [(left.flatten(0, 1) @ right).unflatten(0, left.shape[:2])]
    if min(x.dim() - (not alike) for alike, x in call.inputs) < 2:
        return _vmap(call)
    return _elementwise(call)


def _vmap(call: Call) -> Any:
    def run(*changing: Tensor) -> Any:
        feed = iter(changing)
        return call.run([x if alike else next(feed) for alike, x in call.inputs])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions that it runs step by step
        return torch.vmap(run)(*[x for alike, x in call.inputs if not alike])


def _shift(dim: int) -> int:
    return dim + 1 if dim >= 0 else dim


def _reshaped(call: Call) -> Any:
    x = call.inputs[0][1]
    return [x.reshape(call.count, *call.meta[0])] if call.first_alone else None


def _permute(call: Call) -> Any:
    args, kwargs = call.arguments([x for _, x in call.inputs])
    dims = kwargs.get("dims", args[1:] if len(args) > 1 and type(args[1]) is int else args[-1])
    return [args[0].permute(0, *[dim % call.dims + 1 for dim in dims])]


def _transpose(call: Call) -> Any:
    args, kwargs = call.arguments([x for _, x in call.inputs])
    dims = (*args[1:], *kwargs.values())
    return [args[0].transpose(*[dim % call.dims + 1 for dim in dims])]


def _turned(call: Call) -> Any:
    return [call.inputs[0][1].permute(0, *range(call.dims, 0, -1))]


def _expand(call: Call) -> Any:
    x, shape = call.inputs[0][1], call.meta[0]
    padded = x.reshape(call.count, *[1] * (len(shape) - call.dims), *x.shape[1:])
    return [padded.expand(call.count, *shape)]


def _along(names: Sequence[str], place: int, default: Any = None) -> Fold:
    """Shift the dimension that a function takes at a place of its arguments, or by name."""

    def fold(call: Call) -> Any:
        if not call.first_alone:
            return None
        args, kwargs = call.arguments([x for _, x in call.inputs])
        name = next((name for name in names if name in kwargs), None)
        if name is None and len(args) <= place:
            if default is None:
                return None
            kwargs[names[0]] = default
            name = names[0]
        dims = args[place] if name is None else kwargs[name]
        if type(dims) is int:
            shifted: Any = _shift(dims)
        elif isinstance(dims, tuple | list) and dims and all(type(dim) is int for dim in dims):
            shifted = [_shift(dim) for dim in dims]
        else:
            return None
        if name is None:
            args[place] = shifted
        else:
            kwargs[name] = shifted
        out = call.site.func(*args, **kwargs)
        return [out] if isinstance(out, Tensor) else list(out)

    return fold


def _reduce(whole: bool) -> Fold:
    """Reduce over dimensions; over all of a step's where none is named, if the function can."""
    along = _along(("dim", "axis"), 1)

    def fold(call: Call) -> Any:
        args, kwargs = call.site.args, call.site.kwargs
        named = len(args) > 1 or "dim" in kwargs or "axis" in kwargs
        if len(args) > 2 and type(args[1]) is int and type(args[2]) is int:
            return None
        if not named and whole and call.first_alone and call.dims:
            x = call.inputs[0][1]
            out = call.site.func(x, tuple(range(1, call.dims + 1)), **kwargs)
            return [out]
        return along(call) if named else None

    return fold


def _join(call: Call) -> Any:
    parts = [x.expand(call.count, *x.shape) if alike else x for alike, x in call.inputs]
    args, kwargs = call.arguments(parts)
    dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
    if type(args[0]) not in (tuple, list) or type(dim) is not int:
        return None
    return [call.site.func(args[0], _shift(dim))]


def _item(call: Call) -> Any:
    index = call.site.args[1]
    index = index if type(index) is tuple else (index,)
    simple = all(type(each) in (int, slice, type(None), type(Ellipsis)) for each in index)
    if not simple or not call.first_alone:
        return None
    over_time = (slice(None), *index)
    return [call.inputs[0][1][over_time]]


def _table() -> dict[str, Fold]:
    table: dict[str, Fold] = {}

    def enter(fold: Fold, names: str) -> None:
        table.update(dict.fromkeys(names.split(), fold))

    enter(
        _elementwise,
        """add sub mul div true_divide floor_divide pow neg abs exp exp2 log log2 log10 sqrt rsqrt
        square sin cos tan sinh cosh asin acos atan tanh sigmoid relu clamp clamp_min clamp_max
        clip where eq ne lt le gt ge maximum minimum fmax fmin sign floor ceil round trunc frac
        reciprocal logical_and logical_or logical_not logical_xor erf erfc log1p expm1 logit atan2
        hypot __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __rdiv__
        __div__ __floordiv__ __rfloordiv__ __pow__ __rpow__ __neg__ __abs__ __eq__ __ne__ __lt__
        __le__ __gt__ __ge__ __and__ __or__ __xor__ __rand__ __ror__ __rxor__ __invert__ __mod__
        rsub float double half int long bool short byte bfloat16 to type type_as clone detach
        contiguous gelu silu elu selu celu leaky_relu relu6 hardtanh hardswish hardsigmoid
        softplus softsign mish tanhshrink softshrink hardshrink logsigmoid threshold masked_fill
        addcmul addcdiv lerp isnan isinf isfinite heaviside fmod remainder multiply subtract
        divide negative absolute greater less nan_to_num copysign bitwise_and bitwise_or
        bitwise_not bitwise_xor xlogy sinc sgn zeros_like ones_like full_like""",
    )
    enter(_last, "linear layer_norm rms_norm embedding")
    enter(_matmul, "matmul __matmul__")
    table.update({name: _rows(dims) for name, dims in ROWS.items()})
    table.update(dict.fromkeys(LAYERS.values(), _pool))
    enter(_batch_norm, "batch_norm")
    enter(_reshaped, "view reshape flatten unflatten squeeze unsqueeze")
    enter(_permute, "permute")
    enter(_transpose, "transpose swapaxes swapdims")
    enter(_turned, "t T")
    enter(_expand, "expand expand_as")
    enter(_reduce(True), "sum mean amax amin nansum logsumexp std var")
    enter(_reduce(False), "max min argmax argmin all any prod median count_nonzero")
    enter(_along(("dim",), 1), "softmax log_softmax softmin cumsum cumprod sort argsort flip")
    enter(_along(("dim",), 2, -1), "topk kthvalue")
    enter(_along(("dim",), 2, 0), "chunk split")
    enter(_along(("dim",), 1), "narrow index_select")
    enter(_along(("dims",), 2), "roll")
    enter(_join, "cat concat concatenate stack")
    enter(_item, "__getitem__")
    enter(_vmap, "scaled_dot_product_attention multi_head_attention_forward bmm baddbmm addmm")
    enter(_vmap, "bilinear mv dot outer")
    return table


FOLDS = _table()


def fold(call: Call) -> list[Tensor] | None:
    """Run a function over all steps at once: its outputs ``[T, ...]``, or None where that is not
    known to be the same."""
    site = call.site
    rule = FOLDS.get(site.name) if site.func.__class__ is not Opaque else _elementwise
    if rule is None:
        return None
    try:
        out = rule(call)
    except (RuntimeError, TypeError, IndexError, ValueError, KeyError):
        return None  # the single steps tell what is wrong
    if out is None or len(out) != len(site.metas):
        return None
    for each, (shape, _, dtype, _) in zip(out, site.metas, strict=True):
        if each.dtype != dtype or each.shape != (call.count, *shape):
            return None
    return list(out)


def run_once(site: Site, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Run a function on the values of one step."""
    if FOLDS.get(site.name) is _pool:
        out = pooled(site.name, options_in(site.name, site.args, site.kwargs), values[0])
        if out is not None:
            return (out,)
    return site.call(values)


class Opaque:
    """A surrogate of the library as a function."""

    def __init__(self, apply: Callable[..., Tensor], name: str) -> None:
        self.apply, self.__name__ = apply, name

    def __call__(self, *args: Any) -> Tensor:
        return self.apply(*args)
