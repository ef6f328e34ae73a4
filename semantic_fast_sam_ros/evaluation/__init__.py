"""Measure the pipeline on labelled data sets: readers, measures, rows, reports."""
