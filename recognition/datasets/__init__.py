"""Reads labelled data sets: the official ISIC layouts, and the pictures in a folder or a zip. No Django."""
