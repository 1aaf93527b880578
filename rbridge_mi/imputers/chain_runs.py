"""Chains are run until they have mixed: in this process, or split over worker processes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..pooling.convergence import chain_convergence
from ..processes.progress import progress_bar
from ..processes.running import Number, run_all
from ..processes.workers import Later, effective_jobs
from ..sampling.chains import Chains
from ..sampling.draws import Streams
from ..sampling.problem import Problem

__all__ = ["Run", "run_chains"]

Array: TypeAlias = NDArray[Any]

_FIRST = 100  # iterations before convergence is looked at first
_GROWTH = 1.4  # by which the number of iterations grows until it is looked at again
_SEGMENT = 25  # iterations that are made at once: then the progress bar moves
_ELEMENTS = 400_000  # chains times rows that are worked on at once: more don't fit into caches


@dataclass(frozen=True)
class Run:
    """What the chains gave.

    Parameters
    ----------
    imputed : mapping of str to array, shape (m, k)
        The last iteration's values.
    parameters : tuple of str
    trace : array, shape (m, iterations, parameters)
    slow : mapping of str to float
        R-hat of the parameters above the limit, the worst first.
    """

    imputed: Mapping[str, Array]
    parameters: tuple[str, ...]
    trace: Array
    slow: Mapping[str, float]


def run_chains(
    problem: Problem,
    m: int,
    seed: int,
    *,
    rhat: float,
    min_iter: int,
    max_iter: int,
    n_jobs: int | None,
) -> Run:
    """Run m chains until all have an R-hat of at most `rhat`.

    Parameters
    ----------
    problem : Problem
        As `sampling.chains.prepared` returned it.
    m, seed : int
    rhat : float
        The limit of R-hat, over the second half of the iterations, of every parameter.
    min_iter, max_iter : int
        How many iterations are made at least and at most.
    n_jobs : int or None
        Processes, as joblib counts them.

    Returns
    -------
    Run
        The imputed values of the last iteration, and the trace of all.
    """
    blocks = _blocks(problem, m, effective_jobs(n_jobs))
    states: list[Any] = [None] * len(blocks)
    traces: list[list[Array]] = [[] for _ in blocks]
    done, target = 0, min(max(_FIRST, min_iter), max_iter)
    slow: dict[str, float] = {}
    with progress_bar(None, "compatible", "iteration") as bar:
        while True:
            length = min(_SEGMENT, target - done)
            segment = _Segment(problem, seed, blocks, states, length)
            parts = run_all(segment, range(1, len(blocks) + 1), n_jobs=n_jobs, bar=False)
            for i, part in enumerate(parts):
                states[i] = part.state
                traces[i].append(part.trace)
            bar.update(length)
            done += length
            if done < target:
                continue
            trace = np.concatenate([np.concatenate(x, axis=1) for x in traces])
            names = parts[0].parameters
            slow = _slow(trace[:, done // 2 :], names, rhat)
            worst = next(iter(slow.values()), None)
            bar.set_postfix_str("converged" if worst is None else f"worst R-hat {worst:.2f}")
            if not slow or done >= max_iter:
                break
            target = min(int(np.ceil(_GROWTH * done)), max_iter)
    imputed = {name: np.concatenate([x.imputed[name] for x in parts]) for name in parts[0].imputed}
    return Run(imputed, names, trace, slow)


def _blocks(problem: Problem, m: int, processes: int) -> list[range]:
    """Split the chains, so that each process has some, and arrays fit into caches."""
    rows = problem.levels[None].units
    number = min(m, max(processes, -(-m * rows // _ELEMENTS)))
    number = min(m, -(-number // processes) * processes)
    edges = np.linspace(0, m, number + 1).round().astype(int)
    return [range(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def _slow(trace: Array, names: Sequence[str], limit: float) -> dict[str, float]:
    """Return R-hat of the parameters that have not converged, the worst first."""
    values = chain_convergence(trace).rhat
    pairs = [(name, float(x)) for name, x in zip(names, values, strict=True) if x > limit]
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


@dataclass(frozen=True)
class _Part:
    """What a block of chains gave in one segment."""

    state: Mapping[str, Any]
    parameters: tuple[str, ...]
    trace: Array
    imputed: Mapping[str, Array]


@dataclass(frozen=True)
class _Segment:
    """Some more iterations of all blocks, as `processes.running` takes them; blocks from 1."""

    problem: Problem
    chain_seed: int
    blocks: Sequence[range]
    states: Sequence[Any]
    iterations: int

    label = "compatible"
    package = "lme4"
    seed = None
    fresh = False

    @property
    def remote(self) -> _Remote:
        return _Remote()

    def r_call(self, number: Number) -> str:
        del number
        return "none: the chains are run by numpy"

    def begin(self, numbers: Sequence[Number]) -> Sequence[Later]:
        return [Later(partial(self._here, number)) for number in numbers]

    def _here(self, number: Number) -> _Part:
        return _run(self.problem, *self.part(number))

    def shared(self) -> Problem:
        return self.problem

    def part(self, number: Number) -> tuple[int, range, Any, int]:
        assert number is not None
        i = number - 1
        return self.chain_seed, self.blocks[i], self.states[i], self.iterations

    def received(self, value: _Part, number: Number) -> _Part:
        del number
        return value


@dataclass(frozen=True)
class _Remote:
    """The iterations in another process."""

    def __call__(self, shared: Problem, number: Number, part: Any) -> _Part:
        del number
        return _run(shared, *part)


def _run(problem: Problem, seed: int, block: range, state: Any, iterations: int) -> _Part:
    """Run a block of chains from a state on; every segment begins like that, wherever it runs."""
    streams = Streams.of(seed, block) if state is None else state["streams"]
    chains = Chains(problem, streams, state)
    trace = chains.run(iterations)
    return _Part(chains.state(), tuple(chains.parameters()), trace, chains.imputed())
