"""Pictures drawn on the server as SVG: lengths are attributes, so that no style is needed.

In each of them height means tier: restricted is at the top, public at the bottom.
Every function is pure, escapes what it is given, and says in words what it draws.
"""

from __future__ import annotations

from governance.pictures.bars import Bucket, bars, bars_label
from governance.pictures.chain import Part, chain_picture, chain_sentence
from governance.pictures.combined import Combined, Source, combined_picture
from governance.pictures.gauge import gauge
from governance.pictures.hours import Hour, hours_label, hours_picture
from governance.pictures.lanes import SINGLY, Happening, lanes
from governance.pictures.reach import Band, Reach, ReachNode, reach_bands, reach_picture
from governance.pictures.run import Place, Run, Turn, run_picture
from governance.pictures.walk import CHECKS, Step, steps_from, steps_of, walk_sentence, walk_strip

__all__ = [
    "CHECKS",
    "SINGLY",
    "Band",
    "Bucket",
    "Combined",
    "Happening",
    "Hour",
    "Part",
    "Place",
    "Reach",
    "ReachNode",
    "Run",
    "Source",
    "Step",
    "Turn",
    "bars",
    "bars_label",
    "chain_picture",
    "chain_sentence",
    "combined_picture",
    "gauge",
    "hours_label",
    "hours_picture",
    "lanes",
    "reach_bands",
    "reach_picture",
    "run_picture",
    "steps_from",
    "steps_of",
    "walk_sentence",
    "walk_strip",
]
