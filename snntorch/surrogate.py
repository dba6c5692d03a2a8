r"""Surrogate gradients: substitutes for the derivative of a spike in training.

A neuron's spike is the Heaviside step of its overdrive :math:`u = U - U_{\rm thr}`,

.. math:: S = \Theta(u) = \begin{cases} 1 & u > 0 \\ 0 & \text{otherwise,} \end{cases}

whose derivative is zero almost everywhere. In the backward pass a surrogate replaces
:math:`\partial S / \partial u` by a slope. All surrogates fire in the same way and differ only in
the slope.

A neuron takes a surrogate as its ``spike_grad`` argument, in any of these forms::

    snn.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid(slope=25))  # a factory's result
    snn.Leaky(beta=0.9, spike_grad="fast_sigmoid")                    # its name
    snn.Leaky(beta=0.9, spike_grad=surrogate.FastSigmoid)             # the class, with defaults
    snn.Leaky(beta=0.9, spike_grad=surrogate.FastSigmoid(50))         # an instance of the class
    snn.Leaky(beta=0.9, spike_grad=my_function)                       # any callable on tensors

Source: E. O. Neftci, H. Mostafa, F. Zenke, "Surrogate Gradient Learning in Spiking Neural
Networks", IEEE Signal Processing Magazine 36 (2019) 51-63.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, exp

from ._registry import Registry
from ._torch import finite, in_forward_mode, is_written_out, on_ipu

SpikeFunction = Callable[[Tensor], Tensor]


def heaviside_step(u: Tensor) -> Tensor:
    """Return 1 where ``u > 0`` and 0 elsewhere (also for NaN).

    :param u: overdrive of any shape
    :returns: spikes in the shape and dtype of ``u``
    """
    # Several times faster on the CPU than a comparison and a cast.
    return u.sign().relu_()


def no_surrogate(u: Tensor) -> Tensor:
    """Fire without a gradient, as with ``surrogate_disable=True``.

    :param u: overdrive of any shape
    :returns: spikes in the shape and dtype of ``u``
    """
    return heaviside_step(u.detach())


REGISTERED: Registry[type[SurrogateFunction]] = Registry()


class SurrogateFunction(torch.autograd.Function):
    """A Heaviside step forward, and the subclass's :meth:`slope` backward.

    A subclass defines ``slope`` and inherits the rest. ``apply(input_, *parameters)`` takes the
    parameters of the slope; those left out take their defaults. Calling the class itself,
    ``FastSigmoid(50)``, gives a callable for ``spike_grad`` with these parameters.

    Instead of ``slope`` a subclass may define ``forward(ctx, input_, *parameters)`` or
    ``backward(ctx, grad_output)``, as for any autograd function. The inherited ``forward`` stores
    the parameters on ``ctx`` by name, such as ``ctx.slope``, and saves ``input_``; the inherited
    ``backward`` reads both. (:class:`Heaviside` and :class:`LeakySpikeOperator` save the spikes
    instead, :class:`StochasticSpikeOperator` and :class:`CustomSurrogate` save them too, and
    :class:`StraightThroughEstimator` saves nothing.) :func:`snntorch.unroll` runs neurons with
    such a surrogate step by step, and ``torch.func`` and IPUs do not support it.
    """

    _saves: tuple[str, ...] = ("input",)  # the tensors, of input and spikes, that backward may read
    _defaults: tuple[Any, ...] = ()
    _steps = True  # whether forward is the Heaviside step
    _has_slope = True  # whether slope describes the class: backward is linear in the gradient
    _by_slope = True  # whether backward is the slope times the gradient, and nothing else
    _functional: type[SurrogateFunction]
    _key: str  # under which it is registered

    def __new__(cls, *parameters: Any) -> _Applied:  # type: ignore[misc]
        return (SpikeGrad if cls._has_slope else _Applied)(cls, *parameters)

    slope: Callable[..., Tensor]
    """``slope(input_, *parameters)``: the surrogate derivative."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._key = REGISTERED.add(f"{cls.__module__}.{cls.__qualname__}", cls)
        own = cls.__dict__
        cls._steps = cls._steps and "forward" not in own
        if "slope" in own and callable(cls.slope):
            cls._has_slope, cls._by_slope = cls._steps, "backward" not in own
            cls._derive()
        elif own.keys() & {"slope", "forward", "backward"}:
            cls._has_slope = cls._by_slope = False

    @classmethod
    def _derive(cls) -> None:
        """Write forward and backward from the slope, where the class does not define its own."""
        first, *others = inspect.signature(cls.slope).parameters.values()
        names, cls._defaults = [p.name for p in others], tuple(p.default for p in others)
        slope, saves, defaults = cls.slope, cls._saves, cls._defaults

        def keep(ctx: Any, inputs: tuple[Any, ...], spikes: Tensor) -> list[Tensor]:
            input_, *given = inputs
            for name, value in zip(names, (*given, *defaults[len(given) :]), strict=True):
                setattr(ctx, name, value)
            saved = [input_ if name == "input" else spikes for name in saves]
            ctx.save_for_backward(*saved)
            return saved

        def forward(ctx: Any, *inputs: Any) -> Tensor:
            """Fire, and save what the slope depends on; ``apply`` calls it."""
            spikes = heaviside_step(inputs[0])
            keep(ctx, inputs, spikes)
            return spikes

        def derivative(ctx: Any, grad: Tensor) -> Tensor:
            # Spikes are their own step; where nothing is saved, the slope needs only the shape.
            (at, *_) = ctx.saved_tensors or (grad,)
            return grad * slope(at, *[getattr(ctx, name) for name in names])

        def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
            """Return the gradient times the slope, and None for each parameter."""
            return derivative(ctx, grad), *(None for _ in names)

        if cls._steps:
            parameters = [inspect.Parameter("ctx", first.kind), first, *others]
            forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
            cls.forward = staticmethod(forward)  # type: ignore[method-assign]
        if "backward" not in cls.__dict__:
            cls.backward = staticmethod(backward)  # type: ignore[method-assign]

        # torch.func needs setup_context and a jvp, which torch.compile does not support.
        class Functional(cls):  # type: ignore[misc, valid-type]
            generate_vmap_rule = True

            @staticmethod
            def forward(input_: Tensor, *parameters: Any) -> Tensor:
                return heaviside_step(input_)

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
                ctx.save_for_forward(*keep(ctx, inputs, output))

            @staticmethod
            def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
                return derivative(ctx, tangent)

        cls._functional = Functional

    @classmethod
    def apply(cls, input_: Tensor, *parameters: Any) -> Tensor:
        """Fire: 1 where the input is positive, with the surrogate as the derivative.

        :param input_: overdrive of any shape
        :param parameters: parameters of :attr:`slope`, in order; those left out take their defaults
        :returns: spikes in the shape and dtype of ``input_``
        """
        if not cls._has_slope:
            _check_device(cls)
            return super().apply(input_, *parameters)
        if is_written_out():
            return cls._by_detach(input_, *parameters)
        if torch._C._are_functorch_transforms_active():
            return super(SurrogateFunction, cls._functional).apply(input_, *parameters)
        if not (input_.requires_grad and torch.is_grad_enabled()) and not in_forward_mode():
            return heaviside_step(input_)  # there is nothing to differentiate
        # torch.autograd.Function.apply only adds checks for torch.func: step past it.
        return super(torch.autograd.Function, cls).apply(input_, *parameters)  # type: ignore[misc]

    @classmethod
    def _by_detach(cls, input_: Tensor, *parameters: Any) -> Tensor:
        u = finite(input_)
        fixed = u.detach()
        return heaviside_step(fixed) + (u - fixed) * cls.slope(fixed, *parameters)


