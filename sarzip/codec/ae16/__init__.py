"""The reference autoencoder, to compare with. Read `network`, then `codec`."""
