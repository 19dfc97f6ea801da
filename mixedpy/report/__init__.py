"""Print-outs: plain records of numbers and names in, text equal to R's or HTML out."""
