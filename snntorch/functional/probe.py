"""Monitors: record the inputs, outputs, attributes and gradients of layers.

A monitor registers hooks on all layers of a type, at any depth of a network, and keeps one record
per call of each: one per time step for a network that is called once per step. Under
:func:`snntorch.unroll` a layer that is monitored runs step by step, and each layer has the same
records; those of the first layer come before those of the second.
"""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from .._neurons.neurons import SpikingNeuron

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "OutputMonitor",
    "unpack_len1_tuple",
]


def unpack_len1_tuple(x: Any) -> Any:
    """Return the only element of a tuple of length 1, and anything else unchanged.

    :param x: any object.
    :returns: ``x[0]`` or ``x``.
    """
    return x[0] if isinstance(x, tuple) and len(x) == 1 else x


def _same(x: Any) -> Any:
    return x


class BaseMonitor:
    """Base class of all monitors.

    ``monitor[i]`` is the i-th record of all layers, in the order of recording, and
    ``monitor["name"]`` the list of the records of one layer. A record is what the monitor's
    function returns. By default it is the tensor itself, with its graph; for long recordings, pass
    a function that detaches, such as ``lambda x: x.detach()``.

    ``monitored_layers`` lists the names of the layers as in ``net.named_modules()``, with ``""``
    for ``net`` itself, and ``records`` all records. A copy of the network records to the same
    monitor. A monitored network cannot be pickled; call :meth:`remove_hooks` first.

    Arguments of every monitor:

    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :raises TypeError: if an argument has the wrong type.
    """

    def __init__(self) -> None:
        self.hooks: list[RemovableHandle] = []
        self.monitored_layers: list[str] = []
        self.records: list[Any] = []
        self.name_records_index: dict[str, list[int]] = {}
        self._enable = True

    def __getitem__(self, i: int | slice | str) -> Any:
        if not isinstance(i, str):
            return self.records[i]
        if i not in self.name_records_index:
            raise KeyError(
                f"no layer {i!r} is monitored; expected the number of a record or one of "
                f"{self.monitored_layers}."
            )
        return [self.records[index] for index in self.name_records_index[i]]

    def clear_recorded_data(self) -> None:
        """Delete all records; recording continues."""
        self.records.clear()
        for index in self.name_records_index.values():
            index.clear()

    def enable(self) -> None:
        """Resume recording after :meth:`disable`."""
        self._enable = True

    def disable(self) -> None:
        """Stop recording until :meth:`enable`; the records stay."""
        self._enable = False

    def is_enable(self) -> bool:
        """Tell whether the monitor records.

        :returns: True unless :meth:`disable` was called last.
        """
        return self._enable

    def remove_hooks(self) -> None:
        """Remove the hooks from all layers for good; the records stay."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def _attach(
        self,
        net: nn.Module,
        instance: Any,
        function: Callable[[Any], Any],
        register: Callable[[nn.Module, Callable[..., None]], RemovableHandle],
    ) -> None:
        """Give every layer of the type a hook made by ``create_hook``."""
        if not isinstance(net, nn.Module):
            raise TypeError(f"net is a {type(net).__name__}; expected a module.")
        types = type(net) if instance is None else instance
        try:
            isinstance(net, types)
        except TypeError:
            raise TypeError(
                f"instance is {instance!r}; expected a type of layers such as snn.Leaky, or a "
                f"tuple of types: to monitor a single layer pass it as net."
            ) from None
        if not callable(function):
            raise TypeError(f"the function of the monitor is {function!r}; expected a callable.")
        for name, module in net.named_modules():
            if isinstance(module, types):
                self.monitored_layers.append(name)
                self.name_records_index[name] = []
                self.hooks.append(register(module, self.create_hook(name)))

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        :raises NotImplementedError: if a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define create_hook")

    def _record(self, name: str, function: Callable[[Any], Any], value: Any) -> None:
        if self._enable:
            self.name_records_index[name].append(len(self.records))
            self.records.append(function(unpack_len1_tuple(value)))


class OutputMonitor(BaseMonitor):
    """Record what layers return: a tensor, or the tuple of spikes and states.

    :class:`BaseMonitor` describes the records and the errors.

    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :param function_on_output: turns an output into the record. Default: the identity
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Any = None,
        function_on_output: Callable[[Any], Any] = _same,
    ) -> None:
        super().__init__()
        self.function_on_output = function_on_output
        self._attach(net, instance, function_on_output, nn.Module.register_forward_hook)

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        """

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._record(name, self.function_on_output, output)

        return hook


class InputMonitor(BaseMonitor):
    """Record the inputs of layers: a tensor, or the tuple of all if there are several.

    :class:`BaseMonitor` describes the records and the errors.

    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :param function_on_input: turns an input into the record. Default: the identity
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Any = None,
        function_on_input: Callable[[Any], Any] = _same,
    ) -> None:
        super().__init__()
        self.function_on_input = function_on_input
        self._attach(
            net,
            instance,
            function_on_input,
            lambda module, hook: module.register_forward_hook(hook, with_kwargs=True),
        )

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        """

        def hook(module: nn.Module, inputs: Any, named: dict[str, Any], output: Any) -> None:
            self._record(name, self.function_on_input, (*inputs, *named.values()))

        return hook


class AttributeMonitor(BaseMonitor):
    """Record an attribute of layers, such as the membrane potential ``"mem"``.

    :class:`BaseMonitor` describes the records and the errors.

    :param attribute_name: name of the attribute.
    :param pre_forward: whether to record before each call of the layer instead of after it. A
        state that does not exist before the first call is recorded as zeros.
    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :param function_on_attribute: turns the attribute into the record. Default: the identity
    """

    def __init__(
        self,
        attribute_name: str,
        pre_forward: bool,
        net: nn.Module,
        instance: Any = None,
        function_on_attribute: Callable[[Any], Any] = _same,
    ) -> None:
        super().__init__()
        self.attribute_name = attribute_name
        self.function_on_attribute = function_on_attribute
        register = (
            nn.Module.register_forward_pre_hook if pre_forward else nn.Module.register_forward_hook
        )
        self._attach(net, instance, function_on_attribute, register)

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        """

        def hook(module: nn.Module, inputs: Any, *output: Any) -> None:
            attribute = self.attribute_name
            value = getattr(module, attribute)
            before = inputs and not output
            if (
                before
                and isinstance(module, SpikingNeuron)
                and attribute in module._snn_state_names
            ):
                # What the call starts from: before the first one the state has no shape yet.
                shape = module._snn_state_shape(inputs[0])
                if value.shape != shape:
                    one = value.numel() == 1
                    value = value.expand(shape) if one else value.new_zeros(shape)
            self._record(name, self.function_on_attribute, value)

        return hook


