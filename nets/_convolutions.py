"""Keras's convolutions, computed as one matrix product where that is the same sum and faster.

Weights, names and results are Keras's. On two CPU cores, for 64 examples: a 5x5 convolution of 128 to 256 channels
with a single output position takes 8 ms as a convolution and 0.5 ms as a product, forward and backward alike; the
kernel's gradient of a 3x3 convolution of 512 channels on 4x4 positions takes 27 ms in bfloat16, 6 ms as a product.

What a strided convolution gives back to a few channels, and a transposed one to a picture, is slow in TensorFlow: 8 and
11 ms for those of the WGAN-GP of 64 pixels; as a convolution with all positions of a stride in its channels 3 and 6.

The gradient of a bias is a sum of its own, in float32. TensorFlow's, on CPUs, adds up in half precision: 14 to 85 %
off, as measured; and in float32 its optimizer joins it to the kernel's gradient in one operation that takes 3.4 and 4.8
ms for the two convolutions of the ConvNet, where the two apart take 0.9 and 2.7.
"""

import keras
import tensorflow as tf

POSITIONS = 49  # most positions of the feature map for which a kernel's gradient is a product of patches
WEIGHTS = 1 << 15  # and least input times output channels
FEW = 4  # most channels for which a strided convolution is turned over by `_spread`
HALF_PRECISION = (tf.bfloat16, tf.float16)