def _check_device(function: type[torch.autograd.Function]) -> None:
    """Raise for an autograd function on an IPU, which does not run its backward pass."""
    if on_ipu():
        raise TypeError(
            f"spike_grad={function.__name__} is an autograd function, whose backward is not run "
            "on IPUs; derive it from surrogate.SurrogateFunction and give it a slope instead of "
            "forward and backward, or pass its gradient to surrogate.custom_surrogate"
        )


class _Applied:
    """An autograd function with its parameters, as a callable that can be pickled."""

    def __init__(self, function: type[torch.autograd.Function], *parameters: Any) -> None:
        self.function = function
        self.parameters = parameters
        self.__name__ = function.__name__  # as any function has one

    def __call__(self, u: Tensor) -> Tensor:
        _check_device(self.function)
        return self.function.apply(u, *self.parameters)

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.parameters))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Applied) and (self.function, self.parameters) == (
            other.function,
            other.parameters,
        )

    def __hash__(self) -> int:
        return hash((self.function, self.parameters))


class SpikeGrad(_Applied):
    """A surrogate with its parameters: call it on the overdrive to get spikes.

    It can be pickled and compared; ``slope(u)`` returns the surrogate derivative alone.

    :param function: the autograd function, for example :class:`FastSigmoid`
    :param parameters: parameters of its slope, in order; those left out take their defaults
    :raises TypeError: too many parameters, or one without a default is left out
    """

    function: type[SurrogateFunction]

    def __init__(self, function: type[SurrogateFunction], *parameters: Any) -> None:
        super().__init__(function, *parameters, *function._defaults[len(parameters) :])
        self._key = function._key  # torch.compile cannot read that of an autograd function
        if len(parameters) > len(function._defaults) or inspect.Parameter.empty in self.parameters:
            raise TypeError(
                f"{function.__name__} takes the parameters {inspect.signature(function.slope)} "
                f"after its input, got {parameters!r}"
            )

    def __call__(self, u: Tensor) -> Tensor:
        return self.function.apply(u, *self.parameters)

    def __reduce__(self) -> Any:
        return type(self), (self.function, *self.parameters)  # another process has other keys

    def slope(self, u: Tensor) -> Tensor:
        """Return the surrogate derivative.

        :param u: overdrive of any shape
        :returns: slope in the shape of ``u``
        """
        return self.function.slope(u, *self.parameters)

    def by_detach(self, u: Tensor) -> Tensor:
        """Fire with the same values and gradients, in ordinary tensor operations only.

        :param u: overdrive of any shape
        :returns: spikes in the shape and dtype of ``u``
        """
        return self.function._by_detach(u, *self.parameters)


