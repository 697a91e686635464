"""Loss strategies, one per file: what to minimise, in the engine's words."""

try:
    from engine import strategy  # noqa: F401
except ImportError as error:
    if error.name != "engine":
        raise
    text = f"{error.path} takes the place of phaseloop's package `engine`: rename it"
    raise ImportError(text, name="engine") from None

from losses.strategies.autoencoder import Autoencoder
from losses.strategies.binary import Binary
from losses.strategies.gan import GAN
from losses.strategies.iwae import IWAE
from losses.strategies.regression import Regression
from losses.strategies.supervised import Supervised
from losses.strategies.vae import VAE
from losses.strategies.wgan import WGAN
from losses.strategies.wgan_gp import WGANGP

__all__ = ["GAN", "IWAE", "VAE", "WGAN", "WGANGP", "Autoencoder", "Binary", "Regression", "Supervised"]