class Conv2D(keras.layers.Conv2D):
    """A product if the unpadded kernel fits into the image once only: [B, h, w, c] -> [B, 1, 1, filters].

    In half precision the gradient of the kernel is a product where TensorFlow's is slow: see ``_gathers``.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, h, w, c] -> [B, h', w', filters]."""
        if self.bias is None or self.data_format != "channels_last":
            return super().call(inputs)
        return self.activation(_biased(self.convolution_op(inputs, self.kernel), tf.convert_to_tensor(self.bias)))

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The convolution without bias and activation."""
        if self._gathers(inputs):
            return _convolve(inputs, tf.convert_to_tensor(kernel), self.strides)
        if not self._fits_once(inputs.shape):
            if _spreads(self, inputs, inputs.shape[-1]):
                return _strided(inputs, tf.convert_to_tensor(kernel), self.strides[0], self.padding.upper())
            return super().convolution_op(inputs, kernel)
        height, width = self.kernel_size
        cells = tf.reshape(_corner(inputs, height, width), [-1, height * width * inputs.shape[-1]])
        return tf.reshape(tf.matmul(cells, tf.reshape(kernel, [-1, self.filters])), [-1, 1, 1, self.filters])

    def _plain(self) -> bool:
        return self.groups == 1 and self.dilation_rate == (1, 1) and self.data_format == "channels_last"

    def _fits_once(self, shape: tf.TensorShape) -> bool:
        sides = zip(shape[1:3], self.kernel_size, self.strides, strict=True)
        return self.padding == "valid" and self._plain() and all(
            side is not None and kernel <= side < kernel + stride for side, kernel, stride in sides)

    def _gathers(self, inputs: tf.Tensor) -> bool:
        """Whether the kernel's gradient is a product: many channels on few positions, or 1x1."""
        if inputs.dtype not in HALF_PRECISION or not self._plain() or None in inputs.shape[1:]:
            return False
        if self.kernel_size == (1, 1) and self.strides == (1, 1):
            return True
        height, width, channels = inputs.shape[1:]
        positions = -(-height // self.strides[0]) * -(-width // self.strides[1])
        return self.padding == "same" and positions <= POSITIONS and channels * self.filters >= WEIGHTS


def _corner(x: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """x [B, h, w, c] -> [B, height, width, c]. The gradient is padding: TensorFlow's is a slow copy, and under XLA that
    of ``tf.slice`` has none itself.
    """
    @tf.custom_gradient
    def corner(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        _, rows, columns, _ = x.shape
        pads = [[0, 0], [0, rows - height], [0, columns - width], [0, 0]]
        return x[:, :height, :width], lambda upstream: tf.pad(upstream, pads)

    return corner(x)


@tf.custom_gradient
def _biased(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, object]:
    """x [..., filters] + bias [filters]."""
    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wide = tf.cast(upstream, tf.float32) if upstream.dtype in HALF_PRECISION else upstream
        return upstream, tf.cast(tf.reduce_sum(wide, axis=list(range(len(upstream.shape) - 1))), bias.dtype)

    return tf.nn.bias_add(x, bias), gradients


def _convolve(inputs: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int]) -> tf.Tensor:
    """A padded convolution whose kernel's gradient is the product of patches and outputs' gradients."""

    @tf.custom_gradient
    def convolution(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            inward = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), strides, "SAME")
            rows, columns, channels, filters = kernel.shape
            cells = tf.reshape(_patches(x, (rows, columns), strides), [-1, rows * columns * channels])
            product = tf.matmul(cells, tf.reshape(upstream, [-1, filters]), transpose_a=True)
            return inward, tf.reshape(product, kernel.shape)

        return tf.nn.conv2d(x, kernel, strides, "SAME"), gradients

    return convolution(inputs, kernel)


def _patches(x: tf.Tensor, sizes: tuple[int, int], strides: tuple[int, int]) -> tf.Tensor:
    """x [B, h, w, c] -> [B, h/strides, w/strides, sizes * c]: what a padded kernel of that size sees."""
    counts = [-(-side // stride) for side, stride in zip(x.shape[1:3], strides, strict=True)]
    pads = [[0, 0]]
    for side, count, size, stride in zip(x.shape[1:3], counts, sizes, strides, strict=True):
        total = max((count - 1) * stride + size - side, 0)
        pads.append([total // 2, total - total // 2])
    x = tf.pad(x, [*pads, [0, 0]])
    (rows, columns), (down, across) = counts, strides
    return tf.concat([x[:, i:i + (rows - 1) * down + 1:down, j:j + (columns - 1) * across + 1:across]
                      for i in range(sizes[0]) for j in range(sizes[1])], axis=3)


def _spreads(layer: keras.layers.Layer, inputs: tf.Tensor, channels: int) -> bool:
    """Whether ``_spread`` is faster: on CPUs, with equal strides above 1, and few ``channels`` on the large side."""
    stride, kernel = layer.strides[0], min(layer.kernel_size)
    return (channels <= FEW and 1 < stride <= kernel and layer.strides == (stride, stride)
            and inputs.dtype not in HALF_PRECISION and None not in inputs.shape[1:] and layer.dilation_rate == (1, 1)
            and layer.data_format == "channels_last" and getattr(layer, "groups", 1) == 1
            and not tf.config.list_physical_devices("GPU"))


def _strided(x: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """A convolution from few channels; its gradient to x, and the gradient of that, are those written here."""
    @tf.custom_gradient
    def convolution(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return (_spread(upstream, kernel, x.shape[1:3], stride, padding),
                    _to_kernel(x, upstream, kernel, stride, padding))

        return tf.nn.conv2d(x, kernel, stride, padding), gradients

    return convolution(x, kernel)


def _spread(x: tf.Tensor, kernel: tf.Tensor, sides: tuple[int, int], stride: int, padding: str) -> tf.Tensor:
    """``_strided`` turned over (a transposed convolution): x [B, h, w, f], kernel [k, l, c, f] -> [B, *sides, c]."""
    @tf.custom_gradient
    def transposed(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return _strided(upstream, kernel, stride, padding), _to_kernel(upstream, x, kernel, stride, padding)

        return _in_blocks(x, kernel, sides, stride, padding), gradients

    return transposed(x, kernel)


def _to_kernel(large: tf.Tensor, small: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(input=large, filter_sizes=kernel.shape, out_backprop=small,
                                           strides=[1, stride, stride, 1], padding=padding)


def _in_blocks(x: tf.Tensor, kernel: tf.Tensor, sides: tuple[int, int], stride: int, padding: str) -> tf.Tensor:
    """``_spread`` by one unstrided convolution, whose channels are blocks of stride x stride positions."""
    *sizes, channels, filters = kernel.shape
    taps = [-(-size // stride) for size in sizes]  # blocks that a position of x reaches
    cut, pads = [], [[0, 0]]
    blocks = []
    for side, size, count, tap in zip(sides, sizes, x.shape[1:3], taps, strict=True):
        total = max((count - 1) * stride + size - side, 0) if padding == "SAME" else 0
        cut.append(total // 2)
        blocks.append(-(-(side + total) // stride))
        pads.append([tap - 1, blocks[-1] - count])
    grown = [tap * stride - size for tap, size in zip(taps, sizes, strict=True)]
    whole = tf.pad(kernel, [[0, grown[0]], [0, grown[1]], [0, 0], [0, 0]])
    whole = tf.reshape(whole, [taps[0], stride, taps[1], stride, channels, filters])[::-1, :, ::-1]
    whole = tf.reshape(tf.transpose(whole, [0, 2, 5, 1, 3, 4]), [*taps, filters, stride * stride * channels])
    y = tf.nn.conv2d(tf.pad(x, [*pads, [0, 0]]), whole, 1, "VALID")  # [B, *blocks, stride * stride * c]
    y = tf.transpose(tf.reshape(y, [-1, *blocks, stride, stride, channels]), [0, 1, 3, 2, 4, 5])
    y = tf.reshape(y, [-1, blocks[0] * stride, blocks[1] * stride, channels])
    return y[:, cut[0]:cut[0] + sides[0], cut[1]:cut[1] + sides[1]]


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """A product if the stride is the kernel's size, so that its copies do not overlap."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, h, w, c] -> [B, h * stride, w * stride, filters]."""
        plain = self.output_padding is None and self.dilation_rate == (1, 1) and self.data_format == "channels_last"
        if plain and self.strides != self.kernel_size and _spreads(self, inputs, self.filters):
            sides = self.compute_output_shape(inputs.shape)[1:3]
            x = _spread(inputs, tf.convert_to_tensor(self.kernel), sides, self.strides[0], self.padding.upper())
            return self.activation(x if self.bias is None else x + self.bias)
        wide = inputs.dtype not in HALF_PRECISION
        if (not plain or self.strides != self.kernel_size) and (wide or self.bias is None):
            return super().call(inputs)
        if not plain or self.strides != self.kernel_size:
            outputs = keras.ops.conv_transpose(inputs, self.kernel, list(self.strides), self.padding,
                                               self.output_padding, self.data_format, self.dilation_rate)
            return self.activation(_biased(outputs, tf.convert_to_tensor(self.bias)))
        batch, (height, width, channels), (rows, columns) = tf.shape(inputs)[0], inputs.shape[1:], self.kernel_size
        kernel = tf.reshape(self.kernel, [rows * columns * self.filters, channels])
        x = tf.matmul(tf.reshape(inputs, [-1, channels]), kernel, transpose_b=True)
        x = tf.reshape(x, [batch, height, width, rows, columns, self.filters])
        x = tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [batch, height * rows, width * columns, self.filters])
        return self.activation(x if self.bias is None else x + self.bias)
