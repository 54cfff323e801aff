"""COTA v1's features: TF-IDF, latent topics, similarities. Made on demand, for other tools."""
