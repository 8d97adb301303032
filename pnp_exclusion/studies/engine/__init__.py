"""Two legs in a loop between two reservoirs: power from a difference of salinity, or of temperature.

The circular engine of Benenti, Casati, Marchesoni, Wang, Phys. Rev. E 106, 044104 (2022). What circulates goes through
one leg and comes back through the other; a driver, the difference between the reservoirs, moves it, and it works
against a load. The legs are either

* gases between a hot and a cold reservoir: particles circulate, heat is the driver's current, the load is a bias; or
* membranes between a salt and a fresh one, all at one temperature: charges circulate, salt stands for heat, the load is
  a voltage, Carnot's efficiency is 1. In practice: reverse electrodialysis.

What floats: the force on what circulates, from reservoir to reservoir (the difference of the chemical potentials of the
particles; the electric potential). It takes the value at which no net current flows from one to the other.
"""
