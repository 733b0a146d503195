"""Runs SciPy, DEAP, Optuna, scikit-optimize and PyTorch on the functions and at the budgets of the `optimize` figures.

Called by `cargo bench --bench figures -- optimize` as `optimize.py SEEDS`. Everything happens in the unit cube, as with
kansole. Prints one JSON object: for each peer and function the best values found and the seconds a run took on average.
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import json
import math
import random
import sys
import time
import warnings

import deap
import numpy as np
import optuna
import scipy
import torch
from deap import base, creator, tools
from scipy.optimize import minimize

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
torch.set_num_threads(1)
seeds = int(sys.argv[1])


def rosenbrock(x):
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in zip(x, x[1:]))


def rastrigin(x):
    return sum(v * v - 10.0 * math.cos(2 * math.pi * v) + 10.0 for v in x)


def ackley(x):
    square = sum(v * v for v in x) / len(x)
    wave = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return 20.0 - 20.0 * math.exp(-0.2 * math.sqrt(square)) + math.e - math.exp(wave)


def branin(x):
    bent = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10


HEIGHTS = [1.0, 1.2, 3.0, 3.2]
NARROW = [
    [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
    [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
    [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
    [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
]
PLACES = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann(x):
    wells = zip(HEIGHTS, NARROW, PLACES)
    return -sum(h * math.exp(-sum(n * (v - p) ** 2 for v, n, p in zip(x, ns, ps))) for h, ns, ps in wells)


def mixed(x):
    memory, executors, codec, prefetch = x
    fit = math.log(memory / [1024.0, 2048.0, 512.0][int(codec)]) ** 2
    saved = (executors - 6.0) * 0.4 if prefetch == 1.0 else 0.0
    return fit * 3.0 + 40.0 / executors + 0.5 * executors - saved + [1.0, 0.0, 2.0][int(codec)]


def linear(low, high):
    return lambda place: low + (high - low) * place


def whole(low, high):
    return lambda place: float(round(low + (high - low) * place))


FUNCTIONS = {
    "rosenbrock 4": (rosenbrock, [linear(-2, 2)] * 4),
    "rastrigin 4": (rastrigin, [linear(-4.12, 5.12)] * 4),
    "ackley 4": (ackley, [linear(-20, 32)] * 4),
    "branin": (branin, [linear(-5, 10), linear(0, 15)]),
    "hartmann 6": (hartmann, [linear(0, 1)] * 6),
    "mixed 4": (mixed, [lambda p: 128.0 * 128.0**p, whole(1, 40), whole(0, 2), whole(0, 1)]),
}


class Over(Exception):
    """All evaluations are made."""


class Counted:
    """A function of the unit cube that remembers its least value and ends after so many evaluations."""

    def __init__(self, name, most):
        self.value, self.axes = FUNCTIONS[name]
        self.left, self.best = most, math.inf

    def __call__(self, places):
        if self.left == 0:
            raise Over
        self.left -= 1
        found = self.value([axis(min(1.0, max(0.0, float(p)))) for axis, p in zip(self.axes, places)])
        self.best = min(self.best, found)
        return found


def lbfgsb(f, seed):
    """L-BFGS-B with slopes by differences, begun anew from random places as long as evaluations are left."""
    draw = np.random.default_rng(seed)
    while True:
        minimize(f, draw.random(len(f.axes)), method="L-BFGS-B", bounds=[(0, 1)] * len(f.axes))


creator.create("Least", base.Fitness, weights=(-1.0,))
creator.create("Individual", list, fitness=creator.Least)


def genetic(f, seed):
    """Population 20, 50 generations, tournament 3, uniform crossover 0.7, Gaussian mutation 0.1, elite 0.2."""
    random.seed(seed)
    size, count = 20, len(f.axes)
    living = [creator.Individual(random.random() for _ in range(count)) for _ in range(size)]
    for one in living:
        one.fitness.values = (f(one),)
    for _ in range(49):
        elite = tools.selBest(living, 4)
        children = [creator.Individual(one) for one in tools.selTournament(living, size - 4, tournsize=3)]
        for a, b in zip(children[::2], children[1::2]):
            if random.random() < 0.7:
                tools.cxUniform(a, b, 0.5)
        for one in children:
            tools.mutGaussian(one, 0.0, 0.1, max(0.1, 1.0 / count))
            one[:] = [min(1.0, max(0.0, p)) for p in one]
            one.fitness.values = (f(one),)
        living = elite + children


def tpe(f, seed):
    """Optuna's TPE; the mixed space in its own terms."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(trial):
        if f.value is mixed:
            memory = trial.suggest_float("memory", 0, 1)
            executors = (trial.suggest_int("executors", 1, 40) - 1) / 39
            codec = trial.suggest_categorical("codec", [0.0, 0.5, 1.0])
            return f([memory, executors, codec, trial.suggest_categorical("prefetch", [0.0, 1.0])])
        return f([trial.suggest_float(str(at), 0, 1) for at in range(len(f.axes))])

    study.optimize(ask, n_trials=f.left)


