"""The on-disk format: Zarr v3 hierarchies of manifests and virtual concatenations."""

from intake_virtualzarr.hierarchy.read import Hierarchy, find_hierarchy, read_tree, tree_of
from intake_virtualzarr.hierarchy.write import NodeArray, NodeGroup, Written, write_hierarchy

__all__ = ["Hierarchy", "NodeArray", "NodeGroup", "Written", "find_hierarchy", "read_tree", "tree_of", "write_hierarchy"]
