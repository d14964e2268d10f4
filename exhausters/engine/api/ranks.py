"""Which ranks an engine is made of: processes that run one scheduler each, and how they belong together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All ranks of one engine.

    Attributes:
        tp_size: ranks that share each layer (tensor parallelism).
        pp_size: stages that the layers are divided into (pipeline parallelism).
        dp_size: groups of the tensor-parallel ranks that have requests and KV pages of their own
            (data-parallel attention); 1 when all have the same.
        port: port of this machine at which the ranks find each other; 0 for one rank.
    """

    tp_size: int = 1
    pp_size: int = 1
    dp_size: int = 1
    port: int = 0

    @property
    def size(self) -> int:
        """Ranks in all."""
        return self.tp_size * self.pp_size

    @property
    def is_alike(self) -> bool:
        """Whether every rank must decide as the first does, step by step."""
        return self.dp_size == 1

    @property
    def lag_steps(self) -> int:
        """Steps by which the last stage may be behind: it ends one when the first stage begins the next."""
        return self.pp_size - 1

    def to_json(self) -> dict[str, int]:
        """Return the sizes, for a record; the port is another one each time."""
        return {"tp_size": self.tp_size, "pp_size": self.pp_size, "dp_size": self.dp_size}

    def place(self, rank: int) -> Place:
        """Return the place of one rank, from 0."""
        return Place(world=self, rank=rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One rank of a world.

    Attributes:
        world: all ranks.
        rank: number of this one, from 0. Ranks of one stage follow each other.
    """

    world: World
    rank: int

    @property
    def tp_rank(self) -> int:
        """Its number in its stage."""
        return self.rank % self.world.tp_size

    @property
    def pp_rank(self) -> int:
        """Number of its stage."""
        return self.rank // self.world.tp_size

    @property
    def dp_rank(self) -> int:
        """Number of its group."""
        return self.tp_rank * self.world.dp_size // self.world.tp_size

    def __str__(self) -> str:
        """E.g. `rank 1`."""
        return f"rank {self.rank}"


#: The world of an engine that is one process.
ALONE = World()
#: The place of that process.
ONLY_RANK = ALONE.place(0)
