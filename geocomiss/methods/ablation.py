"""Which parts of a method can be left out, one at a time, and how that is asked for.

A row changes options of the method and leaves the others as they are.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

Changes = Mapping[str, JsonValue]
"""Options by name, with the values that leave something out."""

FEATURES: Final[dict[str, Changes]] = {
    "without discriminant loss": {"discriminated": "none"},
    "without contrastive loss": {"contrastive": "none"},
    "unused half kept": {"unused": "kept", "discriminated": "specific+unused"},
    "without shared/specific split": {"encoders": "one"},
}
"""Of the features that Co-Miss and its relatives separate. The unused half is trained by a second
discriminator, as MDiCo draws it: a half that no loss reads could not matter."""

DISTILLED: Final[dict[str, Changes]] = {
    "without distillation": {"distillation": "ce"},
    "without ground-truth term": {"distillation": "kl"},
    "without both of these": {"distillation": "none"},
}
"""Of what a student's prediction learns from: the teacher, the label."""

ABLATIONS: Final[Mapping[str, Mapping[str, Changes]]] = MappingProxyType(
    {
        "dsensd": {"without logit normalisation": {"logit_norm": "none"}},
        "dsensd+": {"without logit normalisation": {"logit_norm": "none"}},
        "mdico": {
            "without discriminant loss": {"discriminated": "none"},
            "without contrastive loss": {"contrastive": "none"},
            "without auxiliary loss": {"auxiliary": False},
            "unused half dropped": {"unused": "dropped", "discriminated": "specific"},
            "without shared/specific split": {"encoders": "one", "discriminated": "specific"},
        },
        "fullco": {**FEATURES, **DISTILLED},
        "comiss": {**FEATURES, **DISTILLED},
        "comiss+": {
            **DISTILLED,
            "without individual students": {"individual": False},
            "without partial students": {"repeated": 0.0},
            "without averaged weights": {"average": 0.0},
        },
    }
)
"""Per key in `METHODS`, the title of each variant and what it changes. Methods that are not here
have no part that could be left out without becoming another method of the table."""
