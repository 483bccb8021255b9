"""Columns by which a file of reference points says how it was drawn.

`geocomiss design` writes them, `geocomiss assess` reads them; people may write them, too.
"""

from typing import Final, Literal

Design = Literal["simple", "stratified", "cluster"]
"""Points at random over the map; at random within strata; or clusters of points at random."""
DRAWN: Final = "stratified"
"""The design that is drawn here."""
LABEL: Final = "label"
"""What a person found at the point."""
DESIGN: Final = "design"
"""A `Design`, the same in all rows."""
STRATUM: Final = "stratum"
"""Name of the point's stratum."""
PIXELS: Final = "stratum_pixels"
"""Pixels of that stratum."""
HECTARES: Final = "stratum_ha"
"""Hectares of that stratum."""
CLUSTER: Final = "cluster"
"""Name of the point's cluster."""
PROBABILITY: Final = "inclusion_probability"
"""Chance with which the point was drawn, above 0 and up to 1."""
