"""Second-order blocks: what second derivatives of the deviance are made of, without K = Z'V^-1Z.

``nested`` and ``crossed`` know the structure of K; ``blocks`` assembles what they compute; ``hessian`` turns the blocks
into exact first and second derivatives of the ML or REML deviance.
"""

from mixedpy.core.second_order.blocks import SecondOrder, second_order
from mixedpy.core.second_order.directions import Span, span, symmetric_basis
from mixedpy.core.second_order.hessian import Expansion, expand, in_parameters

__all__ = ["Expansion", "SecondOrder", "Span", "expand", "in_parameters", "second_order", "span", "symmetric_basis"]
