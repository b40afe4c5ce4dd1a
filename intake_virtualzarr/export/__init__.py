"""Virtual datasets for other readers: kerchunk references and Icechunk repositories."""