class ATan(SurrogateFunction):
    """The autograd function behind :func:`atan`."""

    @staticmethod
    def slope(input_: Tensor, alpha: float = 2.0) -> Tensor:
        """Return the slope of :func:`atan` at ``input_``."""
        return alpha / 2 / (1 + (math.pi / 2 * alpha * input_) ** 2)


class FastSigmoid(SurrogateFunction):
    """The autograd function behind :func:`fast_sigmoid`."""

    @staticmethod
    def slope(input_: Tensor, slope: float = 25) -> Tensor:
        """Return the slope of :func:`fast_sigmoid` at ``input_``."""
        return 1 / (slope * abs(input_) + 1) ** 2


class Sigmoid(SurrogateFunction):
    """The autograd function behind :func:`sigmoid`."""

    @staticmethod
    def slope(input_: Tensor, slope: float = 25) -> Tensor:
        """Return the slope of :func:`sigmoid` at ``input_``."""
        # The derivative is even: with -|u| the exponential cannot overflow.
        e = exp(-slope * abs(input_))
        return slope * e / (1 + e) ** 2


class StraightThroughEstimator(SurrogateFunction):
    """The autograd function behind :func:`straight_through_estimator`."""

    _saves = ()

    @staticmethod
    def slope(input_: Tensor) -> Tensor:
        """Return the slope of :func:`straight_through_estimator` at ``input_``."""
        return torch.ones_like(input_)


class Heaviside(SurrogateFunction):
    """The autograd function behind :func:`heaviside`."""

    _saves = ("spikes",)

    @staticmethod
    def slope(input_: Tensor) -> Tensor:
        """Return the slope of :func:`heaviside` at ``input_``."""
        return heaviside_step(input_)


class Triangular(SurrogateFunction):
    """The autograd function behind :func:`triangular`."""

    @staticmethod
    def slope(input_: Tensor, threshold: float = 1) -> Tensor:
        """Return the slope of :func:`triangular` at ``input_``."""
        return threshold * (2 * heaviside_step(-input_) - 1)


class SpikeRateEscape(SurrogateFunction):
    """The autograd function behind :func:`spike_rate_escape`."""

    @staticmethod
    def slope(input_: Tensor, beta: float = 1, slope: float = 25) -> Tensor:
        """Return the slope of :func:`spike_rate_escape` at ``input_``."""
        return slope * exp(-beta * abs(input_ - 1))


class SparseFastSigmoid(SurrogateFunction):
    """The autograd function behind :func:`SFS`."""

    @staticmethod
    def slope(input_: Tensor, slope: float = 25, B: float = 1) -> Tensor:
        """Return the slope of :func:`SFS` at ``input_``."""
        return heaviside_step(input_ - B) * FastSigmoid.slope(input_, slope)


class LeakySpikeOperator(SurrogateFunction):
    """The autograd function behind :func:`LSO`."""

    _saves = ("spikes",)

    @staticmethod
    def slope(input_: Tensor, slope: float = 0.1) -> Tensor:
        """Return the slope of :func:`LSO` at ``input_``."""
        return slope + (1 - slope) * heaviside_step(input_)


class StochasticSpikeOperator(SurrogateFunction):
    """The autograd function behind :func:`SSO`."""

    _saves = ("input", "spikes")

    @staticmethod
    def slope(input_: Tensor, mean: float = 0, variance: float = 0.2) -> Tensor:
        """Return the slope of :func:`SSO` at ``input_``."""
        noise = torch.rand(input_.shape, dtype=input_.dtype, device=input_.device)
        noise = (noise - 0.5 + mean) * variance
        return torch.where(input_ > 0, torch.ones_like(input_), noise)


