"""What an answer of the API leaves behind: the answer as it is sent, and a note of what was shown to whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shopgraph.events.shown import Shown, ShownLog
from shopgraph.recommend.answer import Recommendations
from shopgraph.schema import SESSION
from shopgraph.wiring_serving import Serving
from shopgraph_web.api.answers import RecommendationList
from shopgraph_web.backend import backend


@dataclass(frozen=True)
class Audience:
    """Who sees an answer, by pseudonym; "" for nobody in particular."""

    user: str = ""
    session: str = ""
    now: datetime | None = None
    """None where the clock follows the data: it is then the moment that the answer is for."""

    @property
    def who(self) -> str:
        return self.user or self.session

    @property
    def label(self) -> str:
        return "User" if self.user else SESSION if self.session else ""


def audience(serving: Serving, user: str, session: str) -> Audience:
    """Of the shop's own ids."""
    pseudonym, visit = serving.pseudonym(user) if user else "", serving.session(session) if session else ""
    return Audience(pseudonym, visit, serving.clock.moment)


def shown(answer: Recommendations, seen_by: Audience, log: ShownLog | None = None) -> RecommendationList:
    """The answer as it is sent; that it was shown is noted.

    Args:
        log: by default that of the application that handles this request.
    """
    (log or backend().shown()).note(
        Shown(
            id=answer.recommendation_id,
            label=seen_by.label,
            who=seen_by.who,
            at_ms=round((seen_by.now or answer.as_of).timestamp() * 1000),
            scenario=answer.scenario,
            experiment=answer.experiment,
            variant=answer.variant,
            items=[item.id for item in answer.items],
            teams=answer.teams,
        )
    )
    return RecommendationList.model_validate(answer)
