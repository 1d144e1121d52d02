"""Gradients of a depthwise convolution on a CPU, (N, H, W, C) in memory, float32 or bfloat16.

PyTorch uses oneDNN for them. Its kernel gradient in bfloat16 and its input gradient with a stride take most of a
training step of EfficientNet. The C++ loops here need a tenth of that time (docs/training.md). They are compiled when
first used.
"""

import subprocess
from functools import cache
from typing import Any, Final

import torch
from torch.nn import functional

from recognition.recipes import RecipeError

SOURCE: Final = r"""
#include <torch/extension.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <vector>

using at::MemoryFormat;
constexpr int64_t LANES = 64;     // channels that one thread adds up at a time: their sums stay in registers and L1
constexpr int64_t KERNEL_MAX = 7;

// d(kernel)[ky, kx, c]: the sum over n, y, x of input[n, y * stride + ky - pad, x * stride + kx - pad, c]
// times grad[n, y, x, c].
template <typename T>
void kernel_gradient(const T* input, const T* grad, float* out, int64_t n_pictures, int64_t height, int64_t width,
                     int64_t channels, int64_t out_height, int64_t out_width, int64_t kernel, int64_t stride,
                     int64_t pad) {
  at::parallel_for(0, (channels + LANES - 1) / LANES, 1, [&](int64_t first, int64_t last) {
    for (int64_t group = first; group < last; ++group) {
      const int64_t from = group * LANES, count = std::min(LANES, channels - from);
      for (int64_t ky = 0; ky < kernel; ++ky) {
        float sums[KERNEL_MAX][LANES] = {};
        for (int64_t n = 0; n < n_pictures; ++n) {
          for (int64_t y = 0; y < out_height; ++y) {
            const int64_t in_y = y * stride + ky - pad;
            if (in_y < 0 || in_y >= height) continue;
            const T* grad_row = grad + (n * out_height + y) * out_width * channels + from;
            const T* in_row = input + (n * height + in_y) * width * channels + from;
            for (int64_t x = 0; x < out_width; ++x) {
              float here[LANES] = {};
              for (int64_t c = 0; c < count; ++c) here[c] = static_cast<float>(grad_row[x * channels + c]);
              for (int64_t kx = 0; kx < kernel; ++kx) {
                const int64_t in_x = x * stride + kx - pad;
                if (in_x < 0 || in_x >= width) continue;
                const T* pixel = in_row + in_x * channels;
                float* sum = sums[kx];
                if (count == LANES) {
                  for (int64_t c = 0; c < LANES; ++c) sum[c] += here[c] * static_cast<float>(pixel[c]);
                } else {
                  for (int64_t c = 0; c < count; ++c) sum[c] += here[c] * static_cast<float>(pixel[c]);
                }
              }
            }
          }
        }
        for (int64_t kx = 0; kx < kernel; ++kx)
          std::copy_n(sums[kx], count, out + (ky * kernel + kx) * channels + from);
      }
    }
  });
}

template <typename T>
void input_gradient(const T* grad, const float* weights, T* out, int64_t n_pictures, int64_t height, int64_t width,
                    int64_t channels, int64_t out_height, int64_t out_width, int64_t kernel, int64_t stride,
                    int64_t pad) {
  at::parallel_for(0, n_pictures * height, 1, [&](int64_t first, int64_t last) {
    std::vector<float> sums(channels);
    for (int64_t row = first; row < last; ++row) {
      const int64_t n = row / height, in_y = row % height;
      for (int64_t in_x = 0; in_x < width; ++in_x) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (int64_t ky = 0; ky < kernel; ++ky) {
          const int64_t y = in_y + pad - ky;
          if (y < 0 || y % stride || y / stride >= out_height) continue;
          for (int64_t kx = 0; kx < kernel; ++kx) {
            const int64_t x = in_x + pad - kx;
            if (x < 0 || x % stride || x / stride >= out_width) continue;
            const T* pixel = grad + ((n * out_height + y / stride) * out_width + x / stride) * channels;
            const float* weight = weights + (ky * kernel + kx) * channels;
            for (int64_t c = 0; c < channels; ++c) sums[c] += static_cast<float>(pixel[c]) * weight[c];
          }
        }
        T* target = out + (row * width + in_x) * channels;
        for (int64_t c = 0; c < channels; ++c) target[c] = static_cast<T>(sums[c]);
      }
    }
  });
}

// (N, C, H, W) and (N, C, h, w) -> (C, 1, K, K), float32
at::Tensor of_kernel(at::Tensor input, at::Tensor grad, int64_t kernel, int64_t stride, int64_t pad) {
  TORCH_CHECK(kernel <= KERNEL_MAX, "kernels up to 7 x 7");
  input = input.contiguous(MemoryFormat::ChannelsLast);
  grad = grad.to(input.scalar_type()).contiguous(MemoryFormat::ChannelsLast);
  auto out = at::zeros({kernel * kernel, input.size(1)}, at::kFloat);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, input.scalar_type(), "of_kernel", [&] {
    kernel_gradient<scalar_t>(input.data_ptr<scalar_t>(), grad.data_ptr<scalar_t>(), out.data_ptr<float>(),
                              input.size(0), input.size(2), input.size(3), input.size(1), grad.size(2), grad.size(3),
                              kernel, stride, pad);
  });
  return out.t().contiguous().view({input.size(1), 1, kernel, kernel});
}

// (N, C, h, w) and (C, 1, K, K) -> (N, C, H, W)
at::Tensor of_input(at::Tensor grad, at::Tensor weight, int64_t height, int64_t width, int64_t stride, int64_t pad) {
  grad = grad.contiguous(MemoryFormat::ChannelsLast);
  const int64_t channels = grad.size(1), kernel = weight.size(2);
  auto weights = weight.to(at::kFloat).view({channels, kernel * kernel}).t().contiguous();
  auto out = at::empty({grad.size(0), channels, height, width}, grad.options(), MemoryFormat::ChannelsLast);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, grad.scalar_type(), "of_input", [&] {
    input_gradient<scalar_t>(grad.data_ptr<scalar_t>(), weights.data_ptr<float>(), out.data_ptr<scalar_t>(),
                             grad.size(0), height, width, channels, grad.size(2), grad.size(3), kernel, stride, pad);
  });
  return out;
}
"""


