"""What a network is trained to do, one package each; `training` knows none of them."""
