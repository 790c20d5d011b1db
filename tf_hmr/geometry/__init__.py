"""Rotations, cameras and crops: functions of arrays, without state."""
