"""Secret tensors under PyTorch: modules, autograd and optimisers are PyTorch's own; the operations below them are tacit's.

`tensor` holds the values, `dispatch` finds the rule for an operation, `ops` are the rules, `modules` shares whole modules.
"""

from tacit.torch import ops as _rules  # fills the table
from tacit.torch.modules import reveal_module, share_module
from tacit.torch.operands import plain
from tacit.torch.tensor import SecretTensor, is_secret, kept, number, wrap

__all__ = ["SecretTensor", "is_secret", "kept", "number", "plain", "reveal_module", "share_module", "wrap"]

del _rules
