from typing import Any

from torch import Tensor

from ..dynamics import LEAKY
from .neurons import LIF, Output, Parameter, Quantiser, State, Surrogate


class Leaky(LIF):
    r"""First-order leaky integrate-and-fire neuron.

    The input current :math:`X` adds to a membrane potential that decays by a constant rate:

    .. math:: U[t+1] = \beta U[t] + X[t+1] - R[t+1] U_{\rm thr}

    With ``reset_mechanism="zero"`` the old membrane is set to zero before it decays, and the input
    is kept:

    .. math:: U[t+1] = \beta (1 - R[t+1])\, U[t] + X[t+1]

    where :math:`R[t+1] = S[t]`: the reset takes effect one step after the spike. With
    ``reset_delay=False`` the membrane is updated, fires, and is reset within one step, to
    :math:`U - S U_{\rm thr}` or :math:`(1 - S)\, U`, and nothing is carried over. The gradient goes
    through this reset, by the surrogate, but not through the delayed one.

    ``beta=1`` gives the integrate-and-fire neuron without leak.

    :param beta: decay rate :math:`\beta` per time step, clamped to [0, 1] in use, a number or a
        tensor that broadcasts to one sample
    :param learn_beta: make the decay rate a learnable parameter
    :param reset_delay: reset one step after the spike (default), or within the same step

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lif = snn.Leaky(beta=0.9)
        mem = lif.init_leaky()
        for step in range(num_steps):
            spk, mem = lif(x[step], mem)

    Source: L. Lapicque, "Recherches quantitatives sur l'excitation electrique des nerfs traitee
    comme une polarisation", Journal de Physiologie et de Pathologie Generale 9 (1907) 620-635.
    """

    states = ("mem",)
    _snn_model = LEAKY

    def __init__(
        self,
        beta: Parameter,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        reset_delay: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            beta,
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            init_hidden=init_hidden,
            inhibition=inhibition,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            reset_mechanism=reset_mechanism,
            state_quant=state_quant,
            output=output,
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
            **options,
        )
        self.reset_delay = reset_delay

    def forward(self, input_: Tensor, mem: State = None, *more: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param mem: membrane potential that broadcasts to the input's shape; default the last
            call's, or zeros
        :returns: ``spk, mem`` of the input's shape; ``spk`` alone with ``init_hidden=True``
            unless ``output=True``
        """
        return self._snn_call(input_, mem, *more)

    init_leaky = LIF.init_states
