"""Labelled data sets: reading and checking ISIC tables and pictures, splits, duplicates, fingerprints.

- `layouts`: column and image names of the official ISIC 2019 files and of isic-cli downloads;
- `problems`: `FileProblem` (file, line, sentence) and `ExamplesError`, which carries all problems found;
- `csv_files`: a CSV file as text cells with line numbers; `tables`: the checked table of both layouts;
- `pictures`: the picture files of a folder or a zip;
- `examples`: the checked table with picture fingerprints, from which training learns;
- `splits`: train, validation, calibration and test by lesion; `leakage`: lesions that splits share;
- `components`, `duplicates`: connected components; exact and near copies of pictures;
- `identity`, `sources`, `ancestry`: names of a picture, licences of its data set, what a classifier comes from;
- `known_images`: fingerprints and small copies of a data set's pictures.
"""
