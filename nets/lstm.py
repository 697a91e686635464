"""A classifier of token sequences."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from nets import _arguments as arguments
from nets._embedding import Embedding
from nets._lstm import LSTM
from nets._net import Net
from nets._parts import output_dtype


class LSTMClassifier(Net):
    """Embedding, layers of long short-term memory, the last state, one logit or one per class.

    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997, with the forget gate of
    Gers, Schmidhuber and Cummins, "Learning to forget", Neural Computation 12(10), 2000, whose bias starts at 1
    (Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", ICML
    2015). Dropout acts between layers and not from step to step (Zaremba, Sutskever and Vinyals, "Recurrent
    neural network regularization", 2014).

    Token 0 is padding: a state passes it unchanged, wherever it stands, so logits do not depend on it.

    Args:
      vocabulary: Number of tokens V, the padding included.
      embedding: Size E of a token's vector.
      units: Units of each LSTM layer.
      dropout: Fraction of each LSTM layer's outputs that is dropped in training, in [0, 1).
      classes: Number of classes; two are told apart by one logit.
      name: The Keras name.

    Raises:
      ValueError: An argument out of its range, or tokens that are not [B, T].
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        embedding: int = 100,
        units: Sequence[int] = (64, 64),
        dropout: float = 0.5,
        classes: int = 2,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        vocabulary, embedding = arguments.whole("vocabulary", vocabulary, 2), arguments.whole("embedding", embedding)
        sizes, dropout = arguments.wholes("units", units), arguments.rate("dropout", dropout)
        self.embedding = Embedding(vocabulary, embedding)
        self.depth = len(sizes)
        for i, size in enumerate(sizes):  # not a list: see MLP
            last = i + 1 == self.depth
            setattr(self, f"lstm{i}", LSTM(size, return_sequences=not last))
            setattr(self, f"drop{i}", keras.layers.Dropout(dropout))
        self.classes = arguments.whole("classes", classes, 2)
        self.logit = keras.layers.Dense(1 if classes == 2 else classes, dtype=output_dtype())

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """tokens [B, T], integers in [0, V), 0 for padding -> logits [B]; above 0 means the class 1.

        Of more than two classes -> logits [B, classes].
        """
        arguments.batch_of("tokens", tokens, (None,))
        steps = tf.transpose(tokens)  # [T, B]
        mask = tf.not_equal(steps, 0)
        x = self.embedding(steps)  # [T, B, E]
        for i in range(self.depth):
            x = getattr(self, f"lstm{i}")(x, mask)  # [T, B, units[i]], at last [B, units[i]]
            x = getattr(self, f"drop{i}")(x, training=training)
        logits = self.logit(x)  # [B, 1], or [B, classes]
        return tf.squeeze(logits, axis=-1) if self.classes == 2 else logits
