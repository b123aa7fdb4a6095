"""Forecasts of a fitted model. One function forecasts; everything that forecasts calls it."""
