#!/bin/sh
# impedance.py and pyimpspec: no CSV file of an impedance is read rightly by both.
#
# Versions: impedance 1.7.1, pyimpspec 5.2.0, numpy 2.5.5.
#
# Problem: three columns, frequency, real and imaginary part, of a resistor of 2 ohm, once with a header, once with the
# header as a comment, once without.
# Expected: three rows from each file by each program, or an error.
# Seen: impedance.py's reader of CSV files takes a plain header for a first row of NaN and gives four rows without a word;
# a comment and no header are right. pyimpspec reads the file with a plain header and refuses the two others.
# Why it matters here: a fit with such a row fails, or is NaN all over, far from where it came in. Whoever exports
# spectra for both has to write two files.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet impedance==1.7.1 pyimpspec==5.2.0 numpy==2.5.5
cd "$folder"
printf 'frequency [Hz],re [ohm],im [ohm]\n1,2,-1\n10,2,-0.1\n100,2,-0.01\n' >plain.csv
{ printf '# '; cat plain.csv; } >comment.csv
sed 1d plain.csv >bare.csv
"$folder/venv/bin/python" - <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np
import pyimpspec
from impedance.preprocessing import readFile

found = {}
for name in ("plain", "comment", "bare"):
    frequencies, values = readFile(f"{name}.csv")
    try:
        (spectrum,) = pyimpspec.parse_data(f"{name}.csv")
        other = spectrum.get_num_points()
    except ValueError:
        other = "refused"
    found[name] = (len(values), int(np.isnan(values).sum()), other)
    print(f"{name}: impedance.py {found[name][0]} rows, {found[name][1]} of NaN; pyimpspec {other}")
as_described = found == {"plain": (4, 1, 3), "comment": (3, 0, "refused"), "bare": (3, 0, "refused")}
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