def gaussian(f, seed):
    """scikit-optimize's Gaussian process with expected improvement."""
    import skopt

    skopt.gp_minimize(f, [(0.0, 1.0)] * len(f.axes), n_calls=f.left, acq_func="EI", random_state=seed)


def dqn(f, seed):
    """The same learner as kansole's: net, constants, rewards, steps and episodes."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    count = len(f.axes)
    net = torch.nn.Sequential(
        torch.nn.Linear(count + 1, 128), torch.nn.ReLU(),
        torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2 * count + 1),
    )  # fmt: skip
    judge = torch.nn.Sequential(*(type(l)(l.in_features, l.out_features) if hasattr(l, "in_features") else l for l in net))
    judge.load_state_dict(net.state_dict())
    adam, loss = torch.optim.Adam(net.parameters(), lr=1e-3), torch.nn.SmoothL1Loss()
    begun = sorted(((f(p), p) for p in ([draw.random() for _ in range(count)] for _ in range(16))), key=lambda x: x[0])
    scale = max(begun[11][0] - begun[4][0], 1e-12)
    (score, at), best = begun[0], begun[0]
    memory, share = [], 1.0

    def seen(score, at):
        return at + [min((score - best[0]) / scale, 3.0)]

    for step in range(1, 1_000_000):
        if step % 25 == 0:
            if draw.random() < 0.5:
                score, at = best
            else:
                at = [draw.random() for _ in range(count)]
                score = f(at)
        state = seen(score, at)
        if draw.random() < share:
            action = draw.randrange(2 * count + 1)
        else:
            with torch.no_grad():
                action = int(net(torch.tensor(state)).argmax())
        before, reward = score, 0.0
        if action:
            moved = list(at)
            width = max(0.1 * share, 0.01) * (1 if action % 2 else -1)
            moved[(action - 1) // 2] = min(1.0, max(0.0, moved[(action - 1) // 2] + width))
            if moved == at:
                reward = -1.0
            else:
                score, at = f(moved), moved
                reward = max(-1.0, min(1.0, (before - score) / scale))
        if score < best[0]:
            best = (score, at)
        memory.append((state, action, reward, seen(score, at)))
        if len(memory) > 10_000:
            memory.pop(0)
        if len(memory) >= 32:
            drawn = [memory[draw.randrange(len(memory))] for _ in range(32)]
            states, actions, rewards, nexts = zip(*drawn)
            with torch.no_grad():
                wanted = torch.tensor(rewards) + 0.99 * judge(torch.tensor(nexts)).max(1).values
            found = net(torch.tensor(states)).gather(1, torch.tensor(actions)[:, None])[:, 0]
            adam.zero_grad()
            loss(found, wanted).backward()
            adam.step()
        if step % 10 == 0:
            judge.load_state_dict(net.state_dict())
        share = max(share * 0.995, 0.01)


def runs(search, name, most, count):
    values, began = [], time.perf_counter()
    for seed in range(count):
        f = Counted(name, most)
        try:
            search(f, seed)
        except Over:
            pass
        values.append(f.best)
    return {"values": values, "seconds": (time.perf_counter() - began) / count}


found = {"gradient": {}, "genetic": {}, "bayesian": {}, "dqn": {}, "gaussian": {}}
for name in FUNCTIONS:
    found["genetic"][name] = runs(genetic, name, 804, seeds)
    found["bayesian"][name] = runs(tpe, name, 60, seeds)
    if name != "mixed 4":
        found["gradient"][name] = runs(lbfgsb, name, 200, seeds)
for name in ("branin", "hartmann 6"):
    found["dqn"][name] = runs(dqn, name, 800, seeds)
versions = f"SciPy {scipy.__version__}, DEAP {deap.__version__}, Optuna {optuna.__version__}, torch {torch.__version__}"
try:
    import skopt

    found["gaussian"]["branin"] = runs(gaussian, "branin", 30, seeds)
    versions += f", scikit-optimize {skopt.__version__}"
except ImportError:
    pass
print(json.dumps({"versions": versions, "peers": found}))
