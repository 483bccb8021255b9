"""Which numbers a method is computed with."""

from collections.abc import Mapping
from typing import Final, Literal, cast

import torch

from geocomiss.errors import MethodError
from geocomiss.methods import Method
from geocomiss.methods.galileo import Galileo
from geocomiss.nets import TempCNN

Precision = Literal["float32", "bfloat16"]
"""Numbers that encoders are computed with."""
Wanted = Literal["auto", "float32", "bfloat16"]
"""What a user may ask for."""
FAST_BFLOAT16: Final = ("avx512_bf16", "amx_bf16")
"""What processors are said to have that multiply bfloat16 faster than float32: twice as fast on the one
that was measured. Others emulate it, slowly."""


def precision_of(wanted: Wanted, device: torch.device | str, method: Method) -> Precision:
    """The numbers that a method is computed with: as asked, 'auto' being bfloat16 where it is fast.

    Galileo's 'auto' is the choice in its card, and by itself bfloat16 on a GPU only.

    Raises:
        MethodError: The method cannot be computed with the numbers asked for.
    """
    chosen = method.precision if wanted == "auto" and isinstance(method, Galileo) else wanted
    if not (isinstance(method, Galileo) or folds(method)):
        if chosen == "bfloat16":
            found = "a method without encoders that compute in bfloat16"
            raise MethodError(found, expected="float32", todo="correct --precision")
        return "float32"
    if chosen != "auto":
        return chosen
    if torch.device(device).type == "cuda":
        return "bfloat16"
    return "bfloat16" if folds(method) and fast_bfloat16() else "float32"


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    able = _capabilities()
    return any(able.get(name) for name in FAST_BFLOAT16)


def folds(method: Method) -> bool:
    """Whether a method has encoders that can be folded."""
    return any(isinstance(module, TempCNN) for module in method.modules())


def _capabilities() -> Mapping[str, object]:
    """What the processor can do, by name; nothing where this version of torch does not tell."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return cast(Mapping[str, object], ask()) if ask else {}
