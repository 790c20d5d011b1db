"""Builds and signs the Android app of edge/android without Gradle."""
