"""The program: readings through a database into a table, a least-squares line, and a signature over the result."""

import sys

import numpy as np
import pandas as pd

from bench_native.readings import Reading, sealed, through_database


def main():
    made = [{"station": f"s{i % 3}", "hour": str(i % 24), "value": i / 8} for i in range(96)]
    late = through_database([Reading.model_validate(reading) for reading in made])
    table = pd.DataFrame([reading.model_dump() for reading in late])
    means = table.groupby("station")["value"].mean()

    hours = np.column_stack([table["hour"].to_numpy(float), np.ones(len(table))])
    slope, _ = np.linalg.lstsq(hours, table["value"].to_numpy(), rcond=None)[0]
    assert abs(slope - 0.125) < 1e-9, slope

    result = ", ".join(f"{station} {mean:.4f}" for station, mean in means.items())
    print(f"{len(table)} readings, {result}, {sealed(result.encode())}", flush=True)
    sys.stdin.read()  # at once where there is no input; a bench that looks at the whole program keeps it here
