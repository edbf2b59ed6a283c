"""The one who watches a run: is told what happens, and asked what the program may not decide."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .records import Record
from .tool import Tool
from .transcript import Call

if TYPE_CHECKING:
    from ..llm import Piece, Trajectory


@dataclass(frozen=True)
class Reply:
    """What is to become of a paused run: it goes on, unless one of these is set. tell: a message for the model.
    answer_now: the model shall answer with what it has. leave: the run stays as it is, to be resumed."""

    tell: str | None = None
    answer_now: bool = False
    leave: bool = False


class Watch:
    """Sees nothing, allows everything and goes on; override what you want to see or decide. All is called from the
    thread of the run; in heavy mode from one of several, one at a time."""

    def piece(self, piece: "Piece") -> None:
        """A piece of the model's turn came."""

    def record(self, record: Record) -> None:
        """Something happened, and is in the journal."""

    def trajectories(self, trajectories: "tuple[Trajectory, ...]") -> None:
        """How far each of several runs side by side is, in heavy mode; pieces and records are then those of the
        reflection on them."""

    def notice(self, text: str) -> None:
        """Something that its owner should know."""

    def offers(self, tool: Tool) -> bool:
        """Whether the model is told of a tool of an MCP server."""
        return True

    def approve(self, call: Call, tool: Tool) -> bool:
        """Whether a call may be made. A denied one is not, and the model is told."""
        return True

    def paused(self) -> Reply:
        """The run was paused by Agent.pause; how it goes on."""
        return Reply()

    def unfinished(self, call: Call, tool: Tool | None) -> bool:
        """A call had begun when the program was stopped, and nobody knows whether it was carried out: whether to make
        it again, or else to tell the model so. tool: None where there is no such tool any more."""
        raise Interrupted(
            f"The call {call.id} of {call.name} had begun when the run was stopped, and may have been carried out or "
            "not; decide whether it is made again."
        )
