"""Whole jobs, each as the script that a person would write with Keras's and pandas's own means.

A script gets the folder of data, a folder to write into and a number of epochs; its last line says the score on the
test rows. What it does is what the shipped config of its name does, file to saved model.
"""
