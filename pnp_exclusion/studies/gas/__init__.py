"""What is made of a gas: its case, its report and its pictures, its critical barrier."""
