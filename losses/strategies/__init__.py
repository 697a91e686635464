"""Loss strategies, one per file: what to minimise, in the engine's words."""

from losses.strategies.supervised import Supervised
from losses.strategies.vae import VAE
from losses.strategies.wgan_gp import WGANGP

__all__ = ["VAE", "WGANGP", "Supervised"]
