"""Times scikit-learn and PyTorch on the data and at the sizes of the `learning` figures, on one thread.

Called by `cargo bench --bench figures -- learning` as `learning.py FOLDER`. FOLDER holds little-endian doubles,
row-major, and `sizes.json`. Prints one JSON object: a name for each figure, and seconds, the least of the repeats.
"""

import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import sklearn
import torch
from sklearn.ensemble import IsolationForest, RandomForestRegressor

torch.set_num_threads(1)

folder = sys.argv[1]
with open(os.path.join(folder, "sizes.json")) as file:
    sizes = json.load(file)


def read(name, columns):
    return np.fromfile(os.path.join(folder, name + ".f64"), dtype="<f8").reshape(-1, columns)


def least(run, repeats=sizes["repeats"]):
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = run()
        times.append(time.perf_counter() - began)
    return min(times), found


class Stack(torch.nn.Module):
    """LSTM layers with dropout after each, a dense layer (ReLU), and the outputs."""

    def __init__(self, features, hidden, dense, outputs, dropout):
        super().__init__()
        widths = [features] + hidden
        self.cells = torch.nn.ModuleList(
            torch.nn.LSTM(below, above, batch_first=True) for below, above in zip(widths, widths[1:])
        )
        self.dropout = torch.nn.Dropout(dropout)
        self.dense = torch.nn.Linear(hidden[-1], dense)
        self.out = torch.nn.Linear(dense, outputs)

    def forward(self, held):
        for cell in self.cells[:-1]:
            held = self.dropout(cell(held)[0])
        held = self.dropout(self.cells[-1](held)[0][:, -1])
        return self.out(torch.relu(self.dense(held)))


def coder(columns, hidden):
    """Dense layers (ReLU) down to the last of `hidden` and back."""
    widths = [columns] + hidden + hidden[-2::-1] + [columns]
    layers = []
    for below, above in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(below, above), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def scaled(values, mean, spread):
    return torch.from_numpy(((values - mean) / spread).astype(np.float32))


def trained(make, rows, targets, epochs, batch, validation):
    """Adam at 1e-3 over shuffled batches; the last rows judge each epoch; the best weights are kept."""
    torch.manual_seed(0)
    model, loss = make(), torch.nn.MSELoss()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    learned = len(rows) - validation
    best, kept = float("inf"), None
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(learned).split(batch):
            adam.zero_grad()
            loss(model(rows[chosen]), targets[chosen]).backward()
            adam.step()
        model.eval()
        with torch.no_grad():
            judged = loss(model(rows[learned:]), targets[learned:]).item()
        if judged < best:
            best, kept = judged, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


def predicted(model, rows):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in rows.split(256)]).numpy()


found = {}

size = sizes["isolation"]
rows = read("isolation", size["columns"])
found["isolation fit"], forest = least(lambda: IsolationForest(n_estimators=100, random_state=0, n_jobs=1).fit(rows))
found["isolation score"], _ = least(lambda: forest.score_samples(rows))

size = sizes["forest"]
rows, targets = read("forest", size["columns"]), read("forest_targets", 1)[:, 0]
forest = RandomForestRegressor(n_estimators=100, max_features=size["tried"], random_state=0, n_jobs=1)
found["forest fit"], forest = least(lambda: forest.fit(rows, targets))
found["forest predict"], _ = least(lambda: forest.predict(rows))

size = sizes["coder"]
rows = read("coder", size["columns"])


def fit_coder():
    kept = rows[: len(rows) - size["validation"]]
    inputs = scaled(rows, kept.mean(0), kept.std(0))
    make = lambda: coder(size["columns"], size["hidden"])
    return trained(make, inputs, inputs, size["epochs"], size["batch"], size["validation"])


found["coder fit"], model = least(fit_coder)
found["coder predict"], _ = least(lambda: predicted(model, scaled(rows, rows.mean(0), rows.std(0))))

size = sizes["lstm"]
windows = read("windows", size["steps"] * size["features"]).reshape(-1, size["steps"], size["features"])
targets = read("window_targets", size["outputs"])


def fit_lstm():
    inputs = scaled(windows, windows.mean((0, 1)), windows.std((0, 1)))
    wanted = scaled(targets, targets.mean(0), targets.std(0))
    make = lambda: Stack(size["features"], size["hidden"], size["dense"], size["outputs"], size["dropout"])
    return trained(make, inputs, wanted, size["epochs"], size["batch"], size["validation"])


found["lstm fit"], model = least(fit_lstm)
mean, spread = windows.mean((0, 1)), windows.std((0, 1))
found["lstm predict"], _ = least(lambda: predicted(model, scaled(windows, mean, spread)))
found["lstm predict one"], _ = least(lambda: predicted(model, scaled(windows[:1], mean, spread)))

print(json.dumps({"versions": f"scikit-learn {sklearn.__version__}, torch {torch.__version__}", "seconds": found}))