class CustomSurrogate(SurrogateFunction):
    """The autograd function behind :func:`custom_surrogate`."""

    _saves = ("input", "spikes")

    @staticmethod
    def slope(input_: Tensor, custom_surrogate_function: Callable[..., Tensor]) -> Tensor:
        """Return the slope of :func:`custom_surrogate` at ``input_``."""
        return custom_surrogate_function(input_, torch.ones_like(input_), heaviside_step(input_))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the overdrive from the custom function."""
        input_, spikes = ctx.saved_tensors
        return ctx.custom_surrogate_function(input_, grad, spikes), None


def atan(alpha: float = 2.0) -> SpikeGrad:
    r"""Return the arctangent surrogate, the default of every neuron.

    .. math:: \frac{\partial S}{\partial u} =
              \frac{\alpha / 2}{1 + \left(\frac{\pi}{2} \alpha u\right)^2}

    :param alpha: steepness; the slope at the threshold is ``alpha / 2``. Default: ``2.0``
    :returns: a picklable callable for ``spike_grad``

    Source: W. Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning of
    Spiking Neural Networks", ICCV (2021) 2661-2671.
    """
    return SpikeGrad(ATan, alpha)


def fast_sigmoid(slope: float = 25) -> SpikeGrad:
    r"""Return the fast sigmoid surrogate.

    .. math:: \frac{\partial S}{\partial u} = \frac{1}{(1 + k |u|)^2}

    :param slope: steepness :math:`k`. Default: ``25``
    :returns: a picklable callable for ``spike_grad``

    Source: F. Zenke, S. Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018) 1514-1541.
    """
    return SpikeGrad(FastSigmoid, slope)


def sigmoid(slope: float = 25) -> SpikeGrad:
    r"""Return the sigmoid surrogate.

    .. math:: \frac{\partial S}{\partial u} = k \frac{e^{-k u}}{(1 + e^{-k u})^2}

    :param slope: steepness :math:`k`. Default: ``25``
    :returns: a picklable callable for ``spike_grad``

    Source: F. Zenke, S. Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018) 1514-1541.
    """
    return SpikeGrad(Sigmoid, slope)


def straight_through_estimator() -> SpikeGrad:
    r"""Return the straight-through estimator: gradients pass unchanged.

    .. math:: \frac{\partial S}{\partial u} = 1

    :returns: a picklable callable for ``spike_grad``

    Source: Y. Bengio, N. Leonard, A. Courville, "Estimating or Propagating Gradients Through
    Stochastic Neurons for Conditional Computation", arXiv:1308.3432 (2013).
    """
    return SpikeGrad(StraightThroughEstimator)


def heaviside() -> SpikeGrad:
    r"""Return the surrogate that passes gradients only to neurons that fired.

    .. math:: \frac{\partial S}{\partial u} = S

    :returns: a picklable callable for ``spike_grad``
    """
    return SpikeGrad(Heaviside)


def triangular(threshold: float = 1) -> SpikeGrad:
    r"""Return the triangular surrogate, as published in release 1.0.0.

    .. math:: \frac{\partial S}{\partial u} =
              \begin{cases} \vartheta & u < 0 \\ -\vartheta & u \ge 0 \end{cases}

    The sign above the threshold is that of release 1.0.0, kept so that its results can be
    reproduced.

    :param threshold: magnitude :math:`\vartheta`. Default: ``1``
    :returns: a picklable callable for ``spike_grad``
    """
    return SpikeGrad(Triangular, threshold)


def spike_rate_escape(beta: float = 1, slope: float = 25) -> SpikeGrad:
    r"""Return the spike rate escape surrogate.

    .. math:: \frac{\partial S}{\partial u} = k\, e^{-\beta |u - 1|}

    :param beta: inverse width :math:`\beta`. Default: ``1``
    :param slope: magnitude :math:`k`. Default: ``25``
    :returns: a picklable callable for ``spike_grad``

    Source: W. Gerstner, W. M. Kistler, "Spiking Neuron Models", Cambridge University Press (2002);
    S. B. Shrestha, G. Orchard, "SLAYER: Spike Layer Error Reassignment in Time", NeurIPS (2018).
    """
    return SpikeGrad(SpikeRateEscape, beta, slope)


def SFS(slope: float = 25, B: float = 1) -> SpikeGrad:
    r"""Return the sparse fast sigmoid surrogate: no gradient up to a bound.

    .. math:: \frac{\partial S}{\partial u} =
              \begin{cases} \frac{1}{(1 + k |u|)^2} & u > B \\ 0 & \text{otherwise} \end{cases}

    :param slope: steepness :math:`k`. Default: ``25``
    :param B: bound on the overdrive, in units of the membrane. Default: ``1``
    :returns: a picklable callable for ``spike_grad``

    Source: N. Perez-Nieves, D. F. M. Goodman, "Sparse Spiking Gradient Descent", NeurIPS (2021).
    """
    return SpikeGrad(SparseFastSigmoid, slope, B)


def LSO(slope: float = 0.1) -> SpikeGrad:
    r"""Return the leaky spike operator: a small constant slope below the threshold.

    .. math:: \frac{\partial S}{\partial u} =
              \begin{cases} 1 & u > 0 \\ k & \text{otherwise} \end{cases}

    :param slope: slope :math:`k` below the threshold. Default: ``0.1``
    :returns: a picklable callable for ``spike_grad``
    """
    return SpikeGrad(LeakySpikeOperator, slope)


def SSO(mean: float = 0, variance: float = 0.2) -> SpikeGrad:
    r"""Return the stochastic spike operator: a random slope below the threshold.

    .. math:: \frac{\partial S}{\partial u} = \begin{cases} 1 & u > 0 \\
              (r - \tfrac{1}{2} + \mu)\, v & \text{otherwise,} \end{cases}
              \qquad r \sim \mathcal{U}[0, 1)

    :param mean: :math:`\mu`; the slope's expectation is ``mean * variance``. Default: ``0``
    :param variance: :math:`v`, the width of the slope's uniform distribution. Default: ``0.2``
    :returns: a picklable callable for ``spike_grad``
    """
    return SpikeGrad(StochasticSpikeOperator, mean, variance)


def custom_surrogate(custom_surrogate_function: Callable[..., Tensor]) -> SpikeGrad:
    r"""Return a surrogate defined by your own gradient function.

    :param custom_surrogate_function: called in the backward pass as
        ``f(input_, grad_input, spikes)`` with the overdrive, the gradient of the spikes and the
        spikes, all of the same shape; returns the gradient of the overdrive
    :returns: a callable for ``spike_grad``, picklable if the function is
    """
    return SpikeGrad(CustomSurrogate, custom_surrogate_function)


_FACTORIES: dict[str, Callable[..., SpikeGrad]] = {
    factory.__name__: factory
    for factory in (
        atan,
        fast_sigmoid,
        sigmoid,
        straight_through_estimator,
        heaviside,
        triangular,
        spike_rate_escape,
        SFS,
        LSO,
        SSO,
    )
}


def _is_function(given: Any) -> bool:
    return isinstance(given, type) and issubclass(given, torch.autograd.Function)


def as_spike_function(spike_grad: Any) -> SpikeFunction:
    """Return the spike function for a neuron's ``spike_grad`` argument.

    :param spike_grad: None for :func:`atan`, or on IPUs (see :mod:`snntorch.ipu`) for
        :func:`straight_through_estimator`; a factory or its name; an autograd function's class or
        instance; or a callable from overdrive to spikes
    :returns: the callable
    :raises ValueError: an unknown name
    :raises TypeError: any other object that cannot fire
    """
    if spike_grad is None:
        return straight_through_estimator() if on_ipu() else atan()
    if isinstance(spike_grad, str):
        if spike_grad not in _FACTORIES:
            raise ValueError(
                f"spike_grad={spike_grad!r} is not a surrogate; the names are "
                f"{', '.join(_FACTORIES)}; or pass a callable"
            )
        return _FACTORIES[spike_grad]()
    if spike_grad is custom_surrogate:
        raise TypeError(
            "spike_grad=custom_surrogate needs a function; pass "
            "surrogate.custom_surrogate(custom_surrogate_function)"
        )
    if any(spike_grad is factory for factory in _FACTORIES.values()):
        return spike_grad()
    if isinstance(spike_grad, torch.autograd.Function):
        spike_grad = type(spike_grad)
    owner: Any = getattr(spike_grad, "__self__", None)
    if _is_function(owner) and spike_grad == owner.apply:
        spike_grad = owner
    if _is_function(spike_grad):
        own = issubclass(spike_grad, SurrogateFunction)
        return spike_grad() if own else _Applied(spike_grad)
    if isinstance(spike_grad, type) or not callable(spike_grad):
        raise TypeError(
            f"spike_grad={spike_grad!r} cannot fire; pass a surrogate such as "
            "surrogate.fast_sigmoid(), its name, or a callable from tensor to tensor"
        )
    return spike_grad
