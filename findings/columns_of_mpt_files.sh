#!/bin/sh
# pyimpspec takes the modulus and the phase of an .mpt file for real and imaginary parts, if they stand where these do.
#
# Versions: pyimpspec 5.2.0, impedance 1.7.1, galvani 0.5.0, numpy 2.5.5, scipy 1.18.1, pandas 3.1.1.
#
# Problem: two text files as EC-Lab exports them (.mpt), of one spectrum: R = 100 ohms beside C = 10 uF. One has the
# columns freq/Hz, Re(Z)/Ohm, -Im(Z)/Ohm, |Z|/Ohm, Phase(Z)/deg, time/s; the other has modulus and phase before Re(Z).
# Expected: the same spectrum from both, by the headings, as impedance.py and galvani have it.
# Seen: pyimpspec gives |Z| - i phase for the second, degrees as ohms, without a warning: 84.7 + 32.1 i ohms at 100 Hz
# where it is 71.7 - 45.0 i. Only the heading of the first column is looked at; the next two are taken as they come,
# although the reader of plain tables in the same package does go by headings.
# Why it matters here: computed spectra are laid beside measured ones. The wrong one is smooth and passes for a spectrum
# of another sample, with an inductive arc. Name the columns yourself, with dataframe_to_data_sets.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pyimpspec==5.2.0 impedance==1.7.1 galvani==0.5.0 numpy==2.5.5 \
    scipy==1.18.1 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pyimpspec
from galvani import BioLogic
from impedance.preprocessing import readBioLogic

frequency = np.array([1e4, 1e3, 1e2, 1e1])
exact = 1 / (1 / 100 + 2j * np.pi * frequency * 1e-5)
columns = {
    "freq/Hz": frequency,
    "Re(Z)/Ohm": exact.real,
    "-Im(Z)/Ohm": -exact.imag,
    "|Z|/Ohm": abs(exact),
    "Phase(Z)/deg": np.degrees(np.angle(exact)),
    "time/s": np.arange(4.0),
}
usual = list(columns)
orders = {"usual.mpt": usual, "other.mpt": [usual[i] for i in (0, 3, 4, 1, 2, 5)]}
errors = {}
for name, order in orders.items():
    with open(name, "w", encoding="latin-1", newline="\r\n") as file:
        file.write("EC-Lab ASCII FILE\nNb header lines : 3\n" + "\t".join(order) + "\n")
        for i in range(len(frequency)):
            file.write("\t".join(f"{columns[c][i]:.7E}" for c in order) + "\n")
    with open(name, "rb") as file:
        table, _ = BioLogic.MPTfile(file)
    spectra = {
        "pyimpspec": pyimpspec.parse_data(name)[0].get_impedances(),
        "impedance.py": readBioLogic(name)[1],
        "galvani": table["Re(Z)/Ohm"] - 1j * table["-Im(Z)/Ohm"],
    }
    for reader, spectrum in spectra.items():
        errors[name, reader] = float(abs(spectrum / exact - 1).max())
        print(f"{name}, {reader}: {spectrum[2]:.4g} ohms at 100 Hz")
wrong = errors.pop(("other.mpt", "pyimpspec"))
as_described = max(errors.values()) < 1e-6 and wrong > 0.5
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
