"""A small analysis on numpy and pandas, with results that anyone can check by hand or by another program.

It knows nothing of archives: `python -m sales_report` prints the same where it is installed.
"""

import io

import numpy as np
import pandas as pd

SALES = """day,shop,amount
2024-03-30,north,10
2024-03-30,south,7
2024-03-31,north,32
2024-03-31,south,1
2024-04-01,north,58
"""


def main():
    # OpenBLAS, which numpy bundles, does the work. The inverse of a Hilbert matrix is all whole numbers.
    hilbert = 1.0 / (np.arange(1, 7)[:, None] + np.arange(6)[None, :])
    error = np.abs(hilbert @ np.linalg.inv(hilbert) - np.eye(6)).max()
    corner = round(float(np.linalg.inv(hilbert)[5, 5]))
    print(f"Hilbert matrix, 6 x 6: last element of the inverse {corner:,}, error below 1e-8: {bool(error < 1e-8)}")

    spectrum = np.abs(np.fft.rfft(np.sin(2 * np.pi * 5 * np.arange(64) / 64)))
    print(f"A sine of 5 periods: the strongest frequency is {int(spectrum.argmax())}")

    sales = pd.read_csv(io.StringIO(SALES), parse_dates=["day"])
    sums = sales.groupby("shop")["amount"].sum()
    print(f"Sales by shop: north {sums['north']}, south {sums['south']}")

    # 31 March 2024 had 23 hours in Berlin.
    days = pd.to_datetime(["2024-03-31", "2024-04-01"]).tz_localize("Europe/Berlin")
    print(f"The day the clocks went forward had {(days[1] - days[0]) / pd.Timedelta(hours=1):.0f} hours")


if __name__ == "__main__":
    main()
