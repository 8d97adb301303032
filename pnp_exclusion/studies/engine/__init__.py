"""Two membranes in a loop between two reservoirs: power from salinity, at one temperature.

The isothermal twin of the circular engine of Benenti, Casati, Marchesoni, Wang, Phys. Rev. E 106, 044104 (2022):
charges go round a loop of two legs of unlike selectivity, as particles do there; the salinity difference stands for
that of temperature, the salt that crosses for heat, and Carnot's efficiency is 1. In practice: reverse electrodialysis.

What floats: the electric potential between the reservoirs, which takes the value at which no net charge flows from one
to the other (of each ion by itself there is a net flow: both legs let salt down). What is held: the contents of both
reservoirs, large enough to keep them. What a load is: the reservoir at the second end is parted into a chamber for each
leg, of the same contents; ideal reversible electrodes join the chambers through the load, so that they differ in
potential by the load's voltage ``U`` and the loop's current ``I`` passes it.
"""
