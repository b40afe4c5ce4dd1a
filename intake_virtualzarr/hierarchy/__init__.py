"""The on-disk format: Zarr v3 hierarchies of manifests and virtual concatenations."""

from intake_virtualzarr.hierarchy.read import Hierarchy, is_hierarchy, read_tree
from intake_virtualzarr.hierarchy.write import NodeArray, NodeGroup, Written, write_hierarchy

__all__ = ["Hierarchy", "NodeArray", "NodeGroup", "Written", "is_hierarchy", "read_tree", "write_hierarchy"]
