"""Encoders that others have trained, under their published names of weights.

Written from the papers and from what the published weights are called; no weights come with the
package. A user obtains them, and a model trained from them carries what it needs of them.
"""