@cache
def _compiled() -> Any:
    """The two C++ functions, compiled at the first call on a machine; PyTorch caches them for the next process."""
    from torch.utils.cpp_extension import load_inline

    return load_inline(
        "teri_depthwise",
        cpp_sources=[SOURCE],
        functions=["of_kernel", "of_input"],
        extra_cflags=["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512"],
    )


def require_compiled() -> None:
    """Compile the gradients now. Raises RecipeError, which says what is missing, if that fails."""
    try:
        _compiled()
    except (RuntimeError, OSError, ImportError, subprocess.SubprocessError) as error:
        said = str(error).strip().partition("\n")[0]
        raise RecipeError(
            f"The engine pytorch compiles its gradients, which failed here ({said}). It needs a C++ compiler (Debian: "
            "g++) and ninja (make pytorch); the engine keras needs neither."
        ) from error


class DepthwiseConvolution(torch.autograd.Function):  # type: ignore[misc]  # PyTorch is not there for mypy
    """`conv2d(x, weight, bias, stride, pad, groups=C)` with the gradients of this module.

    x (N, C, H, W), weight (C, 1, K, K) with K up to 7, bias (C,).
    """

    @staticmethod
    def forward(context: Any, x: Any, *rest: Any) -> Any:
        """The convolution, by oneDNN."""
        weight, bias, stride, pad = rest
        context.save_for_backward(x, weight)
        context.stride, context.pad = stride, pad
        return functional.conv2d(x, weight, bias, stride=stride, padding=pad, groups=weight.shape[0])

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        """The gradients of x, weight and bias."""
        x, weight = context.saved_tensors
        kernel, stride, pad = weight.shape[2], context.stride, context.pad
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_kernel = _compiled().of_kernel(x, gradient, kernel, stride, pad).to(weight.dtype)
        if stride == 1:
            turned = weight.flip(2, 3)
            of_x = functional.conv2d(gradient, turned, None, padding=kernel - 1 - pad, groups=weight.shape[0])
        else:
            of_x = _compiled().of_input(gradient, weight, x.shape[2], x.shape[3], stride, pad)
        return of_x, of_kernel, gradient.sum((0, 2, 3)), None, None
