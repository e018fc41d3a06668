"""One optuna study on disk: a model in a setting, begun with the committed configuration, ended by its budget."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from search_space import Space

from shopgraph.errors import InputError, ResourceError

SEED = 7
VALUES, REASON = "values", "reason"
Objective = Callable[[Mapping[str, Any]], float]
"""What a model with these values at their dotted places reaches in the validation weeks; higher is better.

It raises InputError, ResourceError or FloatingPointError where a model can't be had of them.
"""
FAILURES = (InputError, ResourceError, FloatingPointError)


@dataclass(frozen=True)
class Budget:
    """When a study has had enough: after whichever comes first."""

    seconds: float
    """Of finished trials, in this run and those before it; the trial that crosses it is finished."""
    trials: int


@dataclass(frozen=True)
class Tuned:
    """What a study found.

    `before` is None where the committed configuration failed or has not been judged, `after` where nothing was.
    """

    model: str
    setting: str
    trials: int
    before: float | None
    after: float | None
    seconds: float
    values: dict[str, Any] | None
    """Values that do better than the committed ones; None where these stay."""
    failed: list[str] = field(default_factory=list)
    """Why trials had no figure."""


class Study:
    """Trials of one model in one setting, kept in a journal.

    Args:
        identity: all that a figure depends on beside the values searched; trials of another identity are in another
            journal and count for nothing.
        committed: values at the places of the space that the first trial has.
    """

    def __init__(
        self, folder: Path, model: str, setting: str, space: Space, committed: Mapping[str, Any], identity: Any
    ) -> None:
        self.model, self.setting, self._space, self._committed = model, setting, space, dict(committed)
        named = {place: [type(parameter).__name__, asdict(parameter)] for place, parameter in space.items()}
        text = json.dumps([identity, named], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / f"{model}-{setting}-{digest}.journal"))),
            study_name=f"{model}-{setting}",
            direction="maximize",
            load_if_exists=True,
        )

    def run(self, objective: Objective, budget: Budget, told: Callable[[Study], None] = lambda _: None) -> Tuned:
        """Try configurations until the budget is spent; what is interrupted can be gone on with.

        The committed configuration is judged whatever the budget: without its figure nothing could be said to be
        better. The sampler is seeded anew by the number of finished trials: interrupted or not, a study tries the same.
        """
        self._begin_with_committed()
        told(self)
        while self._of(self._committed) is None or self._within(budget):
            self._study.sampler = optuna.samplers.TPESampler(seed=SEED + len(self.finished), constant_liar=False)
            self._study.optimize(lambda trial: self._try(trial, objective), n_trials=1)
            told(self)
        return self.tuned()

    @property
    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """Those with a figure or a reason for having none; an interrupted trial has neither."""
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def seconds(self) -> float:
        return sum(trial.duration.total_seconds() for trial in self.finished if trial.duration)

    def tuned(self) -> Tuned:
        judged = [trial for trial in self.finished if trial.state == TrialState.COMPLETE]
        best = max(judged, key=lambda trial: trial.value, default=None)  # the earliest of equals
        committed = self._of(self._committed)
        before = committed.value if committed is not None else None
        is_better = best is not None and (before is None or best.value > before)
        return Tuned(
            model=self.model,
            setting=self.setting,
            trials=len(self.finished),
            before=before,
            after=best.value if best is not None else None,
            seconds=self.seconds,
            values=best.user_attrs[VALUES] if is_better else None,
            failed=[trial.user_attrs[REASON] for trial in self.finished if REASON in trial.user_attrs],
        )

    def _begin_with_committed(self) -> None:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not any(trial.user_attrs[VALUES] == self._committed for trial in [*self.finished, *waiting]):
            self._study.enqueue_trial(self._committed, user_attrs={VALUES: self._committed})

    def _within(self, budget: Budget) -> bool:
        return len(self.finished) < budget.trials and self.seconds < budget.seconds

    def _try(self, trial: optuna.Trial, objective: Objective) -> float:
        drawn = {place: parameter.suggest(trial, place) for place, parameter in self._space.items()}
        values = trial.user_attrs.get(VALUES, drawn)
        trial.set_user_attr(VALUES, values)
        try:
            return objective(values)
        except FAILURES as error:
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned(str(error)) from error

    def _of(self, values: Mapping[str, Any]) -> optuna.trial.FrozenTrial | None:
        return next((trial for trial in self.finished if trial.user_attrs.get(VALUES) == values), None)
