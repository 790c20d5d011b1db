"""Files of datasets: Matlab, CDF, TFRecords, Acclaim."""
