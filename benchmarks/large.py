"""Two crossed factors with as many levels and rows as film ratings have: time, memory, and estimates beside the truth.

    python benchmarks/large.py                        # 32,000,204 rows, 200,948 x 84,432
    python benchmarks/large.py --communities 20       # users who mostly keep to films of one of 20 genres
    python benchmarks/large.py --rows 3e6 --users 4e4 --items 8e3

The model is y ~ x + (1 | user) + (1 | item), fitted by REML, from arrays (int32 codes, no table) to the fit record.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixedpy.core.arrays import Design, RandomTerm
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.estimate import estimate
from mixedpy.core.record import FitRecord

BETA = (3.5, 0.1)
THETA = (0.45, 0.5)
SIGMA = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and levels; ``communities`` of 0 lets every user meet every item."""

    rows: int
    users: int
    items: int
    communities: int


def popular(rng: np.random.Generator, n: int, levels: int, offset: float, power: float) -> npt.NDArray[np.int32]:
    """Draw n levels with probabilities that fall as a power of their rank."""
    weights = (np.arange(levels) + offset) ** -power
    return rng.choice(levels, n, p=weights / weights.sum()).astype(np.int32)


def simulate(size: Size, seed: int = 0) -> Design:
    """Draw ratings with heavy tails on both sides."""
    rng = np.random.default_rng(seed)
    n = size.rows
    user = popular(rng, n, size.users, 30.0, 0.75)
    item = popular(rng, n, size.items, 20.0, 1.1)
    if c := size.communities:  # nine in ten ratings are of items of the user's own community
        stay = rng.random(n) < 0.9
        item = np.where(stay, np.minimum((item // c) * c + user % c, size.items - 1), item).astype(np.int32)
    x = rng.standard_normal(n)
    y = BETA[0] + BETA[1] * x
    y += (THETA[0] * rng.standard_normal(size.users))[user]
    y += (THETA[1] * rng.standard_normal(size.items))[item]
    y += SIGMA * rng.standard_normal(n)
    ones = np.broadcast_to(1.0, n)  # one number, not n
    terms = (RandomTerm(user, size.users, (0,), Unstructured(1)), RandomTerm(item, size.items, (0,), Unstructured(1)))
    return Design(y, (ones, x), (0, 1), terms)


def theta_errors(record: FitRecord, size: Size) -> npt.NDArray[np.float64]:
    """Distance of the estimates from the truth, in standard errors: theta by J levels alone, beta by its covariance."""
    theta = (record.theta - THETA) / (record.theta / np.sqrt(2.0 * np.array([size.users, size.items])))
    beta = (record.beta - BETA) / (record.sigma * np.sqrt(np.diag(record.unscaled_vcov)))
    sigma = (record.sigma - SIGMA) / (record.sigma / np.sqrt(2.0 * size.rows))
    return np.concatenate([theta, beta, [sigma]])


def gigabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=32_000_204)
    parser.add_argument("--users", type=float, default=200_948)
    parser.add_argument("--items", type=float, default=84_432)
    parser.add_argument("--communities", type=int, default=0)
    parser.add_argument("--factorization", default="iterative")
    parser.add_argument("--probes", type=int, default=Control().probes)
    parser.add_argument("--finish", action="store_true", help="exact last steps where affordable")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated data")
    args = parser.parse_args()
    size = Size(int(args.rows), int(args.users), int(args.items), args.communities)
    design = simulate(size, args.seed)
    simulated = gigabytes()
    control = Control(factorization=args.factorization, probes=args.probes, finish=args.finish)
    start, used = time.perf_counter(), time.process_time()
    record = estimate(design, reml=True, control=control)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    c = record.convergence
    print(f"{size}, {platform.processor() or platform.machine()}")
    print(f"fit {seconds:.1f} s, {used:.1f} s of processor time")
    print(f"peak {gigabytes():.2f} GB, of which the simulation had reached {simulated:.2f} GB")
    print(f"{c.status.name}, {c.factorization}: {c.evaluations} values, {c.gradients} gradients")
    print(f"{c.cg_iterations} iterations of conjugate gradients, {c.probes} probes")
    print(f"log-likelihood {-0.5 * record.criterion:.4f}, Monte-Carlo standard error {c.loglik_se:.4f}")
    print(f"theta {record.theta}, sigma {record.sigma:.6f}, beta {record.beta}")
    print(f"in standard errors from the truth: {np.round(theta_errors(record, size), 2)}")


if __name__ == "__main__":
    main()