class GradOutputMonitor(BaseMonitor):
    """Record the gradients of what layers return, in the order of the backward pass.

    The backward pass visits the last time step first. For a layer that returns several tensors the
    record is a tuple, with ``None`` where no gradient arrives. :class:`BaseMonitor` describes the
    records and the errors.

    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :param function_on_grad_output: turns a gradient into the record. Default: the identity
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Any = None,
        function_on_grad_output: Callable[[Any], Any] = _same,
    ) -> None:
        super().__init__()
        self.function_on_grad_output = function_on_grad_output
        self._attach(net, instance, function_on_grad_output, nn.Module.register_full_backward_hook)

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        """

        def hook(module: nn.Module, grad_input: Any, grad_output: Any) -> None:
            self._record(name, self.function_on_grad_output, grad_output)

        return hook


class GradInputMonitor(BaseMonitor):
    """Record the gradients of the inputs of layers, in the order of the backward pass.

    The backward pass visits the last time step first. For a layer with several inputs the record is
    a tuple; the record of an input that needs no gradient is ``None``. :class:`BaseMonitor`
    describes the records and the errors.

    :param net: the network, or a single layer.
    :param instance: type of the layers to monitor, or a tuple or union of types. Default: ``None``,
        the type of ``net``
    :param function_on_grad_input: turns a gradient into the record. Default: the identity
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Any = None,
        function_on_grad_input: Callable[[Any], Any] = _same,
    ) -> None:
        super().__init__()
        self.function_on_grad_input = function_on_grad_input
        self._attach(net, instance, function_on_grad_input, nn.Module.register_full_backward_hook)

    def create_hook(self, name: str) -> Callable[..., None]:
        """Return the hook that records for one layer.

        :param name: name of the layer in ``net.named_modules()``.
        :returns: the hook.
        """

        def hook(module: nn.Module, grad_input: Any, grad_output: Any) -> None:
            self._record(name, self.function_on_grad_input, grad_input)

        return hook
