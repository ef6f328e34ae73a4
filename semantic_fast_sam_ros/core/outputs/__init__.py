"""What is made of a labelled image: maps, overlay, outlines, point cloud."""
