"""Networks as torch has them, with one logit a class and pixel as their only output."""

from typing import Any

from torch import Tensor, nn


class Logits(nn.Module):
    """A network with its logits, (N, C, h, w), as the only output."""

    takes_batches = True

    def __init__(self, network: nn.Module, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.class_names = network, class_names

    def forward(self, batch: Tensor) -> tuple[Tensor]:
        """Return the logits, (N, C, h, w), in a tuple."""
        if type(self.network).__name__ == 'UperNetForSemanticSegmentation':
            # On their own grid: the model would bring them to the batch's size.
            features: Any = self.network.backbone(batch)  # type: ignore[operator]
            logits: Tensor = self.network.decode_head(features.feature_maps)  # type: ignore[operator]
            return (logits,)
        found = self.network(batch)
        return (found[0] if isinstance(found, tuple | list) else getattr(found, 'logits', found),)
